"""What a compute step does beyond counting its FLOPs: the physical amounts that its time grows with.

A block of a narrow model runs at a lower FLOP rate than one of a wide model, and a single sample at a lower one than a
batch. Both follow from amounts that do not grow with FLOPs: calls, tokens that pass through memory, weights that are
read once a step whatever the batch. Seconds that are linear in these amounts hold for several models at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from annotated_types import Ge, Le

from prism import flops
from prism.cost import MAX_COST_S, Driver, inside
from prism.plan import WIRE_BYTES
from prism.schedule import Compute, Schedule
from prism.stored import Stored
from prism.units import BYTES_PER_MB, FLOPS_PER_GFLOP

if TYPE_CHECKING:
    from typing import Any

Kind = Literal[
    "calls", "gemm_gflop", "attention_gflop", "tokens_mb", "weights_mb", "spilled_mb", "joined_mb", "handled_mb"
]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: About how many calls into the tensor library a step is made of, counted by reading a timm block and the steps round
#: it. Only their proportions matter: the price of a call is fitted.
CALLS = {"block": 24, "embed": 6, "compress": 6, "pool": 2, "head": 4}
_FLOAT_BYTES = WIRE_BYTES["float32"]


@dataclass(frozen=True)
class Work:
    """Amounts of one compute step, or of all of a pass: a sum of works is their work together.

    Attributes:
        calls: calls into the tensor library.
        gemm_gflop: products of tokens and weights.
        attention_gflop: products of queries, keys and values, with the softmax between them.
        tokens_mb: tokens that pass through memory once: what is added, normalised and activated.
        weights_mb: weights that are read, once a step whatever the batch.
        spilled_mb: tokens of blocks beyond what the cache holds; see `beyond`.
        joined_mb: own and received vectors that are put together before a block of a distributed plan.
        handled_mb: messages that come and go while a block is computed, because receives were posted ahead: the cores
            that compute handle their packets too.
    """

    calls: float = 0.0
    gemm_gflop: float = 0.0
    attention_gflop: float = 0.0
    tokens_mb: float = 0.0
    weights_mb: float = 0.0
    spilled_mb: float = 0.0
    joined_mb: float = 0.0
    handled_mb: float = 0.0

    def beyond(self, cache_mb: float) -> Work:
        """The same step with what of its tokens does not fit in `cache_mb` as spilled; infinity spills nothing."""
        return replace(self, spilled_mb=max(self.tokens_mb - cache_mb, 0.0))

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True)
class WorkModel(Stored):
    """Seconds of a compute step: the sum over `KINDS` of its amount times the seconds of a unit.

    Attributes:
        unit_s: seconds of a unit of each kind; a kind that is absent costs nothing.
        stderr: standard error of each fitted `unit_s`; absent where it was held at 0.
        covariance: of the fitted ones, in the order of `stderr`.
        valid_from: GFLOPs of the smallest block that was measured.
        valid_to: GFLOPs of the largest.
        cache_mb: tokens of a step up to this many MB stay near the processor; None where no such limit was found.
    """

    unit_s: dict[Kind, Annotated[float, Ge(0), Le(MAX_COST_S)]]
    stderr: dict[str, float]
    covariance: tuple[tuple[float, ...], ...]
    valid_from: Annotated[float, Ge(0)]
    valid_to: Annotated[float, Ge(0)]
    cache_mb: Annotated[float, Ge(0)] | None = None

    @property
    def driver(self) -> Driver:
        """What the measured range is counted in."""
        return "GFLOP"

    def seconds(self, work: Work) -> float:
        """Cost of one step, in seconds."""
        if self.cache_mb is not None:
            work = work.beyond(self.cache_mb)
        return float(sum(unit_s * getattr(work, kind) for kind, unit_s in self.unit_s.items()))

    def covers(self, x: Any) -> Any:
        """Whether a block of x GFLOPs, a number or an array, lies in the measured range; 5 % of slack."""
        return inside((self.valid_from * 0.95, self.valid_to * 1.05), x)

    def faster(self, times: float) -> WorkModel:
        """The same with every unit `times` as fast; its standard errors no longer hold and are dropped."""
        units = {kind: unit_s / times for kind, unit_s in self.unit_s.items()}
        return WorkModel(units, {}, (), self.valid_from, self.valid_to, self.cache_mb)


def work_of(schedule: Schedule, rank: int, step: Compute) -> Work:
    """Amounts of one compute step of `rank`."""
    shape, batch = schedule.shape, schedule.batch
    calls = CALLS[step.name]
    vector_mb = shape.dim * _FLOAT_BYTES / BYTES_PER_MB
    if step.name == "block":
        own, context = schedule.partition[rank], context_tokens(schedule, rank)
        attention = 4 * batch * own * context * shape.dim
        weights = 4 * shape.dim**2 + 2 * shape.dim * shape.mlp_hidden
        return Work(
            calls,
            (step.flops - attention) / FLOPS_PER_GFLOP,
            attention / FLOPS_PER_GFLOP,
            batch * own * vector_mb,
            weights * _FLOAT_BYTES / BYTES_PER_MB,
            joined_mb=batch * context * vector_mb if schedule.plan.devices > 1 else 0.0,
            handled_mb=_handled_mb(schedule, rank) if schedule.plan.exchange == "preposted" else 0.0,
        )
    if step.name == "embed":
        patches = step.flops / (batch * flops.embed_flops(shape, 1))
        weights_mb = shape.patch_values * vector_mb
        return Work(calls, step.flops / FLOPS_PER_GFLOP, 0.0, batch * patches * vector_mb, weights_mb)
    if step.name == "head":
        return Work(calls, step.flops / FLOPS_PER_GFLOP, 0.0, batch * vector_mb, shape.classes * vector_mb)
    # Averaging reads each number once: its FLOPs are the numbers.
    return Work(calls, 0.0, 0.0, step.flops * _FLOAT_BYTES / BYTES_PER_MB, 0.0)


def _handled_mb(schedule: Schedule, rank: int) -> float:
    """What a rank sends and receives in a round of exchanges."""
    sent = schedule.plan.sent_tokens(schedule.shape.tokens)
    peers = schedule.plan.devices - 1
    vectors = peers * sent[rank] + sum(sent) - sent[rank] if peers else 0
    return schedule.batch * vectors * schedule.shape.dim * WIRE_BYTES[schedule.plan.wire_dtype] / BYTES_PER_MB


def works(schedule: Schedule, rank: int) -> Iterator[Work]:
    """Amounts of every compute step of `rank`, in order."""
    return (work_of(schedule, rank, step) for step in schedule.ranks[rank] if isinstance(step, Compute))


def context_tokens(schedule: Schedule, rank: int) -> int:
    """Vectors that the rank's keys and values are made from: its own tokens and what the others send."""
    sent = schedule.plan.sent_tokens(schedule.shape.tokens)
    return schedule.partition[rank] + sum(tokens for peer, tokens in enumerate(sent) if peer != rank)
