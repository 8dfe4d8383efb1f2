"""Amounts of compute steps, and prices that are linear in them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from prism.catalogue import shape_of
from prism.plan import Plan
from prism.profile import Speedup
from prism.schedule import Compute, build_schedule
from prism.work import CALLS, Work, WorkModel, work_of, works
from sim.simulate import simulate
from tests.helpers.corpus import machine, scenarios

TINY = shape_of("vit_tiny_patch16_224")


@pytest.mark.parametrize("plan", [Plan(), Plan("full_tensor", 2), Plan("segment_means", 3, 10)])
def test_products_of_a_pass_are_its_flops_but_for_averaging(plan: Plan) -> None:
    schedule = build_schedule(TINY, plan, 4)
    for rank in range(plan.devices):
        total = sum(works(schedule, rank), Work())
        averaged = sum(s.flops for s in schedule.ranks[rank] if isinstance(s, Compute) and s.name == "compress")
        assert 1e9 * (total.gemm_gflop + total.attention_gflop) == pytest.approx(schedule.flops(rank) - averaged)


def test_a_block_by_hand() -> None:
    schedule = build_schedule(TINY, Plan(), 2)
    block = next(step for step in schedule.ranks[0] if isinstance(step, Compute) and step.name == "block")
    work = work_of(schedule, 0, block)
    d, n = 192, 197
    assert work.calls == CALLS["block"]
    assert work.attention_gflop == pytest.approx(2 * 4 * n * n * d / 1e9)
    assert work.gemm_gflop == pytest.approx(2 * 24 * n * d * d / 1e9)
    assert work.tokens_mb == pytest.approx(2 * n * d * 4 / 1e6)
    assert work.weights_mb == pytest.approx(12 * d * d * 4 / 1e6)


def test_weights_are_read_once_a_step_whatever_the_batch() -> None:
    one, eight = (sum(works(build_schedule(TINY, Plan(), batch), 0), Work()) for batch in (1, 8))
    assert eight.weights_mb == one.weights_mb
    assert eight.calls == one.calls
    assert eight.tokens_mb == pytest.approx(8 * one.tokens_mb)


def test_spilled_is_what_lies_beyond_the_cache() -> None:
    work = Work(tokens_mb=3.0)
    assert work.beyond(1.0).spilled_mb == 2.0
    assert work.beyond(math.inf).spilled_mb == 0.0
    model = WorkModel({"tokens_mb": 1.0, "spilled_mb": 10.0}, {}, (), 0.0, 1.0, cache_mb=1.0)
    assert model.seconds(work) == 3.0 + 20.0
    assert replace(model, cache_mb=None).seconds(work) == 3.0


def test_simulated_compute_is_the_sum_of_the_steps_prices() -> None:
    profile = machine()
    scenario = next(each for each in scenarios(["small"], [4]) if each.plan.mode == "segment_means")
    result = simulate(scenario, profile)
    for rank, times in enumerate(result.ranks):
        seconds = sum(profile.work["segment_means"].seconds(work) for work in works(scenario.schedule(), rank))
        assert times.compute_s == pytest.approx(seconds)


def test_a_speedup_of_compute_makes_every_price_smaller() -> None:
    scenario = next(scenarios(["tiny"], [2]))
    faster = Speedup(compute=4.0).of(machine())
    assert simulate(scenario, faster).total_s == pytest.approx(simulate(scenario, machine()).total_s / 4)
