"""How well a case is known: the median of its passes and the standard error of that, from few passes each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from prism.plan import Plan
from prism.scenario import Scenario

#: Times of the passes of each case, in the order in which they were measured.
Runs = Mapping[Scenario, Sequence[float]]

#: Relative spread of single passes that is taken where no case has two passes yet.
PRIOR = 0.05
#: No pass is known better than this, relatively: what repeats to the digit is a coarse clock, not certainty.
FLOOR = 0.001
#: A case's own spread is mixed with that of its plan, which counts as this many differences of its own.
SHARED = 2
#: Standard deviation over median absolute value, of a normal variable.
NORMAL = 1.4826
#: Standard error of a median over that of a mean, of many normal variables: sqrt(pi / 2).
MEDIAN_LOSS = 1.2533
#: How much less one pass and two are trusted than the normal law says, as nothing in them shows that the radio held
#: one up. Tried on synthetic systems with such passes (docs/profiling.md): 1, 1.5, 2 and 3 for one pass.
DISTRUST = {1: 1.5, 2: 1.2}


@dataclass(frozen=True)
class Known:
    """A time and its standard error, in seconds, and the passes behind it."""

    time_s: float
    error_s: float
    passes: int


def relative_spreads(runs: Runs) -> tuple[dict[Scenario, float], dict[Plan, float]]:
    """The relative standard deviation of single passes, of each case that was run and of each plan.

    It comes from differences of log time between a case's successive passes, so it holds the drift between its visits.
    A plan's is a median over its cases: one pass that the radio held up does not make all others look uncertain. A
    case's own differences count beside its plan's: where one of two passes was held up, that case is uncertain.
    """
    steps = {case: _steps(times) for case, times in runs.items()}
    everything = _robust([step for own in steps.values() for step in own], PRIOR)
    by_plan: dict[Plan, list[float]] = {}
    for case, own in steps.items():
        by_plan.setdefault(case.plan, []).extend(own)
    plans = {plan: _robust(own, everything) for plan, own in by_plan.items()}
    cases = {
        case: math.sqrt((sum(step * step for step in own) + SHARED * plans[case.plan] ** 2) / (len(own) + SHARED))
        for case, own in steps.items()
    }
    return cases, plans


def known(times: Sequence[float], spread: float) -> Known:
    """What passes tell of a case whose single passes spread by `spread`, relatively; at least one pass."""
    middle = median(times)
    return Known(middle, standard_error(middle, spread, len(times)), len(times))


def standard_error(time_s: float, spread: float, passes: int) -> float:
    """Standard error of the median of so many passes, in seconds. Of one or two it is the mean."""
    return time_s * spread * DISTRUST.get(passes, MEDIAN_LOSS) / math.sqrt(passes)


def _steps(times: Sequence[float]) -> list[float]:
    """Differences of successive log times, each scaled to the standard deviation of one pass."""
    return [abs(math.log(after / before)) / math.sqrt(2) for before, after in pairwise(times)]


def _robust(steps: Sequence[float], otherwise: float) -> float:
    """Standard deviation behind the steps; with few of them partly `otherwise`, which counts as `SHARED` steps."""
    if not steps:
        return max(otherwise, FLOOR)
    own = NORMAL * median(steps)
    return max(math.sqrt((len(steps) * own**2 + SHARED * otherwise**2) / (len(steps) + SHARED)), FLOOR)
