"""Boards that differ: speeds, memory, and shares to match."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism.errors import InputError
from prism.flops import block_flops
from prism.memory import InfeasiblePlan, memory_use
from prism.partition import partition_tokens
from prism.plan import Plan
from prism.profile import SystemProfile
from prism.scenario import Scenario
from prism.schedule import Schedule
from sim.boards import BoardMix
from sim.shares import best_shares, shares_of
from sim.simulate import simulate
from tests.helpers.strategies import scenarios, systems
from tests.helpers.systems import EVEN, SMALL, Cost, system

TWO = Scenario(SMALL, 1, 100.0, Plan("full_tensor", 2))
#: Nothing but products: a block costs a second per million FLOPs.
PURE = system(Cost(0.0, 1e3))


def test_a_board_of_half_the_speed_computes_twice_as_long_and_copies_alike() -> None:
    profile = system(Cost(0.5, 1e3), copy=Cost(0.1))
    alike = simulate(TWO, profile)
    mixed = simulate(TWO, profile, boards=BoardMix((1.0, 0.5)))
    assert mixed.ranks[0].compute_s == pytest.approx(alike.ranks[0].compute_s)
    assert mixed.ranks[1].compute_s == pytest.approx(2 * alike.ranks[1].compute_s)
    assert [rank.staging_s for rank in mixed.ranks] == pytest.approx([rank.staging_s for rank in alike.ranks])
    assert "boards of speed 1, 0.5 (measured: equal boards)" in mixed.extrapolated


@given(scenarios(), systems())
def test_boards_of_speed_one_change_nothing_to_the_bit(scenario: Scenario, profile: SystemProfile) -> None:
    boards = BoardMix((1.0,) * scenario.plan.devices, (10**15,) * scenario.plan.devices)
    assert simulate(scenario, profile, boards=boards) == simulate(scenario, profile)


def test_with_nothing_but_products_the_pass_takes_the_slowest_boards_own_time() -> None:
    """Closed form: every block starts when the slower board has ended the one before."""
    partition = (6, 4)
    plan = Plan("full_tensor", 2, shares=shares_of(partition))
    result = simulate(replace(TWO, plan=plan), PURE, boards=BoardMix((3.0, 1.0)))
    seconds = [block_flops(SMALL, own, 10) * 1e-6 / speed for own, speed in zip(partition, (3.0, 1.0), strict=True)]
    waited = (SMALL.depth - 1) * max(seconds)
    assert result.total_s - result.terminal.compute_s >= 0
    assert result.total_s == pytest.approx(
        waited + seconds[0] + _outside_blocks_s(result.terminal.compute_s, seconds[0]) + _late(partition, seconds),
        rel=1e-9,
    )


def _outside_blocks_s(compute_s: float, block_s: float) -> float:
    return compute_s - SMALL.depth * block_s


def _late(partition: tuple[int, int], seconds: list[float]) -> float:
    """The worker may embed longer than the terminal device: 2 x 48 x 8 FLOPs a patch at its blocks' rate."""
    embed = [2 * patches * 48 * 8 for patches in (partition[0] - 1, partition[1])]
    ends = [flops * seconds[rank] / block_flops(SMALL, partition[rank], 10) for rank, flops in enumerate(embed)]
    return max(0.0, ends[1] - ends[0])


def test_the_board_that_does_not_fit_is_named_with_what_it_has() -> None:
    needed = memory_use(TWO.schedule(), 0).total_bytes
    boards = BoardMix(memory_bytes=(needed, needed // 2))
    with pytest.raises(InfeasiblePlan, match=r"rank 1 needs .* MB, made up with .* GB has .* MB to offer"):
        simulate(TWO, PURE, boards=boards)
    simulate(TWO, PURE, boards=BoardMix(memory_bytes=(needed, needed)))


@pytest.mark.parametrize("boards", [BoardMix((1.0,)), BoardMix(memory_bytes=(10**12,))])
def test_boards_that_are_missing_are_refused(boards: BoardMix) -> None:
    with pytest.raises(InputError, match="for 2 devices; give one a board, terminal device first"):
        simulate(TWO, PURE, boards=boards)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), 1e9])
def test_absurd_speeds_are_refused(speed: float) -> None:
    with pytest.raises(InputError, match=r"speed = .* is out of range"):
        BoardMix((1.0, speed))


