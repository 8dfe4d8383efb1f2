"""Calibrate on what a fold trains on, and simulate each case that it holds out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.build import ProfileFacts
from calibration.corpus.build import CorpusCalibration, calibrate_corpus
from calibration.corpus.cases import TOTAL, Case
from calibration.corpus.interval import estimate, interval_factor
from prism.record import Measurement
from sim.simulate import simulate
from validation.corpus.splits import Split


@dataclass(frozen=True)
class Prediction:
    """A held-out case, what was simulated for it, and between which totals its median should lie nine times in ten.

    Attributes:
        fold: that held it out.
        sd: relative standard deviation that the interval was made from.
    """

    case: Case
    simulated: Measurement
    low_s: float
    high_s: float
    fold: str
    sd: float

    def error_pct(self, stage: str = TOTAL) -> float:
        """Simulated over the measured median less 1, percent; positive where the simulator is too slow."""
        return 100 * (self.simulated.stage_s(stage) / self.case.median_s(stage) - 1)

    @property
    def covered(self) -> bool:
        """Whether the measured median lies in the interval."""
        return self.low_s <= self.case.total_s <= self.high_s


def predict(
    cases: Sequence[Case], calibration: CorpusCalibration, factor: float, fold: str = ""
) -> Iterator[Prediction]:
    """Simulate each case with a calibration; `factor` is what a standard deviation is multiplied by for an interval."""
    expected = estimate([case.scenario for case in cases], calibration)
    for case, sd in zip(cases, (each.sd for each in expected), strict=True):
        simulated = simulate(case.scenario, calibration.profile)
        reach = float(np.exp(factor * sd))
        yield Prediction(case, simulated, simulated.total_s / reach, simulated.total_s * reach, fold, sd)


def predict_split(cases: Sequence[Case], split: Split, facts: ProfileFacts) -> tuple[Prediction, ...]:
    """Predictions of every case that the split holds out, each by the fold that never saw it.

    Raises:
        InputError: a fold whose training cases do not allow a fit.
    """
    predictions: list[Prediction] = []
    for fold in split.folds:
        train = [cases[index] for index in fold.train]
        calibration = calibrate_corpus(train, facts)
        factor = interval_factor(train, calibration)
        predictions += predict([cases[index] for index in fold.test], calibration, factor, fold.name)
    return tuple(predictions)
