"""Crossovers are solved for: at the solved bandwidth both ways take as long, and the batch is the first that wins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prism.catalogue import shape_of
from prism.memory import InfeasiblePlan, memory_use
from prism.plan import Plan
from prism.profile import Speedup, SystemProfile, load_profile
from prism.scenario import Scenario
from sim.simulate import simulate
from sim.study.crossover import SEARCH_MBPS, CrossoverSolver
from sim.study.spec import Point
from tests.helpers.systems import SMALL, Cost, system

PROFILE = load_profile("orin_nano_published")
VIT_B = shape_of("vit_base_patch16_224")
MEANS = Plan("segment_means", 2, 10)


def total_s(plan: Plan, batch: int, mbps: float, profile: SystemProfile = PROFILE) -> float:
    return simulate(Scenario(VIT_B, batch, mbps, plan), profile).total_s


def points(
    plan: Plan, batches: tuple[int, ...], mbps: tuple[float, ...], speedup: Speedup | None = None
) -> list[Point]:
    return [
        Point(Scenario(VIT_B, batch, rate, some), speedup or Speedup())
        for batch in batches
        for rate in mbps
        for some in (Plan(), plan)
    ]


@pytest.mark.parametrize("plan", [MEANS, replace(MEANS, segments=30), replace(MEANS, exchange="preposted")])
@pytest.mark.parametrize("speedup", [Speedup(), Speedup(staging=4)])
def test_at_the_solved_bandwidth_both_ways_take_as_long(plan: Plan, speedup: Speedup) -> None:
    solved = CrossoverSolver(PROFILE).bandwidths(points(plan, (8, 16, 32), (400.0,), speedup))
    assert [crossover.batch for crossover in solved] == [8, 16, 32]
    for crossover in solved:
        mbps = crossover.bandwidth_mbps
        assert mbps is not None
        assert SEARCH_MBPS[0] < mbps < SEARCH_MBPS[1]
        profile = speedup.of(PROFILE)
        local_s = total_s(Plan(), crossover.batch, mbps, profile)
        assert total_s(plan, crossover.batch, mbps, profile) == pytest.approx(local_s, rel=1e-4)
        assert total_s(plan, crossover.batch, mbps * 1.01, profile) < local_s
        assert total_s(plan, crossover.batch, mbps * 0.99, profile) > local_s


def test_never_and_always() -> None:
    """Full tensors at batch 1 lose at any bandwidth; where the network is free of cost Segment Means win at any."""
    (never,) = CrossoverSolver(PROFILE).bandwidths(points(Plan("full_tensor", 2), (1,), (400.0,)))
    assert never.bandwidth_mbps is None
    assert total_s(Plan("full_tensor", 2), 1, SEARCH_MBPS[1]) > total_s(Plan(), 1, 400.0)

    free = system(Cost(0.0, 1e6), message=Cost(0.0, 1e-9))
    plan = Plan("segment_means", 2, 1)
    (always,) = CrossoverSolver(free).bandwidths([Point(Scenario(SMALL, 4, 100.0, plan), Speedup())])
    assert always.bandwidth_mbps == 0.0
    assert (
        simulate(Scenario(SMALL, 4, SEARCH_MBPS[0], plan), free).total_s
        < simulate(Scenario(SMALL, 4, 1.0, Plan()), free).total_s
    )


@pytest.mark.parametrize("mbps", [100.0, 200.0, 300.0, 400.0, 600.0, 900.0])
@pytest.mark.parametrize("segments", [10, 20, 30])
def test_the_solved_batch_is_the_first_that_wins_in_a_scan_of_all(mbps: float, segments: int) -> None:
    plan = replace(MEANS, segments=segments)
    (solved,) = CrossoverSolver(PROFILE).batches(points(plan, (1, 2, 4, 8, 16, 32), (mbps,)))
    wins = [batch for batch in range(1, 33) if total_s(plan, batch, mbps) <= total_s(Plan(), batch, mbps)]
    assert solved.batch == (wins[0] if wins else None)
    lost_again = [batch for batch in range(wins[0], 33) if batch not in wins] if wins else []
    assert solved.until == (lost_again[0] - 1 if lost_again else None)
    assert solved.searched_to == 32


@pytest.mark.parametrize("grid", [(1, 8, 32), (32,), (1, 2, 4, 8, 16, 32)])
def test_wins_between_two_batches_of_the_study_are_found(grid: tuple[int, ...]) -> None:
    """30 segments win at 900 Mbps for some batches in the middle alone."""
    (solved,) = CrossoverSolver(PROFILE).batches(points(replace(MEANS, segments=30), grid, (900.0,)))
    assert (solved.batch, solved.until) == (11, 19)


@pytest.mark.parametrize("mbps", [300.0, 400.0, 900.0])
def test_with_the_measured_segments_the_plan_wins_from_the_solved_batch_on(mbps: float) -> None:
    (solved,) = CrossoverSolver(PROFILE).batches(points(MEANS, (1, 32), (mbps,)))
    assert solved.batch is not None
    assert all(
        (total_s(MEANS, batch, mbps) <= total_s(Plan(), batch, mbps)) == (batch >= solved.batch)
        for batch in range(1, 33)
    )


def test_the_published_crossover_lies_between_batch_4_and_8() -> None:
    (solved,) = CrossoverSolver(PROFILE).batches(points(MEANS, (1, 32), (400.0,)))
    assert solved.batch is not None
    assert 4 < solved.batch <= 8


def test_a_plan_wins_no_longer_where_it_does_not_fit() -> None:
    huge = shape_of("vit_huge_patch14_224")
    where = [Point(Scenario(huge, 100_000, 400.0, plan), Speedup()) for plan in (Plan(), MEANS)]
    solver = CrossoverSolver(PROFILE)
    (bandwidth,) = solver.bandwidths(where)
    assert bandwidth.bandwidth_mbps is None
    (batches,) = solver.batches(where)
    assert batches.until is not None  # it wins at small batches and ends where memory does
    assert simulate(Scenario(huge, batches.until, 400.0, MEANS), PROFILE).total_s > 0
    with pytest.raises(InfeasiblePlan):
        simulate(Scenario(huge, batches.until + 1, 400.0, MEANS), PROFILE)


def test_where_one_board_holds_no_such_batch_a_split_that_does_wins_at_once() -> None:
    scenario = Scenario(SMALL, 100, 100.0, Plan("segment_means", 2, 1))
    needed = max(memory_use(scenario.schedule(), rank).total_bytes for rank in (0, 1))
    assert needed < memory_use(replace(scenario, plan=Plan()).schedule(), 0).total_bytes
    tight = system(memory_bytes=needed)
    (crossover,) = CrossoverSolver(tight).bandwidths([Point(scenario, Speedup())])
    assert crossover.bandwidth_mbps == 0.0


def test_local_alone_has_no_crossover() -> None:
    solver = CrossoverSolver(PROFILE)
    where = [Point(Scenario(VIT_B, 8, 400.0, Plan()), Speedup())]
    assert solver.bandwidths(where) == ()
    assert solver.batches(where) == ()
