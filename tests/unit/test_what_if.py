"""What-ifs: no staging, other power modes, own attention while messages travel."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from prism.errors import InputError
from prism.flops import block_flops, embed_flops, head_flops
from prism.plan import Plan
from prism.profile import SystemProfile, load_profile
from prism.scenario import Scenario
from prism.what_if import POWER_MODES, in_power_mode, zero_copy
from sim.overlap import own_attention_share
from sim.simulate import simulate
from tests.helpers.strategies import scenarios, systems
from tests.helpers.systems import EVEN, REFERENCE_MBPS, Cost, system, three_powers

PUBLISHED = load_profile("orin_nano_published")


@given(scenarios(exchange="blocking"), systems())
def test_without_staging_nothing_else_changes(scenario: Scenario, profile: SystemProfile) -> None:
    with_copies, without = simulate(scenario, profile), simulate(scenario, zero_copy(profile))
    for before, after in zip(with_copies.ranks, without.ranks, strict=True):
        assert after.staging_s == 0
        assert after.compute_s == pytest.approx(before.compute_s)
    assert without.total_s <= with_copies.total_s * (1 + 1e-9)


@pytest.mark.parametrize("name", POWER_MODES)
def test_a_power_mode_scales_compute_and_its_power_alone(name: str) -> None:
    profile = system(Cost(0.5, 10.0), copy=Cost(0.1), message=Cost(0.2, 1.0), power=three_powers(2))
    scenario = Scenario(EVEN, 2, 50.0, Plan("full_tensor", 2))
    before, after = simulate(scenario, profile), simulate(scenario, in_power_mode(profile, name))
    mode = POWER_MODES[name]
    assert after.terminal.compute_s == pytest.approx(before.terminal.compute_s / mode.speed)
    assert after.terminal.staging_s == pytest.approx(before.terminal.staging_s)
    assert profile.power is not None
    changed = in_power_mode(profile, name).power
    assert changed is not None
    for stage in ("staging_w", "communication_w"):
        assert getattr(changed.by_mode["local"], stage) == getattr(profile.power.by_mode["local"], stage)
    assert changed.by_mode["local"].compute_w == pytest.approx(profile.power.by_mode["local"].compute_w * mode.power)


def test_speed_grows_by_less_than_the_clock() -> None:
    """As measured: compute that waits for memory does not follow the GPU's clock."""
    slowest = POWER_MODES["15W"]
    for mode in POWER_MODES.values():
        assert 1 <= mode.power <= mode.speed <= mode.gpu_mhz / slowest.gpu_mhz


def test_a_mode_without_figures_is_refused() -> None:
    with pytest.raises(InputError, match="unknown power mode '7W'"):
        in_power_mode(PUBLISHED, "7W")


@pytest.mark.parametrize("message_s", [0.001, 5.0], ids=["own attention is longer", "the exchange is longer"])
def test_an_exchange_and_own_attention_cost_the_longer_of_the_two(message_s: float) -> None:
    """Two boards that compute alike: a second per million FLOPs, and two messages a round on one medium."""
    plan = Plan("full_tensor", 2, first_exchange=False)
    scenario = Scenario(EVEN, 1, REFERENCE_MBPS, plan)
    sent_mb = 9 * EVEN.dim * 4 / 1e6
    profile = system(Cost(0.0, 1e3), message=Cost(0.0, message_s / sent_mb))
    block_s = block_flops(EVEN, 9, 18) * 1e-6
    own_s = (3 * 2 * 9 * 8 * 8 + 2 * 2 * 9 * 9 * 8) * 1e-6
    around_s = (embed_flops(EVEN, 16) + head_flops(EVEN)) * 1e-6
    rounds = EVEN.depth - 1
    plain = around_s + EVEN.depth * block_s + rounds * 2 * message_s
    overlapped = around_s + EVEN.depth * block_s - rounds * own_s + rounds * max(2 * message_s, own_s)
    # The worker starts when it is told to, and the terminal device waits for it unless it has its own attention to do.
    told_s = profile.link.airtime_s(256, REFERENCE_MBPS)
    late_s = told_s if 2 * message_s > own_s else 0.0
    assert simulate(scenario, profile).total_s == pytest.approx(plain + told_s, rel=1e-9)
    assert simulate(scenario, profile, overlap=True).total_s == pytest.approx(overlapped + late_s, rel=1e-9)
    assert own_attention_share(scenario.schedule(), 0) == pytest.approx(own_s / block_s)


@given(scenarios(fewest=2, exchange="blocking"), systems())
def test_overlap_never_costs_and_computes_as_much(scenario: Scenario, profile: SystemProfile) -> None:
    plain, overlapped = simulate(scenario, profile), simulate(scenario, profile, overlap=True, trace=True)
    assert overlapped.total_s <= plain.total_s * (1 + 1e-9)
    for before, after in zip(plain.ranks, overlapped.ranks, strict=True):
        assert after.compute_s == pytest.approx(before.compute_s)
    assert "own attention during the exchange (measured: after it)" in overlapped.extrapolated


def test_all_of_it_together_on_the_published_profile() -> None:
    scenario = Scenario(replace(EVEN, name="vit_base_patch16_224"), 1, 400.0, Plan("segment_means", 2, 3))
    faster = in_power_mode(zero_copy(PUBLISHED), "25W")
    assert faster.name == "orin_nano_published + zero copy at 25W"
    assert simulate(scenario, faster, overlap=True).total_s < simulate(scenario, PUBLISHED).total_s
