"""Crossovers and the bandwidth that is needed, beside closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.memory import InfeasiblePlan
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from sim.answers.bandwidth_for import bandwidth_for
from sim.answers.crossover import bandwidth_crossover, batch_crossover
from sim.answers.errors import draw_errors
from sim.simulate import simulate
from tests.helpers import affine
from tests.helpers.affine import PLAN, SHAPE, affine_system

PUBLISHED = load_profile("orin_nano_published")
VIT_B = shape_of("vit_base_patch16_224")
MEANS = Plan("segment_means", 2, 10)


@pytest.mark.parametrize("batch", [2, 3, 7])
def test_the_crossover_is_the_closed_form(batch: int) -> None:
    answer = bandwidth_crossover(SHAPE, PLAN, batch, affine_system())
    (root,) = answer.crossings
    assert root.x == pytest.approx(affine.needed_mbps(batch, affine.local_s(batch)), rel=1e-8)
    assert root.rises
    assert (answer.wins_at_low, answer.wins_at_high, answer.monotone) == (False, True, True)
    assert answer.local_s == pytest.approx(affine.local_s(batch), rel=1e-12)
    assert answer.limit_s == pytest.approx(affine.compute_s(batch) + affine.latency_s(batch), rel=1e-12)
    assert answer.interval is None


def test_the_interval_is_the_closed_forms_over_the_same_draws() -> None:
    """With an error of the link alone the crossover is the closed form's with latency and airtime times that error."""
    profile = affine_system(link=10.0)
    errors = draw_errors(profile, 400, np.random.default_rng(5))
    assert errors is not None
    factor = errors.by_stage["link"]
    left_s = affine.local_s(3) - affine.compute_s(3) - factor * affine.latency_s(3)
    expected = np.sort(np.where(left_s > 0, factor * affine.air_s(3) * 100.0 / np.abs(left_s), np.inf))
    interval = bandwidth_crossover(SHAPE, PLAN, 3, profile, errors=errors).interval
    assert interval is not None
    assert interval.low == pytest.approx(expected[19], rel=3e-6)
    assert interval.high == pytest.approx(expected[379], rel=3e-6)
    assert (interval.draws, interval.without_crossing, interval.several) == (400, 0.0, 0.0)


def test_an_error_of_local_compute_moves_what_has_to_be_beaten() -> None:
    profile = affine_system(compute__local=3.0)
    errors = draw_errors(profile, 400, np.random.default_rng(5))
    assert errors is not None
    left_s = errors.by_stage["compute local"] * affine.local_s(3) - affine.compute_s(3) - affine.latency_s(3)
    expected = np.sort(affine.air_s(3) * 100.0 / left_s)
    interval = bandwidth_crossover(SHAPE, PLAN, 3, profile, errors=errors).interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected[19], expected[379]), rel=3e-6)


def test_without_errors_to_speak_of_the_interval_is_the_answer() -> None:
    profile = replace(
        PUBLISHED,
        provenance=replace(PUBLISHED.provenance, rms_residual_pct=dict.fromkeys(PUBLISHED.cost_models(), 1e-9)),
    )
    errors = draw_errors(profile, 20, np.random.default_rng(0))
    answer = batch_crossover(VIT_B, MEANS, 400.0, profile, errors=errors, largest=24)
    assert answer.interval is not None
    assert answer.interval.low == answer.interval.high == answer.wins[0][0]


def test_draws_without_a_crossover_are_counted_and_move_the_interval_out_of_the_range() -> None:
    profile = affine_system(link=10.0)
    errors = draw_errors(profile, 400, np.random.default_rng(5))
    assert errors is not None
    mbps = affine.needed_mbps(3, affine.local_s(3))
    interval = bandwidth_crossover(SHAPE, PLAN, 3, profile, errors=errors, search_mbps=(1.0, mbps)).interval
    assert interval is not None
    assert interval.above == pytest.approx((errors.by_stage["link"] > 1).mean(), abs=0.003)
    assert (interval.high, interval.high_side, interval.low_side) == (None, "above", "inside")
    interval = bandwidth_crossover(SHAPE, PLAN, 3, profile, errors=errors, search_mbps=(mbps, 1e4)).interval
    assert interval is not None
    assert interval.below == pytest.approx((errors.by_stage["link"] < 1).mean(), abs=0.003)
    assert (interval.low, interval.low_side, interval.high_side) == (None, "below", "inside")


