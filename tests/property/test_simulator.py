"""What every simulated pass keeps, whatever the scenario and the system."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism.plan import Plan
from prism.profile import SystemProfile
from prism.record import Measurement, RankTimes
from prism.scenario import Scenario
from prism.schedule import Compute, Copy, Exchange
from sim.jitter import lognormal_jitter
from sim.simulate import simulate
from tests.helpers.strategies import scenarios, systems
from tests.helpers.systems import three_powers


@given(scenarios(), systems())
def test_stages_partition_the_terminal_devices_timeline(scenario: Scenario, profile: SystemProfile) -> None:
    result = simulate(scenario, profile)
    terminal = result.terminal
    parts = terminal.compute_s + terminal.staging_s + terminal.transfer_s + terminal.waiting_s
    assert parts == pytest.approx(result.total_s, rel=1e-9)
    assert min(terminal.compute_s, terminal.staging_s, terminal.transfer_s, terminal.waiting_s) >= 0


@given(scenarios(), systems())
def test_the_same_inputs_give_the_same_record_to_the_bit(scenario: Scenario, profile: SystemProfile) -> None:
    assert simulate(scenario, profile, trace=True) == simulate(scenario, profile, trace=True)


@given(scenarios(), systems())
def test_tracing_changes_no_number(scenario: Scenario, profile: SystemProfile) -> None:
    assert replace(simulate(scenario, profile, trace=True), spans=()) == simulate(scenario, profile)


@given(scenarios(), systems())
def test_spans_cover_each_ranks_timeline_without_gap_or_overlap(scenario: Scenario, profile: SystemProfile) -> None:
    result = simulate(scenario, profile, trace=True)
    for rank, times in enumerate(result.ranks):
        spans = [span for span in result.spans if span.rank == rank]
        assert spans[0].start_s == 0.0
        for before, after in itertools.pairwise(spans):
            assert after.start_s == before.end_s
        assert all(span.end_s > span.start_s for span in spans)
        assert spans[-1].end_s == pytest.approx(times.total_s, rel=1e-9)
        by_stage = {
            stage: sum(span.end_s - span.start_s for span in spans if span.stage == stage)
            for stage in ("compute", "staging", "transfer", "waiting")
        }
        assert RankTimes(*by_stage.values()).total_s == pytest.approx(times.total_s, rel=1e-9)
        assert by_stage["compute"] == pytest.approx(times.compute_s, rel=1e-9, abs=1e-12)
        assert by_stage["staging"] == pytest.approx(times.staging_s, rel=1e-9, abs=1e-12)
        assert by_stage["transfer"] == pytest.approx(times.transfer_s, rel=1e-9, abs=1e-12)
        assert by_stage["waiting"] == pytest.approx(times.waiting_s, rel=1e-9, abs=1e-12)


@given(scenarios(), systems())
def test_compute_and_staging_are_the_prices_of_the_schedules_steps(scenario: Scenario, profile: SystemProfile) -> None:
    """Worked out anew: a block by its cost model, other steps at the block's rate, a copy by its own."""
    result = simulate(scenario, profile)
    mode = scenario.plan.mode
    for steps, times in zip(scenario.schedule().ranks, result.ranks, strict=True):
        block = next(step.flops for step in steps if isinstance(step, Compute) and step.name == "block")
        compute = profile.compute[mode]
        block_s = compute.fixed_s + compute.scale_s * (block / 1e9) ** compute.exponent
        flops = sum(step.flops for step in steps if isinstance(step, Compute))
        assert times.compute_s == pytest.approx(block_s * flops / block, rel=1e-9)
        copies = [step.nbytes for step in steps if isinstance(step, Copy)]
        if not copies:
            assert times.staging_s == 0.0
            continue
        copy = profile.staging[mode]
        staged_s = sum(copy.fixed_s + copy.scale_s * (nbytes / 1e6) ** copy.exponent for nbytes in copies)
        assert times.staging_s == pytest.approx(staged_s, rel=1e-9, abs=1e-12)


@given(scenarios(fewest=2, exchange="blocking"), systems())
def test_in_a_blocking_round_no_flow_starts_before_the_last_rank_is_there(
    scenario: Scenario, profile: SystemProfile
) -> None:
    """Whoever has copied its part out first waits until the last one has."""
    copies = {mode: replace(model, fixed_s=model.fixed_s + 1e-3) for mode, model in profile.staging.items()}
    result = simulate(scenario, replace(profile, staging=copies), trace=True)
    for block in {step.block for step in scenario.schedule().ranks[0] if isinstance(step, Exchange)}:
        spans = [span for span in result.spans if span.block == block]
        copied = {span.rank: span.end_s for span in reversed(spans) if span.name == "stage_exchange"}  # out, then in
        starts = {span.start_s for span in spans if span.name == "exchange"}
        assert len(copied) == scenario.plan.devices
        assert starts <= {max(copied.values())}


