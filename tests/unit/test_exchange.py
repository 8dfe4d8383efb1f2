"""Blocking and preposted exchange against timelines worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prism.flops import block_flops, embed_flops, head_flops
from prism.plan import ExchangeKind, Plan
from prism.profile import SystemProfile
from prism.record import Span
from prism.scenario import Scenario
from sim.simulate import simulate
from tests.helpers.systems import EVEN, REFERENCE_MBPS, SMALL, Cost, system


def spans_of(scenario: Scenario, profile: SystemProfile, rank: int, name: str) -> list[Span]:
    result = simulate(scenario, profile, trace=True)
    return [span for span in result.spans if span.rank == rank and span.name == name]


def exchange_s(plan: Plan, rank: int, batch: int, scale_s: float) -> float:
    """Airtime of one message of `rank`, alone."""
    return scale_s * batch * plan.sent_tokens(SMALL.tokens)[rank] * SMALL.dim * 4 / 1e6


def test_with_three_unequal_boards_all_flows_of_a_round_start_with_the_last_rank() -> None:
    """Blocks cost by FLOPs, so the largest partition is last; no rank's transfer starts before it is there."""
    plan = Plan("full_tensor", 3, shares=(1.0, 2.0, 5.0))
    profile = system(Cost(0.0, 1e6), message=Cost(0.01, 50.0))
    result = simulate(Scenario(SMALL, 2, REFERENCE_MBPS, plan), profile, trace=True)
    for block in range(1, SMALL.depth):
        computed = [
            next(
                span.end_s
                for span in result.spans
                if span.rank == rank and span.name == "block" and span.block == block - 1
            )
            for rank in range(3)
        ]
        starts = {span.start_s for span in result.spans if span.name == "exchange" and span.block == block}
        assert max(computed) == computed[2]
        assert starts == {computed[2]}


def test_a_round_of_three_unequal_boards_by_hand() -> None:
    """Six flows share the air: each ends at the sum over all flows of min(own, other); a rank goes on with its last."""
    plan = Plan("full_tensor", 3, shares=(1.0, 2.0, 5.0))
    assert plan.partition(SMALL.tokens) == (2, 3, 5)
    scale_s = 50.0
    profile = system(Cost(1.0), message=Cost(0.01, scale_s))
    result = simulate(Scenario(SMALL, 2, REFERENCE_MBPS, plan), profile, trace=True)
    airtimes = [exchange_s(plan, rank, 2, scale_s) for rank in range(3)]
    flows = [airtimes[sender] for sender in range(3) for _ in range(2)]
    ends = [0.01 + sum(min(own, other) for other in flows) for own in airtimes]
    last_of = {0: max(ends[1], ends[2]), 1: max(ends[0], ends[2]), 2: max(ends[0], ends[1])}
    for rank in range(3):
        (span,) = (span for span in result.spans if span.rank == rank and (span.name, span.block) == ("exchange", 2))
        assert span.end_s - span.start_s == pytest.approx(last_of[rank], rel=1e-9)


def total_s(exchange: ExchangeKind, compute_s: float, air_s: float, latency_s: float = 0.0) -> float:
    """Two even boards in step; a message takes `air_s` of air, a block `compute_s`."""
    megabytes = EVEN.tokens // 2 * EVEN.dim * 4 / 1e6
    profile = system(Cost(compute_s), message=Cost(latency_s, air_s / megabytes))
    plan = Plan("full_tensor", 2, exchange=exchange)
    return simulate(Scenario(EVEN, 1, REFERENCE_MBPS, plan), profile).total_s


def test_blocking_costs_compute_plus_both_transfers_and_one_latency() -> None:
    half = EVEN.tokens // 2
    block = block_flops(EVEN, half, EVEN.tokens)
    control_s = 0.25 + 0.5 * 256 / (half * EVEN.dim * 4)
    outside_s = (embed_flops(EVEN, half) + head_flops(EVEN)) / block * 2.0
    by_hand = control_s + outside_s + EVEN.depth * (2.0 + 0.25 + 2 * 0.5)
    assert total_s("blocking", 2.0, 0.5, 0.25) == pytest.approx(by_hand, rel=1e-12)


def test_boards_in_step_that_post_ahead_wait_for_one_message_a_block_and_not_for_two() -> None:
    """Sent one after the other in the first round, a message travels while the other board computes, ever after."""
    megabytes = EVEN.tokens // 2 * EVEN.dim * 4 / 1e6
    profile = system(Cost(2.0), message=Cost(0.25, 0.5 / megabytes))

    def two_blocks_s(exchange: ExchangeKind) -> float:
        plan = Plan("full_tensor", 2, exchange=exchange)
        six, eight = (Scenario(replace(EVEN, depth=depth), 1, REFERENCE_MBPS, plan) for depth in (6, 8))
        return simulate(eight, profile).total_s - simulate(six, profile).total_s

    assert two_blocks_s("blocking") == pytest.approx(2 * 2.0 + 4 * 0.5 + 2 * 0.25, rel=1e-12)
    assert two_blocks_s("preposted") == pytest.approx(2 * 2.0 + 2 * 0.5 + 2 * 0.25, rel=1e-12)