def test_a_plan_that_never_wins_and_one_that_always_does() -> None:
    never = bandwidth_crossover(VIT_B, Plan("full_tensor", 2), 1, PUBLISHED)
    assert (never.crossings, never.wins_at_low, never.wins_at_high) == ((), False, False)
    assert never.limit_s > never.local_s
    always = bandwidth_crossover(SHAPE, PLAN, 3, affine_system(), search_mbps=(1e3, 1e4))
    assert (always.crossings, always.wins_at_low, always.wins_at_high) == ((), True, True)


def test_at_the_published_crossover_both_take_as_long_and_the_answer_says_it_is_extrapolated() -> None:
    answer = bandwidth_crossover(VIT_B, MEANS, 8, PUBLISHED)
    (root,) = answer.crossings
    split_s = simulate(Scenario(VIT_B, 8, root.x, MEANS), PUBLISHED).total_s
    assert split_s == pytest.approx(simulate(Scenario(VIT_B, 8, root.x, Plan()), PUBLISHED).total_s, rel=1e-8)
    assert any("bandwidth" in reason for reason in answer.extrapolated)


@pytest.mark.parametrize(("segments", "mbps"), [(10, 400.0), (30, 900.0), (30, 200.0)])
def test_every_batch_that_is_won_is_named_and_no_other(segments: int, mbps: float) -> None:
    plan = replace(MEANS, segments=segments)
    answer = batch_crossover(VIT_B, plan, mbps, PUBLISHED, largest=32)
    named = {batch for first, last in answer.wins for batch in range(first, last + 1)}
    won = {
        batch
        for batch in range(1, 33)
        if simulate(Scenario(VIT_B, batch, mbps, plan), PUBLISHED).total_s
        <= simulate(Scenario(VIT_B, batch, mbps, Plan()), PUBLISHED).total_s
    }
    assert named == won


def test_the_first_batch_won_has_an_interval_round_it() -> None:
    errors = draw_errors(PUBLISHED, 200, np.random.default_rng(0))
    answer = batch_crossover(VIT_B, MEANS, 400.0, PUBLISHED, errors=errors, largest=24)
    assert answer.interval is not None
    assert answer.interval.low is not None
    assert answer.interval.high is not None
    assert answer.interval.low <= answer.wins[0][0] <= answer.interval.high
    assert answer.interval.low == int(answer.interval.low)


@pytest.mark.parametrize("batch", [2, 5])
def test_the_needed_bandwidth_is_the_closed_form(batch: int) -> None:
    profile, limit_s = affine_system(), affine.compute_s(batch) + affine.latency_s(batch)
    target_s = 1.3 * limit_s
    answer = bandwidth_for(SHAPE, PLAN, batch, profile, target_s=target_s)
    assert answer.bandwidth_mbps == pytest.approx(affine.needed_mbps(batch, target_s), rel=1e-8)
    assert answer.latency_s == pytest.approx(target_s, rel=1e-8)
    assert answer.limit_s == pytest.approx(limit_s, rel=1e-12)
    assert answer.reachable
    margin = bandwidth_for(SHAPE, PLAN, batch, profile, margin=0.05)
    assert margin.bandwidth_mbps == pytest.approx(affine.needed_mbps(batch, 0.95 * affine.local_s(batch)), rel=1e-8)


def test_no_bandwidth_will_do_below_the_limit_and_a_larger_one_just_above_it() -> None:
    profile, limit_s = affine_system(), affine.compute_s(3) + affine.latency_s(3)
    none = bandwidth_for(SHAPE, PLAN, 3, profile, target_s=0.999 * limit_s)
    assert (none.bandwidth_mbps, none.reachable) == (None, False)
    beyond = bandwidth_for(SHAPE, PLAN, 3, profile, target_s=limit_s * (1 + 1e-7))
    assert (beyond.bandwidth_mbps, beyond.reachable) == (None, True)
    any_will = bandwidth_for(SHAPE, PLAN, 3, profile, target_s=1e3)
    assert (any_will.bandwidth_mbps, any_will.at_low_end) == (1.0, True)


def test_what_makes_no_sense_is_refused() -> None:
    profile = affine_system()
    with pytest.raises(InputError, match="cannot beat itself"):
        bandwidth_crossover(SHAPE, Plan(), 1, profile)
    with pytest.raises(InputError, match="lower one first"):
        bandwidth_crossover(SHAPE, PLAN, 1, profile, search_mbps=(10.0, 10.0))
    with pytest.raises(InputError, match="margin"):
        bandwidth_for(SHAPE, PLAN, 1, profile, margin=1.5)
    with pytest.raises(InputError, match="target"):
        bandwidth_for(SHAPE, PLAN, 1, profile, target_s=float("nan"))
    with pytest.raises(InfeasiblePlan):
        bandwidth_crossover(VIT_B, MEANS, 200_000, PUBLISHED)
