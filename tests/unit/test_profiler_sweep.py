"""The sweep: each case as often as was asked, in random order, interrupted anywhere, nothing lost or repeated."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw.profiler.grid import PAPER_BANDWIDTHS_MBPS, PAPER_BATCHES, PAPER_PASSES, PAPER_SEGMENTS, Grid, paper_grid
from hw.profiler.log import RunLog
from hw.profiler.order import permutation
from hw.profiler.session import Session
from hw.profiler.sweep import Sweep, SweepResult, TimeLeft
from hw.profiler.visits import BudgetedSweep, FullSweep, Visits, visits_for
from prism.catalogue import shape_of
from prism.errors import InputError
from prism.memory import InfeasiblePlan
from prism.plan import Plan
from prism.record import Measurement, RankTimes
from prism.scenario import Scenario

MODEL = "vit_base_patch16_224"
LOCAL, SPLIT, FULL = Plan(), Plan("segment_means", 2, 10), Plan("full_tensor", 2)
NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
GRID = Grid(shape_of(MODEL), (1, 8), (200.0, 400.0, 600.0, 800.0), (LOCAL, SPLIT, FULL))


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is lost in here."""
    monkeypatch.setattr(os, "fsync", lambda file: None)  # noqa: ARG005


class Stopped(Exception):
    """What a link that breaks, or a user, does to a sweep."""


class Machine:
    """Takes 0.1 s a sample alone and less when split; each pass its own, so that a lost run would show."""

    def __init__(self, stop_after: int | None = None, too_large: tuple[Plan, int] | None = None) -> None:
        self.prepared: list[tuple[Scenario, int]] = []
        self.passes = 0
        self.clock_s = 0.0
        self._stop_after = stop_after
        self._too_large = too_large

    def prepare(self, case: Scenario, warm_up_passes: int) -> None:
        if (case.plan, case.batch) == self._too_large:
            raise InfeasiblePlan("rank 0 needs more")
        self.prepared.append((case, warm_up_passes))
        self.clock_s += 1.0

    def measure(self, case: Scenario) -> Measurement:
        assert self.prepared[-1][0] == case
        if self.passes == self._stop_after:
            raise Stopped
        self.passes += 1
        self.clock_s += 2.0
        total_s = 0.1 * case.batch * (1 if case.plan == LOCAL else 0.5 + 100 / case.bandwidth_mbps)
        rank = RankTimes(total_s, 0, 0, 0)
        return Measurement("measured", MODEL, case.batch, case.bandwidth_mbps, case.plan, total_s, (rank,))


def sweep(path: Path, visits: Visits, machine: Machine, told: list[tuple[int, int, float | None]]) -> SweepResult:
    session = Session(GRID, visits, {"board": "x"}, warm_up_passes=3)
    with RunLog(path, session) as log:
        return Sweep(
            log,
            machine.prepare,
            machine.measure,
            lambda done, total, left_s: told.append((done, total, left_s)),
            clock=lambda: machine.clock_s,
            now=lambda: NOON,
        ).run()


def counts(result: SweepResult) -> Counter[Scenario]:
    return Counter(record.scenario for record in result.records)


def test_the_papers_grid_and_its_passes() -> None:
    assert len(PAPER_BATCHES) * len(PAPER_SEGMENTS) * len(PAPER_BANDWIDTHS_MBPS) * 20 == PAPER_PASSES
    grid = paper_grid()
    assert len(grid.cases) == 6 * 4 * 8 + 6  # four split plans at every bandwidth, local once a batch size
    assert len(grid.survey) == 6 * 5 * 3
    assert {case.bandwidth_mbps for case in grid.survey if case.plan != LOCAL} == {200.0, 400.0, 900.0}


