"""A result says in which ways it lies outside what was measured: exactly those, and none for the published case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prism.catalogue import shape_of
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from sim.simulate import simulate

PROFILE = load_profile("orin_nano_published")
MEANS = Plan("segment_means", 2, 10)
CASE = Scenario(shape_of("vit_base_patch16_224"), 8, 400.0, MEANS)


def reasons(scenario: Scenario) -> list[str]:
    """The subject of each reason, without its figures."""
    return [reason.partition(" (")[0] for reason in simulate(scenario, PROFILE).extrapolated]


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 8, 16, 17, 32])
@pytest.mark.parametrize("plan", [Plan(), Plan("full_tensor", 2), MEANS])
def test_the_published_range_is_not_extrapolated(plan: Plan, batch: int) -> None:
    assert reasons(replace(CASE, plan=plan, batch=batch)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"bandwidth_mbps": 401.0}, ["bandwidth 401 Mbps"]),
        ({"bandwidth_mbps": 399.0}, ["bandwidth 399 Mbps"]),
        ({"reverse_bandwidth_mbps": 300.0}, ["bandwidth 300 Mbps"]),
        ({"reverse_bandwidth_mbps": 400.0}, []),
        ({"bandwidth_mbps": 200.0, "reverse_bandwidth_mbps": 300.0}, ["bandwidth 200 Mbps", "bandwidth 300 Mbps"]),
        ({"plan": replace(MEANS, segments=20)}, ["segments 20"]),
        ({"plan": replace(MEANS, exchange="preposted")}, ["exchange preposted"]),
        ({"plan": replace(MEANS, input_distribution="image")}, ["input distribution image"]),
        ({"plan": replace(MEANS, input_distribution="tokens")}, ["input distribution tokens"]),
        ({"plan": replace(MEANS, wire_dtype="float16")}, ["wire dtype float16"]),
        ({"plan": replace(MEANS, first_exchange=False)}, ["no first exchange"]),
        ({"plan": replace(MEANS, shares=(1.0, 1.0))}, ["unequal shares"]),
        ({"plan": replace(MEANS, devices=3)}, ["devices 3"]),
        ({"shape": shape_of("deit_base_patch16_224")}, ["model deit_base_patch16_224"]),
        ({"plan": Plan(), "bandwidth_mbps": 100.0}, []),  # local does not see the network
        ({"plan": Plan(), "batch": 33}, ["batch 33"]),
        ({"batch": 33}, ["batch 33"]),
    ],
)
def test_each_way_out_is_named_and_no_other(change: dict[str, Any], expected: list[str]) -> None:
    assert reasons(replace(CASE, **change)) == expected


def test_steps_larger_than_any_measured_are_named_with_the_measured_range() -> None:
    texts = simulate(replace(CASE, batch=64), PROFILE).extrapolated
    assert [text.split(" ")[0] for text in texts] == ["batch", "block", "copy"]
    assert texts[0] == "batch 64 (measured: 1 to 32)"
    assert texts[1].startswith("block of ")
    assert "GFLOP (measured: " in texts[1]
    assert texts[2] == "copy of 1.97 MB (measured: 0.0307 to 0.983)"


def test_messages_larger_than_any_measured_are_named() -> None:
    texts = simulate(replace(CASE, batch=40, plan=Plan("full_tensor", 2)), PROFILE).extrapolated
    assert any(text == "message of 12.2 MB (measured: 0.0307 to 9.73)" for text in texts)


def test_several_ways_are_all_named() -> None:
    plan = Plan("segment_means", 3, 20, exchange="preposted", wire_dtype="float16", input_distribution="tokens")
    named = reasons(Scenario(shape_of("vit_large_patch16_224"), 40, 700.0, plan))
    assert named[:8] == [
        "model vit_large_patch16_224",
        "batch 40",
        "bandwidth 700 Mbps",
        "devices 3",
        "exchange preposted",
        "input distribution tokens",
        "wire dtype float16",
        "segments 20",
    ]