@given(st.lists(st.integers(1, 500), min_size=1, max_size=8))
def test_shares_give_exactly_the_partition_they_were_made_of(sizes: list[int]) -> None:
    assert partition_tokens(sum(sizes), len(sizes), shares_of(tuple(sizes))) == tuple(sizes)


def total_s(scenario: Scenario, profile: SystemProfile, boards: BoardMix, shares: tuple[float, ...]) -> float:
    plan = replace(scenario.plan, shares=shares)
    return simulate(replace(scenario, plan=plan), profile, boards=boards).total_s


@settings(max_examples=25)
@given(st.tuples(*[st.floats(0.2, 5.0)] * 2), systems())
def test_of_two_boards_the_best_shares_are_the_best_of_all(speeds: tuple[float, float], profile: SystemProfile) -> None:
    boards = BoardMix(speeds)
    every = [total_s(TWO, profile, boards, shares_of((own, 10 - own))) for own in range(1, 10)]
    assert total_s(TWO, profile, boards, best_shares(TWO, profile, boards)) == min(every)


@pytest.mark.slow
@pytest.mark.parametrize("speeds", [(1.0, 2.0, 3.0, 4.0), (5.0, 1.0, 1.0, 0.3)])
def test_a_search_among_neighbours_comes_within_a_percent_of_the_best_of_680(
    speeds: tuple[float, ...],
) -> None:
    """Four boards and 18 tokens are too many to try all of; here compute decides."""
    scenario, boards = Scenario(EVEN, 1, 100.0, Plan("full_tensor", 4)), BoardMix(speeds)
    every = [(a, b, c, 18 - a - b - c) for a, b, c in product(range(2, 16), range(1, 16), range(1, 16))]
    best = min(total_s(scenario, PURE, boards, shares_of(sizes)) for sizes in every if min(sizes) > 0)
    tried: list[None] = []
    found = best_shares(scenario, PURE, boards, lambda: tried.append(None))
    assert total_s(scenario, PURE, boards, found) <= 1.01 * best
    assert len(tried) < 680 / 2


@settings(max_examples=5)
@given(st.tuples(*[st.floats(0.2, 5.0)] * 4), systems())
def test_best_shares_are_never_worse_than_even_or_fair_ones(speeds: tuple[float, ...], profile: SystemProfile) -> None:
    scenario, boards = Scenario(EVEN, 1, 100.0, Plan("segment_means", 4, 1)), BoardMix(speeds)
    found = total_s(scenario, profile, boards, best_shares(scenario, profile, boards))
    assert found <= total_s(scenario, profile, boards, (1.0,) * 4) * (1 + 1e-12)


def test_best_shares_leave_a_small_board_what_it_can_hold() -> None:
    """The only partition that both hold is far from the even one."""
    assert partition_tokens(10, 2, best_shares(TWO, PURE, BoardMix((1.0, 1.0)))) == (5, 5)
    large, small = (memory_use(_divided(TWO, (8, 2)), rank).total_bytes for rank in (0, 1))
    tight = best_shares(TWO, PURE, BoardMix(memory_bytes=(large, small)))
    assert partition_tokens(10, 2, tight) == (8, 2)


def test_the_search_goes_where_boards_have_room() -> None:
    """Four boards, two of them nearly full: the even start does not fit, nor do its neighbours."""
    scenario = Scenario(EVEN, 50, 100.0, Plan("full_tensor", 4))
    sizes = (10, 6, 1, 1)
    memory = tuple(memory_use(_divided(scenario, sizes), rank).total_bytes for rank in range(4))
    found = partition_tokens(18, 4, best_shares(scenario, PURE, BoardMix(memory_bytes=memory)))
    assert found == sizes


def _divided(scenario: Scenario, sizes: tuple[int, ...]) -> Schedule:
    return replace(scenario, plan=replace(scenario.plan, shares=shares_of(sizes))).schedule()


def test_where_no_partition_fits_best_shares_say_why() -> None:
    with pytest.raises(InfeasiblePlan, match="rank 0 needs"):
        best_shares(TWO, PURE, BoardMix(memory_bytes=(1000, 1000)))


def test_more_segments_than_any_partition_has_are_refused_by_best_shares_too() -> None:
    with pytest.raises(InputError, match="segments = 10 is larger than the largest partition"):
        best_shares(replace(TWO, plan=Plan("segment_means", 2, 10)), PURE, BoardMix())
