"""The schedule of the published case, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import InputDistribution, Plan
from prism.schedule import Compute, Exchange, build_schedule
from tests.helpers.systems import SMALL

VIT_B = shape_of("vit_base_patch16_224")


def exchanges(plan: Plan, rank: int) -> int:
    return sum(isinstance(step, Exchange) for step in build_schedule(VIT_B, plan, 1).ranks[rank])


@pytest.mark.parametrize("plan", [Plan("full_tensor", 2), Plan("segment_means", 2, 10), Plan("segment_means", 3, 10)])
@pytest.mark.parametrize("distribution", ["replicated", "tokens", "image"])
def test_twelve_exchanges_and_eleven_where_the_first_is_held_already(
    plan: Plan, distribution: InputDistribution
) -> None:
    plan = replace(plan, input_distribution=distribution)
    for rank in range(plan.devices):
        assert exchanges(plan, rank) == 12
        assert exchanges(replace(plan, first_exchange=False), rank) == 11


def test_bytes_of_the_published_case() -> None:
    """L = 10 means of 768 float32 for each of 8 samples, twelve times."""
    schedule = build_schedule(VIT_B, Plan("segment_means", 2, 10), 8)
    assert [schedule.exchanged_bytes(rank) for rank in (0, 1)] == [12 * 8 * 10 * 768 * 4] * 2
    full = build_schedule(VIT_B, Plan("full_tensor", 2), 8)
    assert [full.exchanged_bytes(rank) for rank in (0, 1)] == [12 * 8 * 99 * 768 * 4, 12 * 8 * 98 * 768 * 4]


def test_three_boards_send_to_each_other() -> None:
    schedule = build_schedule(VIT_B, Plan("segment_means", 3, 10), 1)
    first = next(step for step in schedule.ranks[1] if isinstance(step, Exchange))
    assert [message.peer for message in first.sends] == [0, 2]
    assert [message.peer for message in first.receives] == [0, 2]


def test_where_the_first_exchange_is_skipped_means_of_the_others_are_made_on_the_spot() -> None:
    schedule = build_schedule(SMALL, Plan("segment_means", 2, 2, first_exchange=False, shares=(1.0, 4.0)), 1)
    assert schedule.partition == (3, 7)
    compressed = [
        [step.flops for step in steps if isinstance(step, Compute) and step.name == "compress" and step.block == 0]
        for steps in schedule.ranks
    ]
    assert compressed == [[7 * SMALL.dim], [3 * SMALL.dim]]


@pytest.mark.parametrize("batch", [0, -1, 1_000_001])
def test_absurd_batches_are_refused(batch: int) -> None:
    with pytest.raises(InputError, match=f"batch = {batch} is out of range; it must lie between 1 and 1000000"):
        build_schedule(SMALL, Plan(), batch)


def test_the_terminal_device_must_hold_the_prefix_tokens() -> None:
    registers = replace(SMALL, prefix_tokens=5)
    with pytest.raises(InputError, match="does not hold the 5 prefix tokens"):
        build_schedule(registers, Plan("full_tensor", 2, shares=(1.0, 9.0)), 1)
    assert build_schedule(registers, Plan("full_tensor", 2), 1).partition == (7, 7)


def test_more_boards_than_tokens_are_refused() -> None:
    with pytest.raises(InputError, match="cannot split 10 tokens into 11 parts"):
        build_schedule(SMALL, Plan("full_tensor", 11), 1)
