"""How many boards are worth it."""

from __future__ import annotations

import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from sim.answers.boards_worth import boards_worth, worth_of
from sim.simulate import simulate
from tests.helpers.systems import SMALL, Cost, system, three_powers

PUBLISHED = load_profile("orin_nano_published")
VIT_B = shape_of("vit_base_patch16_224")


@pytest.mark.parametrize(
    ("latencies", "worth"),
    [
        ([1.0, 0.6, 0.5, 0.49, 0.48], 3),
        ([1.0, 1.2, 1.3], 1),
        ([1.0, 1.1, 0.7, 0.69], 3),  # two do not pay, three do
        ([1.0, 0.96, 0.95], 1),
        ([1.0], 1),
    ],
)
def test_a_further_board_must_save_its_share(latencies: list[float], worth: int) -> None:
    assert worth_of(list(enumerate(latencies, start=1)), 0.05) == worth


def test_each_row_is_the_fastest_plan_that_is_allowed() -> None:
    answer = boards_worth(VIT_B, 8, 400.0, PUBLISHED, segments=(10, 20, 30), max_compression_rate=10.0, most=4)
    assert [row.boards for row in answer.rows] == [1, 2, 3, 4]
    local_s = answer.rows[0].latency_s
    for row in answer.rows[1:]:
        plans = [
            Plan("full_tensor", row.boards),
            *(Plan("segment_means", row.boards, segments) for segments in (10, 20, 30)),
        ]
        allowed = [plan for plan in plans if plan.compression_rate(VIT_B.tokens) <= 10]
        fastest = min(simulate(Scenario(VIT_B, 8, 400.0, plan), PUBLISHED).total_s for plan in allowed)
        assert row.latency_s == pytest.approx(fastest, rel=1e-9)
        assert row.speedup == pytest.approx(local_s / fastest)
        assert row.efficiency == pytest.approx(local_s / fastest / row.boards)
        assert row.compression_rate <= 10
    assert not answer.rows[0].extrapolated
    assert any("devices 3" in reason for reason in answer.rows[2].extrapolated)


def test_energy_is_that_of_the_boards_that_take_part() -> None:
    profile = system(Cost(1e-3), message=Cost(1e-3, 1.0), power=three_powers(6))
    answer = boards_worth(SMALL, 2, 100.0, profile, segments=(1,), most=3)
    local = answer.rows[0]
    assert local.all_boards_j == local.terminal_j == pytest.approx(5.0 * local.latency_s)


def test_boards_that_hold_no_plan_are_left_out_with_the_reason() -> None:
    answer = boards_worth(SMALL, 1, 100.0, system(), segments=(4,), max_compression_rate=1.2, most=3)
    assert [row.boards for row in answer.rows] == [1, 2, 3]
    with pytest.raises(InputError, match="no board of profile"):
        boards_worth(SMALL, 1, 100.0, system(memory_bytes=10))
    with pytest.raises(InputError, match="boards = 65"):
        boards_worth(SMALL, 1, 100.0, system(), most=65)
