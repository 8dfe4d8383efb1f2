"""From which bandwidth on, and at which batches, a plan beats local execution: solved for, with an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prism.errors import InputError
from prism.plan import Plan
from prism.profile import SystemProfile, extrapolations
from prism.scenario import Scenario
from prism.schedule import MAX_BATCH
from prism.shape import TransformerShape
from prism.units import BANDWIDTH_MBPS, check_range
from sim.answers.errors import ASSUMPTION, StageErrors
from sim.answers.gain import Gain
from sim.answers.roots import Root, Roots, RowRoots, all_roots, first_rises, scan_points

#: Bandwidths between which an answer is looked for, where no others are asked for.
SEARCH_MBPS = (1.0, 10_000.0)
#: Points of the scan that brackets roots: steps of 8 % over `SEARCH_MBPS`. Where SimPy must carry out each pass of
#: each draw, draws are scanned in steps of 2.
SCAN_POINTS = 121
COARSE_POINTS = 14
#: Every batch size up to here is looked at, where no other is asked for.
SEARCH_BATCH = 64
#: Share of the draws that an interval holds.
COVERAGE = 0.9


@dataclass(frozen=True)
class Interval:
    """Where a value lies in 90 % of the draws of the profile's errors: from their 5th to their 95th percentile.

    Attributes:
        low, high: None where the percentile lies outside the range searched: `low_side` and `high_side` say where.
        draws: how many there were.
        below: share of draws in which the value lies below the range: the plan wins in all of it, or from its start.
        above: share of draws in which it lies above the range: the plan wins nowhere in it.
        several: share of draws with more than one crossing in the range; the first counts.
        assumption: what was drawn.
    """

    low: float | None
    high: float | None
    draws: int
    below: float
    above: float
    several: float
    assumption: str = ASSUMPTION

    @property
    def low_side(self) -> str:
        """Where the 5th percentile lies: ``inside``, ``below`` or ``above`` the range."""
        return self._side(self.low, (1 - COVERAGE) / 2)

    @property
    def high_side(self) -> str:
        """Likewise the 95th."""
        return self._side(self.high, (1 + COVERAGE) / 2)

    def _side(self, end: float | None, share: float) -> str:
        if end is not None:
            return "inside"
        return "below" if self.below >= share else "above"

    @property
    def without_crossing(self) -> float:
        """Share of draws with no crossing in the range."""
        return self.below + self.above


@dataclass(frozen=True)
class BandwidthCrossover:
    """Where in a range of bandwidths a plan beats local execution of the same batch.

    Attributes:
        crossings: every bandwidth in Mbps at which the two take equally long, rising; `rises` where the plan wins from
            there on.
        wins_at_low, wins_at_high: at the ends of the range.
        monotone: whether the gain never fell from one bandwidth of the scan to the next, so that one crossing at most
            is to be expected.
        resolution_pct: step of the scan. Two crossings that lie closer together would go unseen.
        interval: of the first crossing from which the plan wins; None without residuals in the profile, or not asked.
        local_s, limit_s: latency of local execution, and of the plan without bound on bandwidth.
        extrapolated: in which ways the answer lies outside what the profile was measured on.
        by_simpy: why SimPy carried out each pass; None where the twin did.
    """

    plan: Plan
    batch: int
    searched_mbps: tuple[float, float]
    crossings: tuple[Root, ...]
    wins_at_low: bool
    wins_at_high: bool
    monotone: bool
    resolution_pct: float
    interval: Interval | None
    local_s: float
    limit_s: float
    extrapolated: tuple[str, ...]
    by_simpy: str | None


@dataclass(frozen=True)
class BatchCrossover:
    """At which batches up to a largest a plan beats local execution at a bandwidth. Every batch was looked at.

    Attributes:
        wins: first and last batch of each stretch that the plan wins.
        interval: of the first batch that it wins; `low` and `high` are whole numbers.
        extrapolated: of the first batch that it wins; of the largest where there is none.
    """

    plan: Plan
    bandwidth_mbps: float
    searched_to: int
    wins: tuple[tuple[int, int], ...]
    interval: Interval | None
    extrapolated: tuple[str, ...]
    by_simpy: str | None


def bandwidth_crossover(
    shape: TransformerShape,
    plan: Plan,
    batch: int,
    profile: SystemProfile,
    *,
    errors: StageErrors | None = None,
    search_mbps: tuple[float, float] = SEARCH_MBPS,
) -> BandwidthCrossover:
    """Solve for every bandwidth at which `plan` starts or stops to beat local execution.

    Args:
        shape: the model.
        plan: how the pass is split.
        batch: samples in the pass.
        profile: what the boards and their link cost.
        errors: draws of the profile's errors, for the interval; None for none.
        search_mbps: between which bandwidths.

    Raises:
        InfeasiblePlan: a board's memory does not hold the pass, split or local.
        InputError: a plan of one board, one that the model does not admit, or a range that is none.
    """
    gain = checked_gain(shape, plan, batch, profile, search_mbps)
    points = scan_points(*search_mbps, SCAN_POINTS)
    roots = all_roots(lambda mbps: gain.seconds(batch, mbps), points)
    return BandwidthCrossover(
        plan,
        batch,
        search_mbps,
        roots.found,
        roots.begins,
        roots.ends,
        roots.monotone == 1,
        100 * (float(points[1] / points[0]) - 1),
        None if errors is None else bandwidth_interval(gain, batch, errors, search_mbps),
        gain.limit_s(batch),
        gain.split.limit_s(batch),
        _extrapolated(shape, plan, batch, profile, roots, search_mbps),
        gain.split.by_simpy,
    )


def checked_gain(
    shape: TransformerShape,
    plan: Plan,
    batch: int,
    profile: SystemProfile,
    search_mbps: tuple[float, float],
    *,
    target_s: float | None = None,
    margin: float = 0.0,
) -> Gain:
    """The gain of a plan, where a question about bandwidth makes sense at all; raises as `bandwidth_crossover` does."""
    low, high = search_mbps
    for mbps in search_mbps:
        check_range("bandwidth to search", mbps, *BANDWIDTH_MBPS)
    if not low < high:
        raise InputError(f"the bandwidths to search run from {low:g} to {high:g} Mbps; give the lower one first")
    _refuse_local(plan)
    gain = Gain(shape, plan, profile, target_s=target_s, margin=margin)
    gain.split.check_fits(batch)
    if target_s is None:
        gain.local.check_fits(batch)
    return gain


def bandwidth_interval(gain: Gain, batch: int, errors: StageErrors, search_mbps: tuple[float, float]) -> Interval:
    """Where the first bandwidth from which the gain is positive lies, over the draws of the profile's errors."""
    points = scan_points(*search_mbps, SCAN_POINTS if gain.split.by_simpy is None else COARSE_POINTS)
    return _interval(first_rises(gain.drawn(batch, errors), errors.draws, points))


