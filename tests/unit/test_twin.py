"""The twin: what it leaves to SimPy, where results meet other messages, what it takes and refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.flops import block_flops
from prism.plan import MODES, Mode, Plan
from prism.profile import SystemProfile, load_profile
from prism.record import Span
from prism.scenario import Scenario
from prism.shape import Pool
from sim.simulate import simulate
from sim.twin.coverage import covers
from sim.twin.outline import _lines
from sim.twin.scenarios import Scenarios
from sim.twin.simulate import Times, simulate_many
from tests.helpers.systems import SMALL, Cost, system, three_powers

VIT_B = shape_of("vit_base_patch16_224")
PUBLISHED = load_profile("orin_nano_published")
AVERAGE = replace(SMALL, pool="average")


def equal_to_simpy(scenario: Scenario, profile: SystemProfile) -> Times:
    many = Scenarios.of(
        scenario.shape,
        scenario.plan,
        scenario.batch,
        scenario.bandwidth_mbps,
        reverse_bandwidth_mbps=scenario.reverse_bandwidth_mbps,
    )
    times, expected = simulate_many(many, profile), simulate(scenario, profile)
    assert times.total_s[0] == pytest.approx(expected.total_s, rel=1e-12)
    for found, right in zip(times.ranks, expected.ranks, strict=True):
        assert found.compute_s[0] == pytest.approx(right.compute_s, rel=1e-12)
        assert found.staging_s[0] == pytest.approx(right.staging_s, rel=1e-12)
        assert found.transfer_s[0] == pytest.approx(right.transfer_s, rel=1e-12)
        assert found.waiting_s[0] == pytest.approx(right.waiting_s, rel=1e-12, abs=1e-12)
    return times


@pytest.mark.parametrize(
    "plan",
    [
        Plan(),
        Plan(exchange="preposted", input_distribution="tokens"),
        Plan("full_tensor", 2),
        Plan("segment_means", 16, 3, "float16", input_distribution="image", shares=tuple(range(1, 17))),
        Plan("segment_means", 2, 10, exchange="preposted", input_distribution="tokens", first_exchange=False),
    ],
    ids=lambda plan: f"{plan.label} {plan.exchange}",
)
@pytest.mark.parametrize("pool", ["token", "average"])
def test_covered_plans_are_answered_without_simpy(plan: Plan, pool: Pool) -> None:
    assert covers(plan) is None
    assert not equal_to_simpy(Scenario(replace(VIT_B, pool=pool), 3, 400.0, plan, 300.0), PUBLISHED).by_simpy


@pytest.mark.parametrize(
    ("plan", "options", "reason"),
    [
        (Plan("full_tensor", 3, exchange="preposted"), {}, "preposted exchange between 3 boards: the order of flows"),
        (Plan("segment_means", 5, 2, exchange="preposted"), {}, "preposted exchange between 5 boards: the order of"),
        (Plan(), {"jitter": True}, "jitter: every scenario draws its own durations"),
        (Plan("full_tensor", 2), {"trace": True}, "trace: the twin keeps the times of a rank's stages and no spans"),
    ],
)
def test_what_is_left_to_simpy_is_named(plan: Plan, options: dict[str, Any], reason: str) -> None:
    assert str(covers(plan, **options)).startswith(reason)


def test_what_is_not_covered_goes_to_simpy_and_says_so() -> None:
    early = Plan("full_tensor", 3, exchange="preposted")
    profile = system(Cost(1.0), Cost(0.125, 1e3), Cost(0.25, 2e3), power=three_powers(4))
    many = Scenarios.of(SMALL, [Plan("full_tensor", 3), early], [1, 2, 3], 80.0, plan=[1, 0, 1])
    times = simulate_many(many, profile)
    assert times.by_simpy == {early: covers(early)}
    for index in range(3):
        expected = simulate(many.scenario(index), profile)
        assert expected.energy is not None
        assert times.total_s[index] == pytest.approx(expected.total_s, rel=1e-12)
        assert times.ranks[2].transfer_s[index] == pytest.approx(expected.ranks[2].transfer_s, rel=1e-12)
        assert times.all_boards_j[index] == pytest.approx(expected.energy.all_boards_j, rel=1e-12)
    tight = replace(profile, board=replace(profile.board, memory_bytes=1))
    refused = simulate_many(many, tight)
    assert not refused.fits.any()
    assert np.isnan(refused.total_s).all()


def spans_of(scenario: Scenario, profile: SystemProfile, name: str) -> dict[int, Span]:
    """The last span of that name of each rank."""
    return {span.rank: span for span in simulate(scenario, profile, trace=True).spans if span.name == name}


def test_a_result_meets_the_end_of_the_last_exchange() -> None:
    """Fast towards the terminal device, slow between workers: rank 1 is done while the long message is under way."""
    plan = Plan("full_tensor", 4, shares=(1.0, 6.0, 2.0, 1.0))
    scenario = Scenario(AVERAGE, 2, 10.0, plan, reverse_bandwidth_mbps=1000.0)
    profile = system(Cost(1e-6), message=Cost(1e-4, 50.0))
    sent, exchanged = spans_of(scenario, profile, "result")[0], spans_of(scenario, profile, "exchange")
    first = next(span for span in simulate(scenario, profile, trace=True).spans if span.name == "result")
    assert first.end_s < exchanged[2].end_s <= sent.end_s  # it did meet it
    equal_to_simpy(scenario, profile)


@pytest.mark.parametrize("latency_s", [0.0, 1e-3, 0.5])
def test_a_result_meets_the_input_of_other_workers(latency_s: float) -> None:
    """No exchange at all: rank 1 has little to receive, and its result is on its way while ranks 2 and 3 still wait."""
    plan = Plan("full_tensor", 4, input_distribution="tokens", first_exchange=False, shares=(1.0, 1.0, 5.0, 8.0))
    sparse = replace(AVERAGE, depth=1, image_size=24)
    scenario = Scenario(sparse, 2, 10.0, replace(plan, mode="segment_means", segments=1))
    profile = system(Cost(1e-6), message=Cost(latency_s, 50.0))
    inputs = spans_of(scenario, profile, "input")
    result = next(span for span in simulate(scenario, profile, trace=True).spans if span.name == "result")
    assert latency_s > 0.1 or result.end_s < inputs[2].end_s < inputs[3].end_s
    equal_to_simpy(scenario, profile)


@pytest.mark.parametrize(("forward", "reverse"), [(5.0, 1000.0), (1000.0, 5.0), (50.0, 40.0)])
def test_a_message_waits_for_a_receiver_that_has_not_posted_for_it_yet(forward: float, reverse: float) -> None:
    """Whoever gets its message early has the next one ready while the other still waits for the last."""
    plan = Plan("full_tensor", 2, exchange="preposted", shares=(2.0, 3.0))
    profile = system(Cost(1e-3), Cost(1e-4, 1.0), Cost(1e-2, 50.0))
    equal_to_simpy(Scenario(SMALL, 2, forward, plan, reverse), profile)


@pytest.mark.parametrize("mode", MODES)
def test_the_published_grid_is_the_published_answer(mode: Mode) -> None:
    plans = {
        "local": [Plan()],
        "full_tensor": [Plan("full_tensor", 2)],
        "segment_means": [Plan("segment_means", 2, segments) for segments in (10, 20, 30)],
    }[mode]
    many = Scenarios.grid(VIT_B, plans, [1, 8, 32], [200.0, 400.0])
    assert len(many) == 6 * len(plans)
    assert [many.scenario(index).plan for index in range(0, len(many), 6)] == plans
    assert [many.scenario(index).batch for index in range(6)] == [1, 1, 8, 8, 32, 32]
    assert [many.scenario(index).bandwidth_mbps for index in range(4)] == [200.0, 400.0, 200.0, 400.0]
    times = simulate_many(many, PUBLISHED)
    for index in range(len(many)):
        expected = simulate(many.scenario(index), PUBLISHED)
        assert times.total_s[index] == pytest.approx(expected.total_s, rel=1e-12)
        assert times.terminal.compute_s[index] == pytest.approx(expected.terminal.compute_s, rel=1e-12)
        assert times.terminal_j[index] == pytest.approx(expected.energy.terminal_j if expected.energy else 0, rel=1e-12)
        assert times.extrapolated[index] == bool(expected.extrapolated)
    assert not times.extrapolated.all()


def test_no_power_model_no_energy() -> None:
    only_local = replace(three_powers(2), by_mode={"local": three_powers(2).by_mode["local"]})
    many = Scenarios.of(SMALL, [Plan(), Plan("full_tensor", 2)], 1, 100.0, plan=[0, 1])
    for profile, known in ((system(), [False, False]), (system(power=only_local), [True, False])):
        times = simulate_many(many, profile)
        assert np.isfinite(times.terminal_j).tolist() == np.isfinite(times.all_boards_j).tolist() == known


def test_a_mode_the_profile_does_not_know_is_refused() -> None:
    profile = replace(system(), compute={"local": system().compute["local"]})
    with pytest.raises(InputError, match="'made up' has no compute model for mode 'full_tensor'; calibrate"):
        simulate_many(Scenarios.of(SMALL, Plan("full_tensor", 2), 1, 100.0), profile)


def test_a_plan_that_the_sequence_does_not_hold_is_refused() -> None:
    with pytest.raises(InputError, match="segments = 99 is larger than the largest partition"):
        simulate_many(Scenarios.of(SMALL, Plan("segment_means", 2, 99), 1, 100.0), system())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch": [1, 0]}, r"batch = 0 is out of range; it must lie between 1 and 1e\+06"),
        ({"batch": [1.0, 2.5]}, "batch: not every one is a whole number of samples"),
        ({"batch": [math.nan]}, "batch = nan is out of range"),
        ({"bandwidth_mbps": [400.0, 0.0]}, "bandwidth_mbps = 0.0 is out of range"),
        ({"bandwidth_mbps": math.nan}, "bandwidth_mbps = nan is out of range"),
        ({"reverse_bandwidth_mbps": 1e9}, "reverse_bandwidth_mbps = 1000000000.0 is out of range"),
        ({"plan": [0, 1]}, "plan = 1 is out of range; it must lie between 0 and 0"),
        ({"plan": [0, 0], "batch": [[1], [2]]}, "scenarios lie along one axis, not along 2; flatten the arrays first"),
    ],
)
def test_absurd_scenarios_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Scenarios.of(SMALL, Plan(), **{"batch": 1, "bandwidth_mbps": 100.0, **given})


def test_no_scenarios_no_times() -> None:
    assert simulate_many(Scenarios.of(SMALL, Plan("full_tensor", 2), [], []), system()).total_s.shape == (0,)


def test_a_size_that_is_not_linear_in_the_batch_is_noticed() -> None:
    assert _lines([[5, 256], [7, 256], [17, 256]]) == ((3, 2), (256, 0))
    with pytest.raises(AssertionError, match=r"a size of 5, 7, 18 at batches \(1, 2, 7\) is not linear"):
        _lines([[5], [7], [18]])


MEANS = Plan("segment_means", 2, 10)
CASE = Scenario(VIT_B, 8, 400.0, MEANS)
#: Half way between the blocks of the two boards, which differ by a token.
BETWEEN_GFLOP = sum(block_flops(VIT_B, own, own + 10) for own in (98, 99)) / 2 * CASE.batch / 1e9
COPY_MB = 10 * CASE.batch * VIT_B.dim * 4 / 1e6


def with_range(stage: str, valid_from: float = 0.0, valid_to: float = 1e12) -> SystemProfile:
    """The published profile, with that range for a stage of `segment_means` and none for the others."""
    wide = {
        name: replace(model, valid_from=0.0, valid_to=1e12)
        for name, model in PUBLISHED.cost_models().items()
        if name.endswith((" segment_means", "link"))
    }
    wide[stage] = replace(wide[stage], valid_from=valid_from, valid_to=valid_to)
    return replace(
        PUBLISHED,
        compute=PUBLISHED.compute | {"segment_means": wide["compute segment_means"]},
        staging=PUBLISHED.staging | {"segment_means": wide["staging segment_means"]},
        link=replace(PUBLISHED.link, transfer=wide["link"]),
    )


@pytest.mark.parametrize(
    ("change", "profile", "outside"),
    [
        ({}, PUBLISHED, False),
        ({"reverse_bandwidth_mbps": 400.0}, PUBLISHED, False),
        ({"reverse_bandwidth_mbps": 399.0}, PUBLISHED, True),
        ({"bandwidth_mbps": 401.0}, PUBLISHED, True),
        ({"plan": Plan(), "bandwidth_mbps": 100.0, "reverse_bandwidth_mbps": 50.0}, PUBLISHED, False),
        ({"batch": 32}, PUBLISHED, False),
        ({"batch": 33}, with_range("link"), True),
        ({"plan": replace(MEANS, segments=11)}, PUBLISHED, True),
        ({"shape": shape_of("deit_base_patch16_224")}, PUBLISHED, True),
        ({}, replace(PUBLISHED, link=replace(PUBLISHED.link, relay=True)), True),
        ({}, with_range("compute segment_means", valid_to=BETWEEN_GFLOP / 1.05), True),
        ({}, with_range("compute segment_means", valid_from=BETWEEN_GFLOP / 0.95), True),
        ({}, with_range("compute segment_means", BETWEEN_GFLOP, BETWEEN_GFLOP), False),
        ({}, with_range("staging segment_means", valid_to=0.9 * COPY_MB), True),
        ({}, with_range("staging segment_means", COPY_MB, COPY_MB), False),
        ({}, with_range("link", valid_from=1.1 * COPY_MB), True),
        ({}, with_range("link", COPY_MB, COPY_MB), False),
    ],
)
def test_each_way_out_of_what_was_measured_is_said(
    change: dict[str, Any], profile: SystemProfile, outside: bool
) -> None:
    scenario = replace(CASE, **change)
    assert bool(simulate(scenario, profile).extrapolated) == outside
    assert equal_to_simpy(scenario, profile).extrapolated.tolist() == [outside]


@pytest.mark.parametrize("part", ["skew", "first_flow_weight", "preposted_mb_s"])
def test_what_only_simpy_knows_of_a_machine_goes_there(part: str) -> None:
    plan = Plan("segment_means", 2, 2, exchange="preposted")
    plain = system(Cost(1.0), message=Cost(0.25, 2e3))
    profile = {
        "skew": replace(plain, skew=0.1),
        "first_flow_weight": replace(plain, link=replace(plain.link, first_flow_weight=2.0)),
        "preposted_mb_s": replace(plain, link=replace(plain.link, preposted_mb_s=2.0)),
    }[part]
    times = equal_to_simpy(Scenario(SMALL, 2, 80.0, plan), profile)
    assert set(times.by_simpy) == {plan}