def test_in_the_first_round_of_three_boards_each_is_heard_before_the_next_one_sends() -> None:
    """By hand: a rank's two messages share the air and end together, then the next rank's start."""
    plan = Plan("full_tensor", 3, exchange="preposted")
    shape = replace(EVEN, image_size=20, patch_size=5)
    assert plan.partition(shape.tokens) == (6, 6, 6)
    latency_s, air_s = 0.25, 0.5
    profile = system(Cost(1.0), message=Cost(latency_s, air_s / (6 * shape.dim * 4 / 1e6)))
    scenario = Scenario(shape, 1, REFERENCE_MBPS, plan)
    embed = [spans_of(scenario, profile, rank, "embed")[0] for rank in range(3)]
    first = [spans_of(scenario, profile, rank, "exchange")[0] for rank in range(3)]
    volley_s = latency_s + 2 * air_s
    posted_s = embed[1].start_s  # when the control message was in, on both workers
    heard_0 = max(embed[0].end_s, posted_s) + volley_s
    assert heard_0 > embed[1].end_s
    assert first[0].start_s == pytest.approx(heard_0)  # rank 1 sends now
    assert first[2].end_s == pytest.approx(heard_0 + volley_s)
    assert (first[0].end_s, first[1].end_s) == pytest.approx((heard_0 + 2 * volley_s,) * 2)


def test_skew_is_waited_for_in_every_blocking_round_and_in_no_preposted_one() -> None:
    half = EVEN.tokens // 2
    profile = system(Cost(2.0), message=Cost(0.25, 0.5 / (half * EVEN.dim * 4 / 1e6)))
    plan = Plan("full_tensor", 2)
    cases: list[tuple[ExchangeKind, int]] = [("blocking", EVEN.depth), ("preposted", 0)]
    for exchange, rounds in cases:
        scenario = Scenario(EVEN, 1, REFERENCE_MBPS, replace(plan, exchange=exchange))
        even, skewed = (simulate(scenario, replace(profile, skew=skew)) for skew in (0.0, 0.1))
        assert skewed.total_s - even.total_s == pytest.approx(rounds * 0.1 * 2.0)
        assert skewed.terminal.waiting_s - even.terminal.waiting_s == pytest.approx(rounds * 0.1 * 2.0)
        assert skewed.terminal.compute_s == pytest.approx(even.terminal.compute_s)


def test_posting_ahead_has_a_latency_of_its_own_that_grows_with_the_message() -> None:
    plan = Plan("full_tensor", 2, exchange="preposted")
    plain = system(Cost(2.0), message=Cost(0.25))
    size_mb = EVEN.tokens // 2 * EVEN.dim * 4 / 1e6
    by_size = replace(plain, link=replace(plain.link, preposted_latency_s=0.5, preposted_mb_s=1.0 / size_mb))
    fixed = replace(plain, link=replace(plain.link, preposted_latency_s=1.5))
    scenario = Scenario(EVEN, 1, REFERENCE_MBPS, plan)
    # Only the control message, of 256 bytes and not 288, tells them apart.
    assert simulate(scenario, by_size).total_s == pytest.approx(simulate(scenario, fixed).total_s, abs=1 - 256 / 288)
    assert simulate(scenario, fixed).total_s > simulate(scenario, plain).total_s + EVEN.depth * 1.0
    blocking = replace(scenario, plan=replace(plan, exchange="blocking"))
    assert simulate(blocking, by_size).total_s == simulate(blocking, plain).total_s


def test_preposting_hides_what_travels_while_the_other_still_computes() -> None:
    """A board that is late by more than a message's airtime finds it there already."""
    plan = Plan("full_tensor", 2, shares=(1.0, 4.0))
    assert plan.partition(SMALL.tokens) == (3, 7)
    profile = system(Cost(0.0, 1e6), message=Cost(0.0, 50.0))
    scenario = Scenario(SMALL, 1, REFERENCE_MBPS, plan)
    early = replace(scenario, plan=replace(plan, exchange="preposted"))
    assert [span.block for span in spans_of(scenario, profile, 1, "exchange")] == [0, 1, 2]
    assert spans_of(early, profile, 1, "exchange") == []  # the terminal's message is in before the worker gets there
    assert simulate(early, profile).total_s < simulate(scenario, profile).total_s


def test_waiting_for_the_peer_is_told_apart_from_transfer() -> None:
    plan = Plan("full_tensor", 2, shares=(1.0, 4.0))
    profile = system(Cost(0.0, 1e6), message=Cost(0.125, 50.0))
    scenario = Scenario(SMALL, 1, REFERENCE_MBPS, plan)
    result = simulate(scenario, profile, trace=True)
    block_s = {0: 1e6 * block_flops(SMALL, 3, 10) / 1e9, 1: 1e6 * block_flops(SMALL, 7, 10) / 1e9}
    waits = [s.end_s - s.start_s for s in result.spans if s.rank == 0 and s.name == "wait_exchange" and s.block]
    air_s = sum(exchange_s(plan, rank, 1, 50.0) for rank in (0, 1))
    head_start_s = air_s - (2 * exchange_s(plan, 0, 1, 50.0))  # the worker's message, the longer one, ends last
    # The worker got the terminal's short message earlier and started its block earlier by that much.
    for wait in waits:
        assert wait == pytest.approx(block_s[1] - block_s[0] - head_start_s, rel=1e-9)
    assert result.terminal.waiting_s == pytest.approx(
        sum(s.end_s - s.start_s for s in result.spans if s.rank == 0 and s.stage == "waiting"), rel=1e-12
    )


def test_the_first_exchange_does_not_overtake_the_input() -> None:
    """The worker cannot start without its input: posting the first exchange early must not delay it."""
    profile = system(
        Cost(0.5), message=Cost(2.0, 2.0)
    )  # the terminal device is through block 0 before the control message is in
    plan = Plan("full_tensor", 2, input_distribution="tokens", first_exchange=False)
    blocking = Scenario(replace(SMALL, depth=2), 1, 1.0, plan)
    preposted = replace(blocking, plan=replace(plan, exchange="preposted"))
    giving_way_s = 2.0  # one latency, once
    assert simulate(preposted, profile).total_s <= simulate(blocking, profile).total_s * (1 + 1e-9) + giving_way_s
