"""Hold each batch size out in turn: calibrate on the others, simulate the one that calibration never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.build import Calibration, ProfileFacts, calibrate
from calibration.select import FormScore
from prism.profile import SystemProfile
from prism.record import Measurement
from sim.simulate import simulate
from validation.compare import Comparison


@dataclass(frozen=True)
class Fold:
    """One batch size held out of every mode: the forms that its training rows chose, and its predictions."""

    batch: int
    scores: dict[str, tuple[FormScore, ...]]
    comparisons: tuple[Comparison, ...]


def simulate_all(runs: Sequence[Measurement], profile: SystemProfile) -> tuple[Comparison, ...]:
    """Simulate the case of every measured run."""
    return tuple(Comparison(run, simulate(run.scenario, profile)) for run in runs)


def leave_one_batch_out(runs: Sequence[Measurement], facts: ProfileFacts) -> tuple[Fold, ...]:
    """One fold for each batch size. The held-out rows of no mode are seen by any fit or choice of form."""
    folds = []
    for batch in sorted({run.batch for run in runs}):
        trained: Calibration = calibrate([run for run in runs if run.batch != batch], facts)
        held_out = [run for run in runs if run.batch == batch]
        folds.append(Fold(batch, trained.scores, simulate_all(held_out, trained.profile)))
    return tuple(folds)
