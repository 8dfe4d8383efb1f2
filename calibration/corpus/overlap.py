"""A pass of two boards that post their receives ahead, round by round in closed form, for many cases at once.

A round's flow from board i starts when i has computed and the other has the round before: all earlier flows have ended
by then, so a round's two flows have the air to themselves. The first has it alone until the second starts; then they
share it, the first with weight rho (see `sim.medium`). With g between the two starts, w and v the airtimes of first and
second and r = w - g what the first has left::

    g >= w:                     the first ends w after its own start, the second v after its own
    r (1 + rho) / rho shorter   the first ends so long after the second's start, the second r + v after it
    v (1 + rho) shorter         the second ends so long after its start, the first r + v after it

Work of a rank before the first exchange is told from that of its blocks by FLOPs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import takewhile

import numpy as np
from scipy.optimize import least_squares

from calibration.corpus.regress import Array, huber_weights
from calibration.corpus.rows import slowdown
from prism.plan import Plan
from prism.scenario import Scenario
from prism.schedule import TERMINAL, Compute, Exchange, Send, Step, build_schedule
from prism.shape import TransformerShape
from prism.units import BYTES_PER_MB

#: Latency of a message, what a MB of it adds, and the logarithm of rho.
OVERLAP = ("latency", "message_mb", "log_weight")
#: Beyond these no link was seen; steps that matter to a total; and where the search for log rho is begun.
MOST = (1.0, 10.0, 3.4)
STEPS = (1e-5, 1e-4, 1e-3)
STARTS = (0.02, 0.2, 0.8)


@dataclass(frozen=True, eq=False)
class Passes:
    """Preposted passes of two boards. Arrays have the shape (cases, 2), terminal device first, or (cases,).

    Attributes:
        before: share of a rank's own work that comes before the first exchange.
        sizes_mb: of what each rank sends in a round.
        handed_mb: of the control message and the input that the worker waits for; shape (cases, 2).
        waits_for_embedding: whether the input is sent only when the terminal device has embedded it.
        rounds: exchanges.
        slow: reference bandwidth over the case's.
    """

    before: Array
    sizes_mb: Array
    handed_mb: Array
    waits_for_embedding: Array
    rounds: Array
    slow: Array


def passes_of(scenarios: Sequence[Scenario], reference_mbps: float) -> Passes:
    """The shape of each pass, from its schedule."""
    parts = [_parts(each.shape, each.plan, each.batch) for each in scenarios]
    before, sizes, handed, waits, rounds = (np.array(column, float) for column in zip(*parts, strict=True))
    slow = np.array([slowdown(each, reference_mbps) for each in scenarios])
    return Passes(before, sizes, handed, waits, rounds, slow)


@lru_cache(maxsize=8192)
def _parts(
    shape: TransformerShape, plan: Plan, batch: int
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, float], bool, int]:
    schedule = build_schedule(shape, plan, batch)

    def flops(steps: Sequence[Step]) -> int:
        return sum(step.flops for step in steps if isinstance(step, Compute))

    heads = [list(takewhile(lambda step: not isinstance(step, Exchange), steps)) for steps in schedule.ranks]
    exchanges = [next(step for step in steps if isinstance(step, Exchange)) for steps in schedule.ranks]
    sent = {step.name: step.message.nbytes for step in schedule.ranks[TERMINAL] if isinstance(step, Send)}
    return (
        tuple(flops(head) / flops(steps) for head, steps in zip(heads, schedule.ranks, strict=True)),
        tuple(step.sends[0].nbytes / BYTES_PER_MB for step in exchanges),
        (sent["control"] / BYTES_PER_MB, sent.get("input", 0) / BYTES_PER_MB),
        plan.input_distribution == "tokens",
        sum(isinstance(step, Exchange) for step in schedule.ranks[TERMINAL]),
    )


@dataclass(frozen=True)
class AirPrice:
    """Seconds of air of a message at the reference bandwidth: fixed, a MB, and a further MB from each knot on."""

    fixed_s: float
    mb_s: float
    bends: tuple[tuple[float, float], ...] = ()

    def seconds(self, size_mb: Array) -> Array:
        """Airtime of messages; none takes less than no time."""
        air = self.fixed_s + self.mb_s * size_mb
        for knot, scale_s in self.bends:
            air = air + scale_s * np.maximum(size_mb - knot, 0.0)
        return np.asarray(np.maximum(air, 0.0))


def totals_s(passes: Passes, busy_s: Array, air: AirPrice, own: Array) -> Array:
    """Latency of each pass.

    Args:
        passes: what they consist of.
        busy_s: compute and staging of each rank, shape (cases, 2).
        air: what messages take.
        own: values of `OVERLAP`.
    """
    latency_s = own[0] + own[1] * passes.sizes_mb
    air_s = air.seconds(passes.sizes_mb) * passes.slow[:, None]
    weight = float(np.exp(own[2]))
    before_s = passes.before * busy_s
    block_s = (busy_s - before_s) / passes.rounds[:, None]
    ready = before_s.copy()
    ready[:, 1] += _worker_starts_s(passes, before_s[:, 0], air, own)
    had = np.zeros_like(ready)
    for number in range(int(passes.rounds.max(initial=0))):
        starts = np.maximum(ready, had[:, ::-1]) + latency_s
        if number == 0:  # the worker sends when it has heard the terminal device
            starts[:, 1] = np.maximum(starts[:, 1], starts[:, 0] + air_s[:, 0] + latency_s[:, 1])
        ends = _round_ends(starts, air_s, weight)
        taking_part = (number < passes.rounds)[:, None]
        had = np.where(taking_part, ends[:, ::-1], had)
        ready = np.where(taking_part, np.maximum(ready, had) + block_s, ready)
    return np.asarray(ready[:, 0])


def _worker_starts_s(passes: Passes, embedded_s: Array, air: AirPrice, own: Array) -> Array:
    """When the worker has been told what to do, and has its input where it is sent any."""
    each_s = own[0] + own[1] * passes.handed_mb + air.seconds(passes.handed_mb) * passes.slow[:, None]
    sent = passes.handed_mb[:, 1] > 0
    may_send_s = np.where(passes.waits_for_embedding > 0, embedded_s, 0.0)
    return np.asarray(np.where(sent, np.maximum(each_s[:, 0], may_send_s) + each_s[:, 1], each_s[:, 0]))


def _round_ends(starts: Array, air_s: Array, weight: float) -> Array:
    """When the flow that each board sends ends."""
    first = (starts[:, 1] < starts[:, 0]).astype(int)
    rows = np.arange(len(first))
    start, second_start = starts[rows, first], starts[rows, 1 - first]
    first_air, second_air = air_s[rows, first], air_s[rows, 1 - first]
    gap = second_start - start
    left = np.maximum(first_air - gap, 0.0)
    rho = np.where(gap > 0, weight, 1.0)
    shared_first, shared_second = left * (1 + rho) / rho, second_air * (1 + rho)
    first_end = second_start + np.where(shared_first <= shared_second, shared_first, left + second_air)
    second_end = second_start + np.where(shared_first <= shared_second, left + second_air, shared_second)
    alone = gap >= first_air
    first_end = np.where(alone, start + first_air, first_end)
    second_end = np.where(alone, second_start + second_air, second_end)
    ends = np.empty_like(starts)
    ends[rows, first], ends[rows, 1 - first] = first_end, second_end
    return ends


@dataclass(frozen=True, eq=False)
class OverlapFit:
    """Values of `OVERLAP` and their covariance, and the scatter of cases round the fit (see `LinearFit`)."""

    values: Array
    covariance: Array
    scatter: float

    @property
    def weight(self) -> float:
        """Rho: the share of the air that the first flow keeps, to 1."""
        return float(np.exp(self.values[2]))


def fit_overlap(passes: Passes, busy_s: Array, total_s: Array, scales: Array, air: AirPrice) -> OverlapFit:
    """Least squares of the totals on their scales; cases that lie far off count less, as in `fit_linear`.

    It is begun from several shares of the air, since the error has more than one valley.
    """

    def errors(own: Array) -> Array:
        return (totals_s(passes, busy_s, air, own) - total_s) / scales

    values = min(
        (_minimise(errors, [2e-4, 1e-3, start]) for start in STARTS), key=lambda own: _median_error(errors(own))
    )
    weights = huber_weights(errors(values))
    for _ in range(2):
        values = _minimise(partial(_times, errors, np.sqrt(weights)), values)
        weights = huber_weights(errors(values))
    residuals = errors(values)
    variance = float(weights @ residuals**2) / max(len(total_s) - len(OVERLAP), 1)
    jacobian = np.stack([(errors(values + step) - residuals) / step.sum() for step in np.diag(STEPS)], axis=1)
    jacobian *= np.sqrt(weights)[:, None]
    lengths = np.sqrt((jacobian**2).sum(axis=0))
    lengths = np.where(lengths > 0, lengths, 1.0)
    scaled = jacobian / lengths
    covariance = np.linalg.pinv(scaled.T @ scaled, hermitian=True) / np.outer(lengths, lengths) * variance
    return OverlapFit(values, np.asarray(covariance), float(np.sqrt(variance)))


def _minimise(residuals: Callable[[Array], Array], start: Sequence[float] | Array) -> Array:
    result = least_squares(
        residuals,
        np.clip(start, 1e-9, np.array(MOST) * 0.999),
        bounds=([0.0, 0.0, 0.0], MOST),
        x_scale=STEPS,
        diff_step=[1e-4, 1e-4, 1e-4],
        max_nfev=60,
    )
    return np.asarray(result.x, np.float64)


def _times(errors: Callable[[Array], Array], factors: Array, own: Array) -> Array:
    return np.asarray(errors(own) * factors)


def _median_error(residuals: Array) -> float:
    return float(np.median(np.abs(residuals)))
