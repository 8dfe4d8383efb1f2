"""What a corpus said when last looked at, in a file beside it: every case's held-out error, and the targets missed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from prism.files import parse_json, read_text, to_json, write_text
from prism.stored import Stored
from validation.corpus.predict import Prediction
from validation.gates import Gate

#: Two versions of numpy or scipy do not fit to the same bit.
ROUNDING = 0.01


@dataclass(frozen=True)
class Baseline(Stored):
    """What must not get worse.

    Attributes:
        errors_pct: errors of the total in the five folds, percent, by the label of the case.
        missed: value of each gate that failed, by its name. They stay failures in every report; a run that compares
            itself with the baseline fails only for what is new or worse.
    """

    errors_pct: dict[str, float]
    missed: dict[str, float] = field(default_factory=dict)
    format: Literal["prism.baseline/1"] = "prism.baseline/1"


def errors_by_case(predictions: Iterable[Prediction]) -> dict[str, float]:
    """Error of the total of each predicted case, by its label."""
    return {pair.case.key.label: round(pair.error_pct(), 3) for pair in predictions}


def read_baseline(path: Path) -> Baseline:
    """A baseline file.

    Raises:
        InputError: missing, broken or of an unknown version.
    """
    return parse_json(Baseline, read_text(path), str(path))


def write_baseline(path: Path, predictions: Iterable[Prediction], gates: Iterable[Gate] = ()) -> None:
    """Write the errors of these predictions as the baseline, and which of the gates failed."""
    missed = {gate.name: round(gate.value, 4) for gate in gates if not gate.passed and math.isfinite(gate.value)}
    write_text(path, to_json(Baseline(errors_by_case(predictions), missed), indent=2) + "\n")


def missed_before(gate: Gate, baseline: Baseline | None) -> bool:
    """Whether a gate failed already when the baseline was written, and is no worse now."""
    before = None if baseline is None else baseline.missed.get(gate.name)
    return before is not None and not gate.passed and gate.value <= before * (1 + ROUNDING)