@given(scenarios(fewest=2, most=2, exchange="blocking"), systems())
def test_between_two_boards_preposting_costs_one_message_at_most(scenario: Scenario, profile: SystemProfile) -> None:
    """That of giving way once: the terminal device's own message, which may be the longer, goes before the worker's.

    Rounds of two boards cannot overlap on the air; from three up, flows may slow others.
    """
    preposted = replace(scenario, plan=replace(scenario.plan, exchange="preposted"))
    sends = (step.sends for step in scenario.schedule().ranks[0] if isinstance(step, Exchange))
    longest_s = max((profile.link.airtime_s(each[0].nbytes, scenario.bandwidth_mbps) for each in sends), default=0.0)
    at_most_s = simulate(scenario, profile).total_s + profile.link.transfer.fixed_s + longest_s
    assert simulate(preposted, profile).total_s <= at_most_s * (1 + 1e-9)


@given(scenarios(fewest=2, exchange="blocking"), systems(), st.floats(1.01, 20.0))
def test_more_bandwidth_never_makes_a_blocking_plan_slower(
    scenario: Scenario, profile: SystemProfile, times: float
) -> None:
    faster = replace(
        scenario,
        bandwidth_mbps=scenario.bandwidth_mbps * times,
        reverse_bandwidth_mbps=None
        if scenario.reverse_bandwidth_mbps is None
        else scenario.reverse_bandwidth_mbps * times,
    )
    assert simulate(faster, profile).total_s <= simulate(scenario, profile).total_s * (1 + 1e-9)


@given(scenarios(fewest=2), systems())
def test_relay_is_half_the_bandwidth(scenario: Scenario, profile: SystemProfile) -> None:
    """Every message takes the air twice; its latency stays."""
    relayed = simulate(scenario, replace(profile, link=replace(profile.link, relay=True)))
    halved = replace(
        scenario,
        bandwidth_mbps=scenario.bandwidth_mbps / 2,
        reverse_bandwidth_mbps=None if scenario.reverse_bandwidth_mbps is None else scenario.reverse_bandwidth_mbps / 2,
    )
    assert relayed.total_s == pytest.approx(simulate(halved, profile).total_s, rel=1e-9)


@given(scenarios(), systems(), st.integers(1, 6))
def test_energy_is_power_times_time_of_every_board(scenario: Scenario, profile: SystemProfile, boards: int) -> None:
    power = three_powers(boards)
    result = simulate(scenario, replace(profile, power=power))
    assert result.energy is not None
    stage = power.by_mode[scenario.plan.mode]
    expected = [
        times.compute_s * stage.compute_w
        + times.staging_s * stage.staging_w
        + (times.transfer_s + times.waiting_s) * stage.communication_w
        + max(result.total_s - times.total_s, 0) * power.idle_w
        for times in result.ranks
    ]
    expected += [result.total_s * power.idle_w] * (boards - scenario.plan.devices)
    assert result.energy.boards_j == pytest.approx(expected, rel=1e-9)
    assert result.energy.all_boards_j == pytest.approx(sum(expected), rel=1e-9)
    assert result.energy.terminal_j == result.energy.boards_j[0]
    assert len(result.energy.boards_j) == max(boards, scenario.plan.devices)


@settings(max_examples=30)
@given(scenarios(fewest=2), systems(), st.integers(0, 2**32 - 1))
def test_jitter_is_the_seeds_alone(scenario: Scenario, profile: SystemProfile, seed: int) -> None:
    def run(seed: int) -> Measurement:
        return simulate(scenario, profile, jitter=lognormal_jitter(np.random.default_rng(seed), 0.3), trace=True)

    assert run(seed) == run(seed)
    assert run(seed).total_s != run(seed + 1).total_s


@settings(max_examples=30)
@given(scenarios(fewest=2), systems())
def test_local_ignores_the_network(scenario: Scenario, profile: SystemProfile) -> None:
    alone = replace(scenario, plan=Plan())
    other = replace(alone, bandwidth_mbps=scenario.bandwidth_mbps * 3)
    assert simulate(alone, profile).total_s == simulate(other, profile).total_s
    assert simulate(alone, profile).terminal.communication_s == 0.0
