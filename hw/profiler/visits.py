"""Which case each visit of a sweep goes to: rounds over everything, or a survey and then where it is worth most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hw.profiler.budget import Choice, next_case
from hw.profiler.grid import Grid
from hw.profiler.noise import Runs
from hw.profiler.order import case_of_visit
from prism.errors import InputError
from prism.scenario import Scenario

#: Passes of a visit after the survey.
FOCUS_PASSES = 2


@dataclass(frozen=True)
class Visit:
    """Preparing one case, warming it up, and timing some passes."""

    number: int
    case: Scenario
    passes: int


class Visits(Protocol):
    """Decides visit after visit. The same answers for the same runs: a resumed sweep goes on as it would have."""

    @property
    def grid(self) -> Grid:
        """All cases that there are."""

    @property
    def seed(self) -> int:
        """Of the random orders."""

    @property
    def name(self) -> str:
        """All that makes its order what it is; how long it goes on is left out, so a sweep can be made longer."""

    @property
    def budget(self) -> int | None:
        """Timed passes of the whole sweep; None where it ends when all visits are done."""

    def visit(self, number: int, runs: Runs) -> Visit | None:
        """The visit of this number, from the runs of those before it; None when the sweep is over."""

    def ahead(self, number: int) -> Sequence[Scenario]:
        """The case of every pass from this visit on, as far as it is known beforehand."""


@dataclass(frozen=True)
class FullSweep:
    """Every case in every round, each round in another random order."""

    grid: Grid
    seed: int
    rounds: int = 4
    passes_per_visit: int = 5

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.passes_per_visit < 1:
            raise InputError(f"a sweep of {self.rounds} rounds of {self.passes_per_visit} passes measures nothing")

    @property
    def name(self) -> str:
        return f"full, {self.passes_per_visit} passes a visit"

    @property
    def budget(self) -> int | None:
        return None

    def visit(self, number: int, runs: Runs) -> Visit | None:  # noqa: ARG002
        if number >= len(self.grid.cases) * self.rounds:
            return None
        return Visit(number, case_of_visit(self.grid.cases, self.seed, number), self.passes_per_visit)

    def ahead(self, number: int) -> Sequence[Scenario]:
        visits = range(number, len(self.grid.cases) * self.rounds)
        cases = [case_of_visit(self.grid.cases, self.seed, later) for later in visits]
        return [case for case in cases for _ in range(self.passes_per_visit)]


@dataclass(frozen=True)
class BudgetedSweep:
    """A survey with one pass a visit, then the rest of `passes` where a decision is near."""

    grid: Grid
    seed: int
    passes: int = 200
    choices: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        least = len(self.grid.survey)
        if self.passes < least:
            raise InputError(f"a budget of {self.passes} passes does not cover the survey; give at least {least}")
        for choice in self.choices:
            if unknown := set(choice) - set(self.grid.plans):
                raise InputError(f"plan {unknown.pop().label} is to be chosen but is not measured; add it to the sweep")

    @property
    def name(self) -> str:
        labels = "; ".join(" | ".join(map(repr, choice)) for choice in self.choices)
        return f"survey, then {FOCUS_PASSES} passes a visit where decisions are near {labels}".strip()

    @property
    def budget(self) -> int | None:
        return self.passes

    def visit(self, number: int, runs: Runs) -> Visit | None:
        survey = self.grid.survey
        if number < len(survey):
            return Visit(number, case_of_visit(survey, self.seed, number), 1)
        passes = min(FOCUS_PASSES, self.passes - sum(map(len, runs.values())))
        case = next_case(self.grid, runs, passes, self.choices) if passes > 0 else None
        return None if case is None else Visit(number, case, passes)

    def ahead(self, number: int) -> Sequence[Scenario]:
        survey = self.grid.survey
        return [case_of_visit(survey, self.seed, later) for later in range(number, len(survey))]


def visits_for(
    grid: Grid, seed: int, passes: int | None = None, rounds: int = 4, choices: tuple[Choice, ...] = ()
) -> Visits:
    """How a sweep is to go: within a budget of `passes`, or in full with five passes in each of `rounds`.

    A budget that covers the full sweep is not spent on being clever.
    """
    if passes is None or passes >= len(grid.cases) * rounds * FullSweep.passes_per_visit:
        return FullSweep(grid, seed, rounds)
    return BudgetedSweep(grid, seed, passes, choices)
