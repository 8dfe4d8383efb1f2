"""A study that has run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from prism.profile import SystemProfile
from sim.study.crossover import BandwidthCrossover, BatchCrossover, CrossoverSolver
from sim.study.executor import Executor
from sim.study.spec import Point, Study
from sim.study.sweep import run_sweep


@dataclass(frozen=True)
class StudyResult:
    """The table of every point, and the crossovers solved for beside it."""

    study: Study
    profile: SystemProfile
    table: pd.DataFrame
    bandwidth_crossovers: tuple[BandwidthCrossover, ...]
    batch_crossovers: tuple[BatchCrossover, ...]


def run_study(
    study: Study,
    profile: SystemProfile,
    points: Sequence[Point],
    progress: Callable[[], None] = lambda: None,
    executor: Executor | None = None,
) -> StudyResult:
    """Simulate the points, on `executor` if there is one, and solve for the crossovers between them."""
    table = run_sweep(profile, points, progress, executor)
    solver = CrossoverSolver(profile)
    return StudyResult(study, profile, table, solver.bandwidths(points), solver.batches(points))
