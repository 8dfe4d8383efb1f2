"""Answers that must not change unnoticed. `pytest tests/golden --update-golden` rewrites them; read the diff first."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from prism.plan import Plan
from prism.scenario import Scenario
from prism.schedule import Step, build_schedule
from sim.simulate import simulate
from tests.helpers.command import Cli
from tests.helpers.golden import Golden, assert_close
from tests.helpers.systems import SMALL, Cost, system, three_powers

MODES = {
    "local": ["--mode", "local"],
    "full_tensor": ["--mode", "full_tensor"],
    "segment_means": ["--mode", "segment_means", "--segments", "10"],
}
PLANS = {
    "local": Plan(),
    "full_tensor_2": Plan("full_tensor", 2),
    "full_tensor_3_image": Plan("full_tensor", 3, input_distribution="image"),
    "segment_means_2": Plan("segment_means", 2, 2),
    "segment_means_2_tokens_preposted": Plan(
        "segment_means", 2, 2, exchange="preposted", input_distribution="tokens", first_exchange=False
    ),
    "segment_means_3_float16_shares": Plan("segment_means", 3, 3, wire_dtype="float16", shares=(3.0, 2.0, 1.0)),
}


@pytest.mark.parametrize("mode", MODES)
def test_simulate_prints(golden: Golden, cli: Cli, mode: str) -> None:
    golden.check(f"simulate_{mode}", cli("simulate", *MODES[mode], "--batch", "8", "--json").json)


@pytest.mark.parametrize("name", PLANS)
def test_schedule_of_a_small_model(golden: Golden, name: str) -> None:
    schedule = build_schedule(SMALL, PLANS[name], 2)
    steps = [[_step(step) for step in rank] for rank in schedule.ranks]
    golden.check(f"schedule_{name}", {"partition": schedule.partition, "ranks": steps})


@pytest.mark.parametrize("exchange", ["blocking", "preposted"])
def test_order_and_times_of_events_between_two_unequal_boards(golden: Golden, exchange: Any) -> None:
    """Spans in the order in which they end: the written contract of ties and of who waits for whom."""
    plan = Plan("segment_means", 2, 3, exchange=exchange, input_distribution="image", shares=(2.0, 3.0))
    profile = system(Cost(1.0, 1e5), Cost(0.125, 1e3), Cost(0.25, 2e3, 0.9), power=three_powers(2))
    result = simulate(Scenario(SMALL, 1, 80.0, plan, 60.0), profile, trace=True)
    golden.check(
        f"events_{exchange}",
        {
            "total_s": result.total_s,
            "ranks": [asdict(times) for times in result.ranks],
            "boards_j": result.energy.boards_j if result.energy else None,
            "spans": [
                [span.rank, span.stage, span.name, span.block, span.start_s, span.end_s, span.nbytes]
                for span in result.spans
            ],
        },
    )


def _step(step: Step) -> list[Any]:
    return [type(step).__name__, *asdict(step).values()]


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ({"a": 1.0}, {"a": 1.0 + 1e-6}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1, 2], [1]),
        (["x"], ["y"]),
        (None, 1.0),
        (1, True),
        ({"a": {"b": [0.0]}}, {"a": {"b": [1e-9]}}),
    ],
)
def test_the_comparison_notices(answer: Any, kept: Any) -> None:
    with pytest.raises(AssertionError):
        assert_close(answer, kept, "answer")


def test_the_comparison_forgives_rounding() -> None:
    assert_close({"a": [1.0, 1, None]}, {"a": [1.0 + 1e-12, 1, None]}, "answer")
