"""Errors of predictions, by mode and stage, beside the noise floor and the coverage of intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.corpus.cases import TOTAL
from prism.plan import MODES
from prism.record import STAGES
from validation.corpus.predict import Prediction

#: All modes together.
ALL = "all"


@dataclass(frozen=True)
class Errors:
    """Errors of a stage, or of the total, over cases; percent.

    Attributes:
        mape_pct: mean of absolute errors; `median_pct`, `p90_pct` and `max_pct` are of the same.
        bias_pct: mean of signed errors, positive where the simulator is too slow.
        noise_floor_pct: the repeat spread: the mean over the cases of the median absolute deviation of a case's runs
            from their median. No model can be expected to err less on a single run.
    """

    cases: int
    mape_pct: float
    median_pct: float
    p90_pct: float
    max_pct: float
    bias_pct: float
    noise_floor_pct: float


@dataclass(frozen=True)
class ModeErrors:
    """Errors of a mode: of the total and of each stage that took time, and how many intervals held their median."""

    stages: dict[str, Errors]
    coverage_pct: float

    @property
    def total(self) -> Errors:
        return self.stages[TOTAL]


def errors_of(predictions: Sequence[Prediction], stage: str) -> Errors | None:
    """Errors of one stage; None where no case spent time in it."""
    pairs = [pair for pair in predictions if pair.case.median_s(stage) > 0]
    if not pairs:
        return None
    signed = np.array([pair.error_pct(stage) for pair in pairs])
    absolute = np.abs(signed)
    return Errors(
        cases=len(pairs),
        mape_pct=float(absolute.mean()),
        median_pct=float(np.median(absolute)),
        p90_pct=float(np.quantile(absolute, 0.9)),
        max_pct=float(absolute.max()),
        bias_pct=float(signed.mean()),
        noise_floor_pct=float(np.mean([pair.case.spread_pct(stage) for pair in pairs])),
    )


def by_mode(predictions: Iterable[Prediction]) -> dict[str, ModeErrors]:
    """Errors of each mode that occurs, and of `ALL` of them."""
    predictions = list(predictions)
    groups: dict[str, list[Prediction]] = {
        mode: [pair for pair in predictions if pair.case.key.plan.mode == mode] for mode in MODES
    }
    groups[ALL] = predictions
    return {mode: _mode_errors(pairs) for mode, pairs in groups.items() if pairs}


def _mode_errors(predictions: Sequence[Prediction]) -> ModeErrors:
    found = {stage: errors_of(predictions, stage) for stage in (TOTAL, *STAGES)}
    covered = 100 * float(np.mean([pair.covered for pair in predictions]))
    return ModeErrors({stage: errors for stage, errors in found.items() if errors is not None}, covered)
