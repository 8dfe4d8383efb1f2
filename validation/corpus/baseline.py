"""The held-out error of every case as it was when last looked at, in a file beside the corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prism.files import parse_json, read_text, to_json, write_text
from prism.stored import Stored
from validation.corpus.predict import Prediction


@dataclass(frozen=True)
class Baseline(Stored):
    """Errors of the total in the five folds, percent, by the label of the case."""

    errors_pct: dict[str, float]
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


def write_baseline(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write the errors of these predictions as the baseline."""
    write_text(path, to_json(Baseline(errors_by_case(predictions)), indent=2) + "\n")