@pytest.mark.parametrize(
    ("batches", "bandwidths", "plans", "message"),
    [
        ((), (1.0,), (LOCAL,), "at least one of batches"),
        ((1, 1), (1.0,), (LOCAL,), "1, 1 names one twice"),
        ((1,), (1.0,), (Plan("segment_means", 2, 150),), "segments = 150 is larger"),
        ((0,), (1.0,), (LOCAL,), "batch = 0"),
    ],
)
def test_a_grid_that_cannot_be_measured_is_refused(
    batches: tuple[int, ...], bandwidths: tuple[float, ...], plans: tuple[Plan, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Grid(shape_of(MODEL), batches, bandwidths, plans)


def test_a_full_sweep_visits_every_case_once_a_round_in_another_random_order(tmp_path: Path) -> None:
    machine = Machine()
    result = sweep(tmp_path / "runs.jsonl", FullSweep(GRID, 7, rounds=3, passes_per_visit=2), machine, [])
    size = len(GRID.cases)
    rounds = [[case for case, _ in machine.prepared[size * k : size * (k + 1)]] for k in range(3)]
    assert all(sorted(map(repr, each)) == sorted(map(repr, GRID.cases)) for each in rounds)
    assert len({tuple(map(repr, each)) for each in (*rounds, GRID.cases)}) == 4
    assert {warm_up for _, warm_up in machine.prepared} == {3}
    assert set(counts(result).values()) == {6}
    assert permutation(7, 0, size) != permutation(8, 0, size)


@pytest.mark.parametrize("visits", [FullSweep(GRID, 3, 2, 2), BudgetedSweep(GRID, 3, 33)])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(stops=st.lists(st.integers(0, 20), max_size=4))
def test_interrupted_anywhere_it_ends_with_the_same_runs(
    tmp_path_factory: pytest.TempPathFactory, visits: Visits, stops: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("sweep")
    whole = sweep(folder / "whole.jsonl", visits, Machine(), [])
    for stop in stops:
        with suppress(Stopped):
            sweep(folder / "runs.jsonl", visits, Machine(stop), [])
    machine = Machine()
    resumed = sweep(folder / "runs.jsonl", visits, machine, [])
    assert resumed.records == whole.records
    again = Machine()
    assert sweep(folder / "runs.jsonl", visits, again, []).records == whole.records
    assert (again.passes, again.prepared) == (0, [])


def test_a_sweep_can_be_made_longer_afterwards(tmp_path: Path) -> None:
    for name, short, long in (
        ("full", FullSweep(GRID, 3, 1, 2), FullSweep(GRID, 3, 2, 2)),
        ("budget", BudgetedSweep(GRID, 3, 25), BudgetedSweep(GRID, 3, 40)),
    ):
        first = sweep(tmp_path / f"{name}.jsonl", short, Machine(), [])
        longer = sweep(tmp_path / f"{name}.jsonl", long, Machine(), [])
        assert longer.records[: len(first.records)] == first.records
        assert longer.records == sweep(tmp_path / f"{name}2.jsonl", long, Machine(), []).records


def test_a_budget_is_spent_to_the_pass_after_every_case_of_the_survey(tmp_path: Path) -> None:
    result = sweep(tmp_path / "runs.jsonl", BudgetedSweep(GRID, 3, 37), Machine(), [])
    assert len(result.records) == 37
    survey = Counter(GRID.survey)
    assert all(counts(result)[case] >= passes for case, passes in survey.items())
    with pytest.raises(InputError, match="does not cover the survey; give at least 18"):
        BudgetedSweep(GRID, 3, 17)
    assert isinstance(visits_for(GRID, 1, 200), BudgetedSweep)
    assert isinstance(visits_for(GRID, 1), FullSweep)
    assert isinstance(visits_for(GRID, 1, len(GRID.cases) * 20), FullSweep)


def test_a_plan_that_memory_does_not_hold_is_an_answer_and_frees_its_passes(tmp_path: Path) -> None:
    for visits, total in ((BudgetedSweep(GRID, 3, 40), 40), (FullSweep(GRID, 3, 2, 2), 4 * (len(GRID.cases) - 4))):
        told: list[tuple[int, int, float | None]] = []
        path = tmp_path / f"{type(visits).__name__}.jsonl"
        result = sweep(path, visits, Machine(too_large=(FULL, 8)), told)
        assert {(case.plan, case.batch) for case in result.infeasible} == {(FULL, 8)}
        assert set(result.infeasible.values()) == {"rank 0 needs more"}
        assert (FULL, 8) not in {(record.plan, record.batch) for record in result.records}
        assert len(result.records) == total
        assert told[-1] == (total, total, 0.0)


def test_progress_counts_up_and_time_left_is_right_where_every_visit_takes_as_long(tmp_path: Path) -> None:
    told: list[tuple[int, int, float | None]] = []
    sweep(tmp_path / "runs.jsonl", FullSweep(GRID, 3, 2, 2), Machine(), told)
    total = 4 * len(GRID.cases)
    assert told[0] == (0, total, None)
    assert {each[1] for each in told} == {total}
    assert [each[0] for each in told] == sorted(each[0] for each in told)
    after_a_visit = [(done, left_s) for done, _, left_s in told if done % 2 == 0 and left_s is not None]
    # A visit takes 1 s of preparation and two passes of 2 s.
    assert all(left_s == pytest.approx((total - done) * 2.5) for done, left_s in after_a_visit)
    assert after_a_visit[-1] == (total, 0.0)


def test_time_left_of_a_case_is_its_own_where_it_is_known() -> None:
    left = TimeLeft()
    assert left.left_s(GRID.cases) is None
    left.add(GRID.cases[0], 10.0, 2)
    left.add(GRID.cases[1], 1.0, 1)
    assert left.left_s(GRID.cases[:3], unknown=2) == pytest.approx(5.0 + 1.0 + 3.0 + 2 * 3.0)


def test_a_measurement_of_another_case_is_never_kept(tmp_path: Path) -> None:
    machine = Machine()
    session = Session(GRID, FullSweep(GRID, 1), {})
    wrong = Measurement("measured", MODEL, 5, 200.0, LOCAL, 1.0, (RankTimes(1.0, 0, 0, 0),))
    with RunLog(tmp_path / "runs.jsonl", session) as log, pytest.raises(RuntimeError, match="asked for"):
        Sweep(log, machine.prepare, lambda case: wrong).run()  # noqa: ARG005
    assert (tmp_path / "runs.jsonl").read_bytes() == b""
