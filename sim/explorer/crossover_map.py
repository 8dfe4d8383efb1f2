"""The best plan over batch size and bandwidth, and by how much splitting wins or loses there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prism.profile import plan_extrapolations
from sim.explorer.numbers import finite_list
from sim.explorer.objectives import values
from sim.explorer.question import Question
from sim.twin.scenarios import Floats, Scenarios
from sim.twin.simulate import simulate_many

#: Round numbers about a third apart, so that equal cells are nearly equal steps of a logarithmic axis.
BATCHES: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
BANDWIDTHS_MBPS = tuple(
    float(mantissa * 10**power)
    for power in (0, 1, 2)
    for mantissa in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
    if mantissa * 10**power <= 2000
)
#: Where SimPy carries a plan out one scenario at a time, every third batch and bandwidth keeps the page quick.
COARSER = 3


@dataclass(frozen=True)
class Measured:
    """The batches and bandwidths that the profile was measured on, both ends included."""

    batch: tuple[int, int]
    bandwidth_mbps: tuple[float, float]


@dataclass(frozen=True)
class CrossoverMap:
    """Cells lie batch by batch, bandwidths innermost.

    Attributes:
        plans: labels; `modes` likewise. `local` is plan 0.
        values: of each plan, one of the objective a cell; None where it does not fit.
        best: number of the plan with the least value in each cell, the first of equal ones; None where none fits.
        split_saves_pct: what the best split saves of the value of `local`; negative where it costs more.
        extrapolated: of each plan, whether the cell lies outside what was measured.
        measured: None where no cell of a split was measured, as for another model or number of boards.
    """

    batches: tuple[int, ...]
    bandwidths_mbps: tuple[float, ...]
    plans: tuple[str, ...]
    modes: tuple[str, ...]
    values: tuple[list[float | None], ...]
    best: list[int | None]
    split_saves_pct: list[float | None]
    extrapolated: tuple[list[bool], ...]
    measured: Measured | None


def crossover_map(question: Question) -> CrossoverMap:
    """The map around a question; its batch and bandwidth do not matter to it."""
    plans, batches, bandwidths = question.plans(), BATCHES, BANDWIDTHS_MBPS
    if _one_by_one(question):
        batches, bandwidths = batches[::COARSER], bandwidths[::COARSER]
    times = simulate_many(Scenarios.grid(question.shape, plans, batches, bandwidths), question.profile)
    by_plan = values(times, question.objective).reshape(len(plans), -1)
    outside = times.extrapolated.reshape(len(plans), -1)
    valid = question.profile.validity
    known = [not plan_extrapolations(question.profile, question.shape, plan) for plan in plans[1:]]
    return CrossoverMap(
        batches=batches,
        bandwidths_mbps=bandwidths,
        plans=tuple(plan.label for plan in plans),
        modes=tuple(plan.mode for plan in plans),
        values=tuple(finite_list(row) for row in by_plan),
        best=_best(by_plan),
        split_saves_pct=finite_list(_split_saves_pct(by_plan)),
        extrapolated=tuple(row.tolist() for row in outside),
        measured=Measured(valid.batch, valid.bandwidth_mbps) if any(known) else None,
    )


def _one_by_one(question: Question) -> bool:
    """Whether any plan must go through SimPy: the twin says so of a single pass as of many."""
    plans = question.plans()
    passes = Scenarios.of(question.shape, plans, 1, BANDWIDTHS_MBPS[0], plan=np.arange(len(plans)))
    return bool(simulate_many(passes, question.profile).by_simpy)


def _best(by_plan: Floats) -> list[int | None]:
    known = np.where(np.isnan(by_plan), np.inf, by_plan)
    fits = np.isfinite(known.min(axis=0))
    return [number if some else None for number, some in zip(known.argmin(axis=0).tolist(), fits.tolist(), strict=True)]


def _split_saves_pct(by_plan: Floats) -> Floats:
    splits = np.where(np.isnan(by_plan[1:]), np.inf, by_plan[1:]).min(axis=0)
    saved: Floats = 100 * (1 - splits / by_plan[0])
    return saved
