"""Where the time of each plan goes at one setting, board by board, and what it costs in energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prism.memory import InfeasiblePlan, check_fits
from prism.plan import Plan
from prism.profile import extrapolations
from prism.scenario import Scenario
from sim.explorer.numbers import finite
from sim.explorer.objectives import values
from sim.explorer.question import Question
from sim.twin.board import StageTimes
from sim.twin.scenarios import Scenarios
from sim.twin.simulate import Times, simulate_many


@dataclass(frozen=True)
class BoardTimes:
    """One board's pass, in milliseconds. Communication is transfer and waiting together."""

    compute_ms: float
    staging_ms: float
    transfer_ms: float
    waiting_ms: float


@dataclass(frozen=True)
class Bar:
    """One plan at the setting. Times, energies and the change are None where the plan does not fit.

    Attributes:
        total_ms: on the terminal device's clock, from batch accepted to answer held.
        boards: terminal device first.
        value: of the objective, in its unit.
        change_pct: of that value against `local`; negative saves. None where `local` does not fit.
        refusal: why the plan does not fit in a board's memory; None where it does.
        extrapolated: each way in which the case lies outside what was measured.
    """

    plan: str
    mode: str
    segments: int | None
    total_ms: float | None
    boards: tuple[BoardTimes, ...]
    terminal_j: float | None
    all_boards_j: float | None
    value: float | None
    change_pct: float | None
    refusal: str | None
    extrapolated: tuple[str, ...]


def breakdown(question: Question) -> tuple[Bar, ...]:
    """A bar for each of the question's plans, `local` first."""
    plans = question.plans()
    many = Scenarios.of(question.shape, plans, question.batch, question.bandwidth_mbps, plan=np.arange(len(plans)))
    times = simulate_many(many, question.profile)
    objective = values(times, question.objective)
    change_pct = 100 * (objective / objective[0] - 1)
    return tuple(
        _bar(question, many.scenario(index), times, index, float(objective[index]), float(change_pct[index]))
        for index in range(len(plans))
    )


def _bar(question: Question, scenario: Scenario, times: Times, index: int, value: float, change_pct: float) -> Bar:
    plan = scenario.plan
    fits = bool(times.fits[index])
    return Bar(
        plan=plan.label,
        mode=plan.mode,
        segments=plan.segments,
        total_ms=finite(times.total_s[index] * 1e3),
        boards=tuple(_board(rank, index) for rank in times.ranks[: plan.devices]) if fits else (),
        terminal_j=finite(times.terminal_j[index]),
        all_boards_j=finite(times.all_boards_j[index]),
        value=finite(value),
        change_pct=finite(change_pct),
        refusal=None if fits else _refusal(question, scenario),
        extrapolated=extrapolations(question.profile, scenario),
    )


def _board(rank: StageTimes, index: int) -> BoardTimes:
    stages = (rank.compute_s, rank.staging_s, rank.transfer_s, rank.waiting_s)
    return BoardTimes(*(1e3 * float(stage[index]) for stage in stages))


def _refusal(question: Question, scenario: Scenario) -> str:
    board = question.profile.board
    try:
        check_fits(scenario.schedule(), board.usable_bytes, board.name)
    except InfeasiblePlan as reason:
        return str(reason)
    return f"does not fit on {board.name}"


def split_bars(bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    """The bars of plans that use more than one board."""
    return tuple(bar for bar in bars if bar.mode != Plan().mode)
