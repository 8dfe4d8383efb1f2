"""Memory of a board, and plans that it does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism.catalogue import shape_of
from prism.memory import InfeasiblePlan, check_fits, memory_use
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from prism.schedule import build_schedule
from sim.simulate import simulate
from tests.helpers.strategies import plans, shapes
from tests.helpers.systems import SMALL, system

HUGE = shape_of("vit_huge_patch14_224")


def test_weights_are_whole_on_every_board() -> None:
    schedule = build_schedule(HUGE, Plan("segment_means", 3, 10), 1)
    assert [memory_use(schedule, rank).weights_bytes for rank in range(3)] == [4 * 632_045_800] * 3


def test_activations_by_hand() -> None:
    """The MLP is the widest part: 2 n D + 2 n F numbers, and the image; n = 10, D = 8, F = 32, 3 x 12 x 12 pixels."""
    use = memory_use(build_schedule(SMALL, Plan(), 5), 0)
    assert use.activations_bytes == 5 * (2 * 10 * 8 + 2 * 10 * 32 + 432) * 4
    assert use.buffers_bytes == 0
    assert use.total_bytes == use.weights_bytes + use.activations_bytes


def test_exchange_buffers_exist_on_host_and_device_and_twice_where_rounds_overlap() -> None:
    plan = Plan("segment_means", 3, 2)
    blocking = memory_use(build_schedule(SMALL, plan, 5), 1).buffers_bytes
    preposted = memory_use(build_schedule(SMALL, replace(plan, exchange="preposted"), 5), 1).buffers_bytes
    assert blocking == 2 * (1 + 2) * (5 * 2 * 8 * 4)  # one sent, one from each of two peers
    assert preposted == 2 * blocking


@given(st.data())
def test_memory_grows_with_the_batch_and_weights_do_not(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    plan = data.draw(plans(shape))
    small, large = (build_schedule(shape, plan, batch) for batch in (2, 3))
    for rank in range(plan.devices):
        few, many = memory_use(small, rank), memory_use(large, rank)
        assert few.weights_bytes == many.weights_bytes == 4 * shape.parameters
        assert many.activations_bytes * 2 == few.activations_bytes * 3
        assert many.buffers_bytes * 2 == few.buffers_bytes * 3


def test_the_limit_itself_fits_and_a_byte_less_does_not() -> None:
    schedule = build_schedule(SMALL, Plan("full_tensor", 2), 3)
    needed = max(memory_use(schedule, rank).total_bytes for rank in (0, 1))
    check_fits(schedule, needed, "board")
    with pytest.raises(InfeasiblePlan, match="board has"):
        check_fits(schedule, needed - 1, "board")


def test_the_rank_that_does_not_fit_is_named() -> None:
    schedule = build_schedule(SMALL, Plan("full_tensor", 2, shares=(1.0, 5.0)), 500)
    usable = memory_use(schedule, 0).total_bytes
    with pytest.raises(InfeasiblePlan, match=r"rank 1 needs .* MB, the board has"):
        check_fits(schedule, usable, "the board")


def test_what_does_not_fit_is_never_simulated() -> None:
    scenario = Scenario(HUGE, 100_000, 400.0, Plan("segment_means", 2, 10))
    with pytest.raises(InfeasiblePlan, match="Jetson Orin Nano 8 GB has 6,000 MB to offer"):
        simulate(scenario, load_profile("orin_nano_published"))
    simulate(replace(scenario, batch=1), load_profile("orin_nano_published"))


def test_a_split_holds_a_batch_that_one_board_does_not() -> None:
    batch = 100
    local, split = (build_schedule(SMALL, plan, batch) for plan in (Plan(), Plan("segment_means", 2, 1)))
    between = (memory_use(local, 0).total_bytes + memory_use(split, 0).total_bytes) // 2
    profile = system(memory_bytes=between)
    simulate(Scenario(SMALL, batch, 10.0, Plan("segment_means", 2, 1)), profile)
    with pytest.raises(InfeasiblePlan):
        simulate(Scenario(SMALL, batch, 10.0, Plan()), profile)
