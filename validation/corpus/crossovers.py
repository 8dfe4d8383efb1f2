"""Where splitting begins to pay: measured and simulated batch and bandwidth, with intervals.

Along one axis (batches at a bandwidth, or bandwidths at a batch size) the logarithm of best distributed over local
latency is joined by straight lines over the logarithm of the axis. Where it crosses zero is the crossover. Intervals
are the 5 % and 95 % quantiles over draws in which every median is moved by its own standard deviation: the standard
error of a median for the measured one, that of the prediction for the simulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

import numpy as np

from calibration.corpus.regress import Array
from validation.corpus.decisions import Decision

DRAWS = 400
SEED = 20260

Axis = Literal["batch", "bandwidth"]


@dataclass(frozen=True)
class Crossing:
    """Where a curve crosses zero, with an interval that nine in ten draws lie in; None where it does not cross.

    `crosses_pct` is how many of the draws cross at all.
    """

    at: float | None
    low: float | None
    high: float | None
    crosses_pct: float


@dataclass(frozen=True)
class Crossover:
    """The measured and the simulated crossing of one line of decisions."""

    axis: Axis
    label: str
    measured: Crossing
    simulated: Crossing

    @property
    def error_pct(self) -> float | None:
        """Simulated over measured less 1; None where either does not cross."""
        if self.measured.at is None or self.simulated.at is None:
            return None
        return 100 * (self.simulated.at / self.measured.at - 1)


def crossovers(found: Sequence[Decision], axis: Axis) -> tuple[Crossover, ...]:
    """Crossovers along an axis, one for each line that holds at least two decisions and one crossing."""
    lines = [_line(label, list(group), axis) for label, group in _groups(found, axis)]
    return tuple(line for line in lines if line is not None)


def _groups(found: Sequence[Decision], axis: Axis) -> list[tuple[str, list[Decision]]]:
    def fixed(each: Decision) -> str:
        plan = each.setting[3]
        other = f"{each.setting[2]} Mbps" if axis == "batch" else f"b{each.batch}"
        return f"{each.model} {other} {plan.devices} boards {plan.exchange} {plan.input_distribution} {plan.wire_dtype}"

    return [(label, list(group)) for label, group in groupby(sorted(found, key=fixed), key=fixed)]


def _line(label: str, group: list[Decision], axis: Axis) -> Crossover | None:
    x_of: Callable[[Decision], float] = (lambda d: float(d.batch)) if axis == "batch" else (lambda d: d.bandwidth_mbps)
    group = sorted(group, key=x_of)
    x = np.log([x_of(each) for each in group])
    if len(group) < 2 or len(set(x)) < len(x):
        return None
    rng = np.random.default_rng(SEED)
    measured = _crossing(x, *_measured(group), rng)
    simulated = _crossing(x, *_simulated(group), rng)
    if measured.at is None and simulated.at is None:
        return None
    return Crossover(axis, label, measured, simulated)


def _measured(group: Sequence[Decision]) -> tuple[Array, Array]:
    """Logarithm of best distributed over local, and its standard error."""
    best = [min(each.distributed, key=lambda pair: pair.case.total_s).case for each in group]
    local = [each.local.case for each in group]
    ratio = np.array([np.log(a.total_s / b.total_s) for a, b in zip(best, local, strict=True)])
    return ratio, np.array([np.hypot(a.median_sigma(), b.median_sigma()) for a, b in zip(best, local, strict=True)])


def _simulated(group: Sequence[Decision]) -> tuple[Array, Array]:
    best = [min(each.distributed, key=lambda pair: pair.simulated.total_s) for each in group]
    local = [each.local for each in group]
    ratio = [np.log(a.simulated.total_s / b.simulated.total_s) for a, b in zip(best, local, strict=True)]
    return np.array(ratio), np.array([np.hypot(a.sd, b.sd) for a, b in zip(best, local, strict=True)])


def _crossing(x: Array, ratio: Array, sd: Array, rng: np.random.Generator) -> Crossing:
    drawn = [_zero(x, ratio + sd * rng.standard_normal(len(x))) for _ in range(DRAWS)]
    at = _zero(x, ratio)
    crossed = [each for each in drawn if each is not None]
    share = 100 * len(crossed) / DRAWS
    if at is None or not crossed:
        return Crossing(at, None, None, share)
    low, high = np.quantile(crossed, [0.05, 0.95])
    return Crossing(at, float(low), float(high), share)


def _zero(x: Array, ratio: Array) -> float | None:
    """The first crossing of zero, where lines are straight over the logarithm."""
    for (x0, y0), (x1, y1) in pairwise(zip(x, ratio, strict=True)):
        if y0 == 0 or (y0 < 0) != (y1 < 0):
            return float(np.exp(x0 + (x1 - x0) * (y0 / (y0 - y1) if y0 != y1 else 0.0)))
    return None
