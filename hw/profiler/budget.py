"""Where the next visit is worth most: the case that lowers the expected regret of all decisions the furthest.

A decision is a batch size and a bandwidth: which plan is fastest there? From the medians so far, their standard errors,
and interpolation to bandwidths not measured yet follows how much is expected to be lost by taking the plan that looks
best. A visit is tried out on paper for every case, as if it confirmed what is believed and only made it surer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hw.profiler.grid import Grid
from hw.profiler.noise import Known, Runs, known, relative_spreads, standard_error
from prism.plan import Plan
from prism.policy.interpolate import MonotoneCurve, non_decreasing
from prism.scenario import Scenario

#: Plans that the policy may have to choose among; an accuracy that is asked for rules some out.
Choice = tuple[Plan, ...]
#: Believed times and standard errors in seconds, one a bandwidth of the grid.
Beliefs = tuple[tuple[float, float], ...]
#: Less expected regret than this, in the sum over all decisions, is none: 1e-6 is a ten-thousandth of a point.
NOTHING = 1e-6


@dataclass(frozen=True)
class Worth:
    """A case and by how much a visit to it lowers the expected regret, summed over decisions, relative to the best."""

    case: Scenario
    gain: float


def next_case(grid: Grid, runs: Runs, passes: int, choices: Sequence[Choice] = ()) -> Scenario | None:
    """The case to visit next, for so many passes. The same runs give the same answer; ties go by the grid's order.

    Where all decisions are clear it is the case that is known worst. None if no case was ever run.

    Args:
        grid: all cases.
        runs: passes so far. A plan with none at a batch size is left out there: a board's memory does not hold it.
        passes: of the visit.
        choices: sets of plans to decide among, each weighing the same; all plans together if empty.
    """
    spreads, of_plan = relative_spreads(runs)
    spread = {case: spreads.get(case, of_plan.get(case.plan)) for case in grid.cases}
    facts = {case: known(times, spreads[case]) for case, times in runs.items() if times}
    best: Worth | None = None
    for batch in grid.batches:
        for worth in _worths(_Batch(grid, batch, facts, choices or (grid.plans,)), spread, passes):
            if best is None or worth.gain > best.gain:
                best = worth
    if best is not None and best.gain > NOTHING:
        return best.case
    return _known_worst(grid, facts)


class _Batch:
    """What is believed at one batch size."""

    def __init__(self, grid: Grid, batch: int, facts: Mapping[Scenario, Known], choices: Sequence[Choice]) -> None:
        self.grid = grid
        self.batch = batch
        points = {plan: self._points(plan, facts) for plan in grid.plans}
        self.points = {plan: own for plan, own in points.items() if own}
        self.beliefs = {plan: beliefs(grid, own) for plan, own in self.points.items()}
        self.choices = [tuple(plan for plan in choice if plan in self.points) for choice in choices]

    def _points(self, plan: Plan, facts: Mapping[Scenario, Known]) -> dict[float, Known]:
        cases = {mbps: self.grid.case(plan, self.batch, mbps) for mbps in self.grid.bandwidths_mbps}
        return {mbps: facts[case] for mbps, case in cases.items() if case in facts}

    def regret(self, instead: Mapping[Plan, Beliefs], of: Plan | None = None) -> float:
        """Expected regret, summed over bandwidths and those choices that `of` is in, with some beliefs replaced."""
        held = {**self.beliefs, **instead}
        return sum(
            expected_regret([held[plan][index] for plan in choice])
            for choice in self.choices
            if of is None or of in choice
            for index in range(len(self.grid.bandwidths_mbps))
        )

    def after(self, plan: Plan, mbps: float, spread: float, passes: int) -> Beliefs:
        """What would be believed of a plan after a visit that finds what is believed now."""
        index = self.grid.bandwidths_mbps.index(mbps)
        before = self.points[plan].get(mbps)
        time_s = self.beliefs[plan][index][0] if before is None else before.time_s
        count = passes + (0 if before is None else before.passes)
        error_s = standard_error(time_s, spread, count)
        surer = Known(time_s, error_s if before is None else min(error_s, before.error_s), count)
        places = self.grid.bandwidths_mbps if plan.mode == "local" else (mbps,)
        return beliefs(self.grid, {**self.points[plan], **dict.fromkeys(places, surer)})


def _worths(batch: _Batch, spread: Mapping[Scenario, float | None], passes: int) -> list[Worth]:
    worths = []
    for plan in batch.points:
        now = batch.regret({}, plan)
        for mbps in batch.grid.bandwidths_mbps if plan.mode != "local" else batch.grid.bandwidths_mbps[:1]:
            case = batch.grid.case(plan, batch.batch, mbps)
            after = batch.after(plan, mbps, spread[case] or 0.0, passes)
            worths.append(Worth(case, now - batch.regret({plan: after}, plan)))
    return worths


def beliefs(grid: Grid, points: Mapping[float, Known]) -> Beliefs:
    """Time and standard error at each bandwidth of the grid, from those that were measured.

    Times are those that the performance map will give. Between two measured bandwidths all that is certain is that time
    lies between theirs, so the curve itself is uncertain there: by their difference times u (1 - u), which is a quarter
    of it in the middle, near the 0.29 of a uniform distribution.
    """
    measured = sorted(points, reverse=True)  # rising 1 / bandwidth
    x = [1 / mbps for mbps in measured]
    facts = [points[mbps] for mbps in measured]
    curve = MonotoneCurve(x, non_decreasing([fact.time_s for fact in facts], [fact.passes for fact in facts]))
    return tuple((curve.at(1 / mbps), _error_s(curve, facts, 1 / mbps)) for mbps in grid.bandwidths_mbps)


def _error_s(curve: MonotoneCurve, facts: Sequence[Known], x: float) -> float:
    for index, at in enumerate(curve.x):
        if x == at:
            return facts[index].error_s
        if x < at and index > 0:
            u = (x - curve.x[index - 1]) / (at - curve.x[index - 1])
            shape = (curve.y[index] - curve.y[index - 1]) * u * (1 - u)
            return math.hypot((1 - u) * facts[index - 1].error_s, u * facts[index].error_s, shape)
    return facts[0 if x < curve.x[0] else -1].error_s


def expected_regret(beliefs: Sequence[tuple[float, float]]) -> float:
    """What is expected to be lost by taking the plan that looks fastest, relative to its time.

    The sum over the other plans of E[max(0, t_best - t_other)], each time normal about what is believed, independent.
    At most one plan is truly faster where it matters, so the sum bounds the maximum closely.
    """
    if len(beliefs) < 2:
        return 0.0
    best = min(range(len(beliefs)), key=lambda index: beliefs[index][0])
    best_s, best_error_s = beliefs[best]
    return sum(
        expected_excess(time_s - best_s, math.hypot(error_s, best_error_s)) / best_s
        for index, (time_s, error_s) in enumerate(beliefs)
        if index != best
    )


def expected_excess(gap: float, error: float) -> float:
    """E[max(0, -d)] for d normal with mean `gap` >= 0 and standard deviation `error`: s phi(g/s) - g Phi(-g/s)."""
    if error <= 0:
        return 0.0
    z = gap / error
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return max(error * density - gap * math.erfc(z / math.sqrt(2)) / 2, 0.0)


def _known_worst(grid: Grid, facts: Mapping[Scenario, Known]) -> Scenario | None:
    """The case of the largest relative standard error; one that was never run before any other."""
    held = {(case.plan, case.batch) for case in facts}
    cases = [case for case in grid.cases if (case.plan, case.batch) in held]
    return max(
        cases,
        key=lambda case: facts[case].error_s / facts[case].time_s if case in facts else math.inf,
        default=None,
    )