def batch_crossover(
    shape: TransformerShape,
    plan: Plan,
    bandwidth_mbps: float,
    profile: SystemProfile,
    *,
    errors: StageErrors | None = None,
    largest: int = SEARCH_BATCH,
) -> BatchCrossover:
    """Every stretch of batches up to `largest` at which `plan` beats local execution.

    Batches are whole numbers, and gains go up and down with them: all of them are looked at. A batch that fits in no
    board's memory is not won, one that fits only split is.

    Raises:
        InputError: as for `bandwidth_crossover`.
    """
    check_range("largest batch", largest, 1, min(MAX_BATCH, 100_000))
    _refuse_local(plan)
    gain = Gain(shape, plan, profile)
    wins = _stretches(gain.seconds(np.arange(1, largest + 1), bandwidth_mbps) >= 0)
    first = None if errors is None else _first_batches(gain, largest, bandwidth_mbps, errors)
    named = wins[0][0] if wins else largest
    outside = extrapolations(profile, Scenario(shape, named, bandwidth_mbps, plan))
    return BatchCrossover(
        plan, bandwidth_mbps, largest, wins, None if first is None else _interval(first), outside, gain.split.by_simpy
    )


def _first_batches(gain: Gain, largest: int, bandwidth_mbps: float, errors: StageErrors) -> RowRoots:
    """The first batch won in each draw."""
    rows, batches = np.divmod(np.arange(errors.draws * largest), largest)
    split_s = gain.split.seconds(batches + 1, bandwidth_mbps, errors.of(gain.split.plan.mode, rows))
    local_s = gain.local.seconds(batches + 1, bandwidth_mbps, errors.of("local", rows))
    wins = (np.isfinite(split_s) & (split_s <= local_s)).reshape(errors.draws, largest)
    first = np.where(wins.any(axis=1), wins.argmax(axis=1) + 1.0, np.inf)
    return RowRoots(first, np.array([len(_stretches(row)) > 1 for row in wins], bool))


def _stretches(wins: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """First and last number, counted from 1, of each run of True."""
    edges = np.diff(np.concatenate(([False], wins, [False])).astype(np.int8))
    return tuple(zip((np.flatnonzero(edges == 1) + 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _interval(roots: RowRoots) -> Interval:
    """Percentiles over all draws; those without a crossing lie at 0 or at infinity, and are counted in."""
    tail = (1 - COVERAGE) / 2
    ranked = np.sort(roots.x)  # numpy's quantile would subtract one infinity from another
    low, high = (float(ranked[math.ceil(q * len(ranked) - 1e-9) - 1]) for q in (tail, 1 - tail))
    return Interval(
        _inside(low),
        _inside(high),
        len(roots.x),
        float((roots.x == 0).mean()),
        float(np.isinf(roots.x).mean()),
        float(roots.several.mean()),
    )


def _inside(x: float) -> float | None:
    return x if 0 < x < float("inf") else None


def _extrapolated(
    shape: TransformerShape,
    plan: Plan,
    batch: int,
    profile: SystemProfile,
    roots: Roots,
    search_mbps: tuple[float, float],
) -> tuple[str, ...]:
    """At the first crossing; at the upper end of the range where there is none."""
    mbps = roots.found[0].x if roots.found else search_mbps[1]
    return extrapolations(profile, Scenario(shape, batch, mbps, plan))


def _refuse_local(plan: Plan) -> None:
    if plan.mode == "local":
        raise InputError("local execution sees no network and cannot beat itself; choose full_tensor or segment_means")
