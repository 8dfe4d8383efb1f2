"""What a case consists of, in amounts that its seconds are linear in: read off the schedule, before any price.

Compute and staging are amounts of one rank. The link's are those of the pass: what its critical path waits for.

With blocking exchanges the terminal device's latency is then the busy time (compute and staging) of the busiest rank
and the link's seconds. A round ends for all when its last flow does: one latency and all airtimes, since the flows
share the medium. Input is handed out before the first round and delays all of them. Where receives are posted ahead,
work and messages overlap: see `calibration.corpus.overlap`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from calibration.corpus.regress import Array
from prism.plan import Plan
from prism.schedule import TERMINAL, Compute, Copy, Exchange, Receive, Schedule, Send, build_schedule
from prism.shape import TransformerShape
from prism.units import BYTES_PER_MB
from prism.work import KINDS, works

#: Names of the link's amounts; `bend_K` follow, one for each knot.
LINK = ("latency", "air_fixed", "air_mb", "skew")
STAGING = ("copies", "copied_mb")


@dataclass(frozen=True)
class Round:
    """Messages that share the air: their sizes in MB, and how often such a round occurs one after another."""

    sizes_mb: tuple[float, ...]
    count: int


@dataclass(frozen=True)
class PassAmounts:
    """Amounts of a pass that do not depend on the bandwidth.

    Attributes:
        rounds: volleys of messages, each after the other.
        latencies: that follow each other.
        exchanges: rounds that are exchanges before a block.
        copies_mb: sizes of each rank's copies.
    """

    rounds: tuple[Round, ...]
    latencies: int
    exchanges: int
    copies_mb: tuple[tuple[float, ...], ...]


@lru_cache(maxsize=8192)
def pass_amounts(shape: TransformerShape, plan: Plan, batch: int) -> PassAmounts:
    """Amounts of a pass, from its schedule."""
    schedule = build_schedule(shape, plan, batch)
    rounds = [*_one_way(schedule), *_exchanges(schedule)]
    terminal = schedule.ranks[TERMINAL]
    return PassAmounts(
        tuple(rounds),
        sum(each.count for each in rounds),
        sum(isinstance(step, Exchange) for step in terminal),
        tuple(
            tuple(step.nbytes / BYTES_PER_MB for step in steps if isinstance(step, Copy)) for steps in schedule.ranks
        ),
    )


def _one_way(schedule: Schedule) -> list[Round]:
    """Control and input messages of one kind go out together; results come in one by one."""
    rounds = []
    for name in ("control", "input"):
        sizes = tuple(
            step.message.nbytes / BYTES_PER_MB
            for step in schedule.ranks[TERMINAL]
            if isinstance(step, Send) and step.name == name
        )
        rounds += [Round(sizes, 1)] if sizes else []
    results = [step for step in schedule.ranks[TERMINAL] if isinstance(step, Receive)]
    return rounds + [Round((step.message.nbytes / BYTES_PER_MB,), 1) for step in results]


def _exchanges(schedule: Schedule) -> list[Round]:
    """What the rank with the longest wait waits for: of each flow, as much as shares the air until its own is in."""
    first = [next((step for step in steps if isinstance(step, Exchange)), None) for steps in schedule.ranks]
    steps = [step for step in first if step is not None]
    if not steps:
        return []
    count = sum(isinstance(step, Exchange) for step in schedule.ranks[TERMINAL])
    flows = [message.nbytes for step in steps for message in step.sends]
    needed = max(message.nbytes for step in steps for message in step.receives)
    return [Round(tuple(min(nbytes, needed) / BYTES_PER_MB for nbytes in flows), count)]


@lru_cache(maxsize=8192)
def compute_amounts(shape: TransformerShape, plan: Plan, batch: int, rank: int, cache_mb: float | None) -> Array:
    """Amounts of `prism.work.KINDS` in a rank's pass, tokens beyond `cache_mb` in a step counted as spilled."""
    limit = np.inf if cache_mb is None else cache_mb
    schedule = build_schedule(shape, plan, batch)
    total = np.zeros(len(KINDS))
    for work in works(schedule, rank):
        spilled = work.beyond(limit)
        total += [getattr(spilled, kind) for kind in KINDS]
    return total


def block_gflop(shape: TransformerShape, plan: Plan, batch: int) -> float:
    """GFLOPs of one block on the terminal device."""
    steps = build_schedule(shape, plan, batch).ranks[TERMINAL]
    return next(step.flops for step in steps if isinstance(step, Compute) and step.name == "block") / 1e9


def staging_amounts(amounts: PassAmounts, rank: int) -> Array:
    """Copies of a rank and their MB."""
    copies = amounts.copies_mb[rank]
    return np.array([len(copies), sum(copies)])


def link_amounts(amounts: PassAmounts, slowdown: float, block_s: float, knots_mb: tuple[float, ...]) -> Array:
    """Amounts of `LINK` and of the bends in a pass whose exchanges are blocking.

    Args:
        amounts: of the pass.
        slowdown: reference bandwidth over the case's.
        block_s: seconds that a rank computes before an exchange, for the skew.
        knots_mb: where the price of a further MB may change.
    """
    total = np.zeros(len(LINK) + len(knots_mb))
    knots = np.array(knots_mb)
    for each in amounts.rounds:
        sizes = np.array(each.sizes_mb)
        air = each.count * slowdown
        total[1] += air * len(sizes)
        total[2] += air * sizes.sum()
        total[len(LINK) :] += air * np.maximum(sizes[:, None] - knots, 0.0).sum(axis=0)
    total[0] = amounts.latencies
    total[3] = amounts.exchanges * block_s
    return total
