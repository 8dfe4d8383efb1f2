"""The limits that a validation must keep, written down before any is measured, and whether it kept them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prism.plan import Mode
from validation.closed_forms import ClosedFormCheck
from validation.compare import ModeSummary
from validation.gains import Gain

#: Mean absolute error of the total latency of left-out batch sizes, percent.
MAPE_LIMITS_PCT: dict[Mode, float] = {"local": 1.5, "segment_means": 4.0, "full_tensor": 4.5}
WORST_CASE_LIMIT_PCT = 10.0
GAIN_LIMIT_POINTS = 2.0
CLOSED_FORM_LIMIT = 1e-9


@dataclass(frozen=True)
class Gate:
    """One limit: passed where `value` is at most `limit`."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        return self.value <= self.limit


def latency_gates(modes: Mapping[Mode, ModeSummary]) -> Iterator[Gate]:
    """Error of the total latency of left-out batch sizes."""
    for mode, limit in MAPE_LIMITS_PCT.items():
        if mode in modes:
            total = modes[mode].total
            yield Gate(f"{mode}: MAPE of left-out batches", total.mape_pct, limit, "%")
            yield Gate(f"{mode}: worst left-out batch", total.max_pct, WORST_CASE_LIMIT_PCT, "%")


def gain_gates(gains: Sequence[Gain]) -> Iterator[Gate]:
    """The published latency gains and choices, with all data."""
    for gain in gains:
        yield Gate(f"batch {gain.batch}: latency gain", abs(gain.latency_error_points), GAIN_LIMIT_POINTS, "points")
    wrong = sum(gain.simulated_choice != gain.published_choice for gain in gains)
    yield Gate("choices that differ from the published ones", wrong, 0, "")


def closed_form_gates(checks: Sequence[ClosedFormCheck]) -> Iterator[Gate]:
    """The simulator against sums written on paper."""
    for check in checks:
        yield Gate(check.name, check.relative_error, CLOSED_FORM_LIMIT, "relative")
