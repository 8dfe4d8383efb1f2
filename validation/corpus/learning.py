"""How the held-out error falls with the number of cases that were measured, and which cases those should be.

Within each of the five folds the calibration sees the first n of its training cases, in the order of
`calibration.corpus.design` (each next case is the one that tells most), and in random orders for comparison. The error
is that of the whole fold's held-out cases, the same for every n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.build import ProfileFacts
from calibration.corpus.build import calibrate_corpus
from calibration.corpus.cases import Case
from calibration.corpus.design import measuring_order
from prism.errors import InputError
from sim.simulate import simulate
from validation.corpus.splits import Fold, Split

SIZES = (15, 20, 30, 40, 50, 75, 100, 150, 250)
RANDOM_ORDERS = 2
SEED = 7


@dataclass(frozen=True)
class LearningPoint:
    """Held-out MAPE of the total with n training cases; None where some fold's cases did not allow a fit."""

    cases: int
    designed_pct: float | None
    random_pct: float | None


def learning_curve(cases: Sequence[Case], split: Split, facts: ProfileFacts) -> tuple[LearningPoint, ...]:
    """Points at `SIZES`, and one with all training cases."""
    most = min(len(fold.train) for fold in split.folds)
    sizes = [size for size in SIZES if size < most]
    rng = np.random.default_rng(SEED)
    designed: dict[int, list[float | None]] = {size: [] for size in sizes}
    drawn: dict[int, list[float | None]] = {size: [] for size in sizes}
    full: list[float | None] = []
    for fold in split.folds:
        order = [fold.train[index] for index in measuring_order([cases[index].scenario for index in fold.train])]
        orders = [rng.permutation(fold.train) for _ in range(RANDOM_ORDERS)]
        for size in sizes:
            designed[size].append(_mape(cases, order[:size], fold, facts))
            drawn[size] += [_mape(cases, each[:size].tolist(), fold, facts) for each in orders]
        full.append(_mape(cases, fold.train, fold, facts))
    points = [LearningPoint(size, _mean(designed[size]), _mean(drawn[size])) for size in sizes]
    return (*points, LearningPoint(most, _mean(full), _mean(full)))


def cases_needed(curve: Sequence[LearningPoint], times: float = 1.5) -> int | None:
    """The least n from which on the designed order errs at most `times` as much as the full fit."""
    full = curve[-1].designed_pct
    if full is None:
        return None
    needed = None
    for point in reversed(curve):
        if point.designed_pct is None or point.designed_pct > times * full:
            break
        needed = point.cases
    return needed


def _mape(cases: Sequence[Case], train: Sequence[int], fold: Fold, facts: ProfileFacts) -> float | None:
    try:
        profile = calibrate_corpus([cases[index] for index in train], facts).profile
        errors = [simulate(cases[i].scenario, profile).total_s / cases[i].total_s - 1 for i in fold.test]
    except InputError:
        return None
    return 100 * float(np.abs(errors).mean())


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) and known else None
