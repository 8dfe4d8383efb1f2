"""Passes with factors are SimPy's on a profile that was changed likewise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prism.catalogue import shape_of
from prism.memory import InfeasiblePlan
from prism.plan import Plan
from prism.profile import Speedup, SystemProfile, load_profile
from prism.scenario import Scenario
from sim.answers.errors import draw_errors
from sim.answers.passes import Factors, PlanLatency, local_of
from sim.simulate import simulate
from tests.helpers.affine import PLAN, SHAPE, affine_system, split_s
from tests.helpers.systems import SMALL, Cost, system

PUBLISHED = load_profile("orin_nano_published")
VIT_B = shape_of("vit_base_patch16_224")
MEANS = Plan("segment_means", 2, 10)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(),
        MEANS,
        replace(MEANS, exchange="preposted"),
        Plan("full_tensor", 3),
        replace(MEANS, devices=3, exchange="preposted"),
        replace(MEANS, input_distribution="tokens", shares=(2.0, 1.0)),
    ],
    ids=lambda plan: f"{plan.label} {plan.exchange} {plan.input_distribution}",
)
def test_factors_are_what_ifs_on_the_profile(plan: Plan) -> None:
    latency = PlanLatency(VIT_B, plan, PUBLISHED)
    speedups = [Speedup(), Speedup(compute=1.25), Speedup(0.8, 2.0, 0.5, 1.6)]
    factors = Factors(*(np.array([1 / getattr(each, part) for each in speedups]) for part in _PARTS))
    batches, mbps = np.array([1, 8, 8]), np.array([400.0, 90.0, 300.0])
    expected = [
        simulate(Scenario(VIT_B, int(batch), float(rate), plan), speedup.of(PUBLISHED)).total_s
        for batch, rate, speedup in zip(batches, mbps, speedups, strict=True)
    ]
    assert latency.seconds(batches, mbps, factors) == pytest.approx(expected, rel=1e-9)
    assert (latency.by_simpy is None) == (plan.exchange == "blocking" or plan.devices == 2)


_PARTS = ("compute", "staging", "link_latency", "air")


def skewed() -> SystemProfile:
    return replace(system(Cost(1e-3), message=Cost(1e-3, 50.0)), skew=0.2)


@pytest.mark.parametrize(("profile", "by_twin"), [(affine_system(), True), (skewed(), False)])
def test_the_limit_is_where_a_growing_bandwidth_leads(profile: SystemProfile, by_twin: bool) -> None:
    latency = PlanLatency(SHAPE, PLAN, profile)
    assert (latency.by_simpy is None) == by_twin
    rising = latency.seconds(2, np.geomspace(100.0, 1e5, 4))
    assert (np.diff(rising) < 0).all()
    assert latency.limit_s(2) < rising[-1]
    assert latency.limit_s(2) == pytest.approx(2 * rising[-1] - latency.seconds(2, 5e4)[0], rel=1e-7)


def test_a_pass_that_fits_in_no_memory_never_ends() -> None:
    profile = replace(PUBLISHED, board=replace(PUBLISHED.board, memory_bytes=2_500_000_000))
    latency = PlanLatency(VIT_B, MEANS, profile)
    few, many = latency.seconds([1, 100_000], 400.0)
    assert few < 1
    assert many == np.inf
    latency.check_fits(1)
    with pytest.raises(InfeasiblePlan):
        latency.check_fits(100_000)


def test_the_closed_form_of_the_helpers_is_the_simulators() -> None:
    for mbps in (5.0, 80.0, 2e3):
        expected = simulate(Scenario(SHAPE, 3, mbps, PLAN), affine_system()).total_s
        assert split_s(3, mbps) == pytest.approx(expected, rel=1e-12)


def test_local_execution_of_a_plan_gets_the_same_input() -> None:
    plan = replace(MEANS, input_distribution="tokens", shares=(1.0, 2.0), wire_dtype="float16")
    assert local_of(plan) == Plan(input_distribution="tokens", wire_dtype="float16")


def test_errors_have_the_spread_of_the_residuals_and_hold_for_one_stage() -> None:
    profile = affine_system(compute__local=5.0, link=20.0)
    errors = draw_errors(profile, 20_000, np.random.default_rng(3))
    assert errors is not None
    rows = np.arange(errors.draws)
    local, split = errors.of("local", rows), errors.of("segment_means", rows)
    assert np.log(local.compute).std() == pytest.approx(0.05, rel=0.03)
    assert np.log(split.air).std() == pytest.approx(0.2, rel=0.03)
    assert np.median(np.asarray(split.air)) == pytest.approx(1.0, abs=0.01)
    assert (np.asarray(split.compute) == 1).all()
    assert (np.asarray(split.latency) == np.asarray(split.air)).all()
    assert abs(np.corrcoef(np.log(local.compute), np.log(split.air))[0, 1]) < 0.03
    assert draw_errors(affine_system(), 10, np.random.default_rng(3)) is None


def test_small_shapes_broadcast() -> None:
    latency = PlanLatency(SMALL, Plan("full_tensor", 2), system(Cost(1e-3), message=Cost(1e-3, 1.0)))
    assert latency.seconds(1, 100.0).shape == (1,)
    assert latency.seconds([1, 2, 3], 100.0, Factors(air=[1.0, 1.0, 2.0])).shape == (3,)
