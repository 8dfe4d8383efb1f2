"""The whole validation on the published measurements: held-out errors, gains, closed forms, gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calibration.build import Calibration, calibrate
from calibration.published import PUBLISHED_FACTS, published_measurements
from prism.plan import Mode
from validation.closed_forms import ClosedFormCheck, closed_form_checks
from validation.compare import Comparison, ErrorSummary, ModeSummary, summarise
from validation.gains import Gain, published_gains
from validation.gates import Gate, closed_form_gates, gain_gates, latency_gates
from validation.holdout import Fold, leave_one_batch_out, simulate_all
from validation.oddities import published_oddities


@dataclass(frozen=True)
class Validation:
    """Everything a validation found.

    Attributes:
        calibration: fitted to all runs.
        fitted: every run simulated with that fit (not held out).
        folds: one for each batch size that was held out.
        modes: held-out errors by mode.
    """

    calibration: Calibration
    fitted: tuple[Comparison, ...]
    folds: tuple[Fold, ...]
    modes: dict[Mode, ModeSummary]
    gains: tuple[Gain, ...]
    closed_forms: tuple[ClosedFormCheck, ...]
    oddities: tuple[str, ...]
    gates: tuple[Gate, ...]

    @property
    def held_out(self) -> tuple[Comparison, ...]:
        return tuple(pair for fold in self.folds for pair in fold.comparisons)

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.gates)


def validate_published() -> Validation:
    """Validate the simulator against the published tables of the Orin Nano pair."""
    runs = published_measurements()
    calibration = calibrate(runs, PUBLISHED_FACTS)
    folds = leave_one_batch_out(runs, PUBLISHED_FACTS)
    modes = summarise(pair for fold in folds for pair in fold.comparisons)
    fitted = simulate_all(runs, calibration.profile)
    gains = published_gains(fitted)
    checks = closed_form_checks()
    gates = (*latency_gates(modes), *gain_gates(gains), *closed_form_gates(checks))
    return Validation(calibration, fitted, folds, modes, gains, checks, published_oddities(), gates)


def validation_summary(validation: Validation) -> dict[str, Any]:
    """What `prism validate --json` prints."""
    return {
        "gates_passed": validation.passed,
        "modes": {mode: _mode_json(summary) for mode, summary in validation.modes.items()},
        "gains": [
            {
                "batch": gain.batch,
                "published_latency_pct": gain.published_latency_pct,
                "simulated_latency_pct": gain.simulated_latency_pct,
                "published_energy_pct": gain.published_energy_pct,
                "simulated_energy_pct": gain.simulated_energy_pct,
            }
            for gain in validation.gains
        ],
        "choices": {str(gain.batch): gain.simulated_choice for gain in validation.gains},
        "gates": [
            {"name": gate.name, "value": gate.value, "limit": gate.limit, "unit": gate.unit, "passed": gate.passed}
            for gate in validation.gates
        ],
        "oddities": list(validation.oddities),
    }


def _mode_json(summary: ModeSummary) -> dict[str, Any]:
    return {
        **_errors_json(summary.total),
        "stages": {stage: _errors_json(errors) for stage, errors in summary.stages.items()},
    }


def _errors_json(errors: ErrorSummary) -> dict[str, Any]:
    return {
        "mape_pct": errors.mape_pct,
        "max_pct": errors.max_pct,
        "bias_pct": errors.bias_pct,
        "cases": errors.cases,
    }
