"""Simulated against measured, case by case and stage by stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from prism.plan import MODES, Mode
from prism.record import STAGES, Measurement

TOTAL = "total"


@dataclass(frozen=True)
class Comparison:
    """One measured case and what the simulator says of it."""

    measured: Measurement
    simulated: Measurement

    @property
    def mode(self) -> Mode:
        return self.measured.plan.mode

    def error_pct(self, stage: str = TOTAL) -> float:
        """Relative error of a stage or the total, positive where the simulator is too slow."""
        return 100 * (self.simulated.stage_s(stage) / self.measured.stage_s(stage) - 1)


@dataclass(frozen=True)
class ErrorSummary:
    """Errors of several cases, in percent."""

    cases: int
    mape_pct: float
    max_pct: float
    bias_pct: float

    @classmethod
    def of(cls, errors_pct: Sequence[float]) -> ErrorSummary:
        """Mean and largest absolute error, and the mean of the signed errors."""
        errors = np.array(errors_pct)
        return cls(len(errors), float(np.abs(errors).mean()), float(np.abs(errors).max()), float(errors.mean()))


@dataclass(frozen=True)
class ModeSummary:
    """Errors of a mode's total and of each of its stages that took time."""

    total: ErrorSummary
    stages: dict[str, ErrorSummary]


def summarise(comparisons: Iterable[Comparison]) -> dict[Mode, ModeSummary]:
    """Errors by mode."""
    comparisons = list(comparisons)
    summaries: dict[Mode, ModeSummary] = {}
    for mode in MODES:
        of_mode = [comparison for comparison in comparisons if comparison.mode == mode]
        if of_mode:
            summaries[mode] = _summary(of_mode)
    return summaries


def _summary(comparisons: Sequence[Comparison]) -> ModeSummary:
    stages = {}
    for stage in STAGES:
        errors = [pair.error_pct(stage) for pair in comparisons if pair.measured.stage_s(stage) > 0]
        if errors:
            stages[stage] = ErrorSummary.of(errors)
    return ModeSummary(ErrorSummary.of([pair.error_pct() for pair in comparisons]), stages)
