"""What every schedule keeps, whatever the shape and the plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from prism.plan import WIRE_BYTES, ExchangeKind, Plan
from prism.schedule import (
    CONTROL_BYTES,
    TERMINAL,
    Compute,
    Copy,
    Exchange,
    Message,
    Post,
    Receive,
    Schedule,
    Send,
    build_schedule,
)
from prism.shape import TransformerShape
from tests.helpers.strategies import batches, plans, shapes


@st.composite
def schedules(draw: st.DrawFn, *, fewest: int = 1) -> Schedule:
    shape = draw(shapes())
    return build_schedule(shape, draw(plans(shape, fewest=fewest)), draw(batches))


def exchanges_of(schedule: Schedule, rank: int) -> list[Exchange]:
    return [step for step in schedule.ranks[rank] if isinstance(step, Exchange)]


def sends_of(schedule: Schedule) -> Counter[tuple[int, int, str | int, int]]:
    """Sender, receiver, name or block, bytes."""
    found: Counter[tuple[int, int, str | int, int]] = Counter()
    for rank, steps in enumerate(schedule.ranks):
        for step in steps:
            if isinstance(step, Send):
                found[rank, step.message.peer, step.name, step.message.nbytes] += 1
            elif isinstance(step, Exchange):
                found.update((rank, message.peer, step.block, message.nbytes) for message in step.sends)
    return found


def receives_of(schedule: Schedule) -> Counter[tuple[int, int, str | int, int]]:
    found: Counter[tuple[int, int, str | int, int]] = Counter()
    for rank, steps in enumerate(schedule.ranks):
        for step in steps:
            if isinstance(step, Receive):
                found[step.message.peer, rank, step.name, step.message.nbytes] += 1
            elif isinstance(step, Exchange):
                found.update((message.peer, rank, step.block, message.nbytes) for message in step.receives)
    return found


@given(schedules())
def test_every_send_has_exactly_one_receive_of_the_same_bytes_at_its_peer(schedule: Schedule) -> None:
    sends = sends_of(schedule)
    assert sends == receives_of(schedule)
    assert all(count == 1 for count in sends.values())
    assert all(sender != receiver and nbytes > 0 for sender, receiver, _, nbytes in sends)


@given(schedules(fewest=2))
def test_an_exchange_before_each_block_that_needs_one(schedule: Schedule) -> None:
    expected = list(range(0 if schedule.plan.first_exchange else 1, schedule.shape.depth))
    for rank, steps in enumerate(schedule.ranks):
        assert [exchange.block for exchange in exchanges_of(schedule, rank)] == expected
        order = [
            step.block
            for step in steps
            if isinstance(step, Exchange) or (isinstance(step, Compute) and step.name == "block")
        ]
        alternating = [block for block in range(schedule.shape.depth) for _ in range(1 + (block in expected))]
        assert order == alternating


@given(schedules(fewest=2))
def test_bytes_of_an_exchange_are_batch_times_vectors_times_width_times_type(schedule: Schedule) -> None:
    plan, shape = schedule.plan, schedule.shape
    limit = plan.segments if plan.segments is not None else shape.tokens
    width = {"float32": 4, "float16": 2}[plan.wire_dtype]
    for rank, own in enumerate(schedule.partition):
        peers = [peer for peer in range(plan.devices) if peer != rank]
        nbytes = schedule.batch * min(limit, own) * shape.dim * width
        for exchange in exchanges_of(schedule, rank):
            assert exchange.sends == tuple(Message(peer, nbytes) for peer in peers)


@given(schedules(fewest=2))
def test_what_is_exchanged_is_staged_out_before_and_in_after(schedule: Schedule) -> None:
    for steps in schedule.ranks:
        staged = [step for step in steps if not isinstance(step, Post)]
        for place, step in enumerate(staged):
            if isinstance(step, Exchange):
                before, after = staged[place - 1], staged[place + 1]
                received = sum(message.nbytes for message in step.receives)
                assert before == Copy("stage_exchange", step.block, "device_to_host", step.sends[0].nbytes)
                assert after == Copy("stage_exchange", step.block, "host_to_device", received)


@given(schedules())
def test_ranks_give_way_to_lower_ones_once_and_only_where_receives_are_posted_ahead(schedule: Schedule) -> None:
    for rank, steps in enumerate(schedule.ranks):
        after = [step.after for step in steps if isinstance(step, Exchange)]
        first = tuple(range(rank)) if schedule.plan.exchange == "preposted" else ()
        assert after == [first, *[()] * (len(after) - 1)][: len(after)]


@given(schedules())
def test_receives_are_posted_ahead_only_where_the_plan_says_so(schedule: Schedule) -> None:
    """One post an exchange with the same receives: the first once the input is in, each next one round ahead."""
    for steps in schedule.ranks:
        posts = [(place, step) for place, step in enumerate(steps) if isinstance(step, Post)]
        rounds = [(place, step) for place, step in enumerate(steps) if isinstance(step, Exchange)]
        if schedule.plan.exchange == "blocking":
            assert not posts
            continue
        assert [(post.block, post.receives) for _, post in posts] == [(step.block, step.receives) for _, step in rounds]
        for index, (place, _) in enumerate(posts):
            assert place < rounds[index][0]
            if index:
                assert place == rounds[index - 1][0] + 1
            else:
                later = [step.name for step in steps[place:] if isinstance(step, (Send, Receive))]
                assert "input" not in later


@given(schedules())
def test_replicated_input_is_not_sent_and_other_input_reaches_each_worker_once(schedule: Schedule) -> None:
    plan, shape = schedule.plan, schedule.shape
    inputs = [(receiver, nbytes) for _, receiver, name, nbytes in sends_of(schedule) if name == "input"]
    if plan.mode == "local" or plan.input_distribution == "replicated":
        assert not inputs
        return
    width = WIRE_BYTES[plan.wire_dtype] * schedule.batch
    if plan.input_distribution == "image":
        expected = dict.fromkeys(range(1, plan.devices), width * shape.channels * shape.image_size**2)
    else:
        sent = plan.sent_tokens(shape.tokens)
        others = 0 if plan.first_exchange else 1
        expected = {
            rank: width * shape.dim * (own + others * (sum(sent) - sent[rank]))
            for rank, own in enumerate(schedule.partition)
            if rank
        }
    assert dict(inputs) == expected
    assert len(inputs) == plan.devices - 1


@given(schedules())
def test_every_worker_is_told_to_start_before_it_does_anything(schedule: Schedule) -> None:
    for steps in schedule.ranks[1:]:
        assert steps[0] == Receive("control", Message(TERMINAL, CONTROL_BYTES))
    starts = [step for step in schedule.ranks[TERMINAL] if isinstance(step, Send) and step.name == "control"]
    assert list(schedule.ranks[TERMINAL][: len(starts)]) == starts
    assert [step.message.peer for step in starts] == list(range(1, schedule.plan.devices))


@given(schedules())
def test_the_terminal_device_alone_answers(schedule: Schedule) -> None:
    results = [(sender, receiver) for sender, receiver, name, _ in sends_of(schedule) if name == "result"]
    if schedule.shape.pool == "token":
        assert not results
    else:
        assert sorted(results) == [(worker, TERMINAL) for worker in range(1, schedule.plan.devices)]
    heads = [[step for step in steps if isinstance(step, Compute) and step.name == "head"] for steps in schedule.ranks]
    assert len(heads[TERMINAL]) == 1
    assert schedule.ranks[TERMINAL][-1] is heads[TERMINAL][0]
    assert not any(heads[1:])


@given(schedules())
def test_flops_of_blocks_follow_the_formula(schedule: Schedule) -> None:
    """Per sample and block, counted anew: n own tokens ask, m tokens and means are asked."""
    shape, plan = schedule.shape, schedule.plan
    d, hidden = shape.dim, shape.mlp_hidden
    sent = plan.sent_tokens(shape.tokens)
    for rank, steps in enumerate(schedule.ranks):
        own = schedule.partition[rank]
        context = own + sum(sent) - sent[rank] if plan.mode != "local" else own
        one_sample = 4 * own * d**2 + 4 * context * d**2 + 4 * own * context * d + 4 * own * d * hidden
        blocks = [step.flops for step in steps if isinstance(step, Compute) and step.name == "block"]
        assert blocks == [schedule.batch * one_sample] * shape.depth


@given(schedules())
def test_every_patch_is_embedded_once_or_on_every_board_that_needs_it(schedule: Schedule) -> None:
    shape, plan = schedule.shape, schedule.plan
    a_patch = 2 * shape.channels * shape.patch_size**2 * shape.dim * schedule.batch
    embedded = [
        sum(step.flops for step in steps if isinstance(step, Compute) and step.name == "embed") / a_patch
        for steps in schedule.ranks
    ]
    if plan.mode == "local" or plan.input_distribution == "tokens":
        assert embedded == [shape.patches, *[0] * (plan.devices - 1)]
    elif plan.first_exchange:
        assert sum(embedded) == shape.patches
    else:
        assert embedded == [shape.patches] * plan.devices  # what the first exchange would bring is made on the spot


@given(schedules(), st.integers(2, 5))
def test_flops_and_bytes_grow_linearly_with_the_batch(schedule: Schedule, times: int) -> None:
    larger = build_schedule(schedule.shape, schedule.plan, schedule.batch * times)
    for rank in range(schedule.plan.devices):
        assert larger.flops(rank) == times * schedule.flops(rank)
        assert larger.exchanged_bytes(rank) == times * schedule.exchanged_bytes(rank)


@given(schedules(fewest=2))
def test_float16_halves_the_bytes_and_changes_no_flops(schedule: Schedule) -> None:
    assume(schedule.plan.wire_dtype == "float32")
    halved = build_schedule(schedule.shape, replace(schedule.plan, wire_dtype="float16"), schedule.batch)
    for rank in range(schedule.plan.devices):
        assert 2 * halved.exchanged_bytes(rank) == schedule.exchanged_bytes(rank)
        assert halved.flops(rank) == schedule.flops(rank)


@given(schedules(fewest=2))
def test_exchange_kind_moves_no_byte(schedule: Schedule) -> None:
    other: ExchangeKind = "blocking" if schedule.plan.exchange == "preposted" else "preposted"
    twin = build_schedule(schedule.shape, replace(schedule.plan, exchange=other), schedule.batch)
    assert sends_of(twin) == sends_of(schedule)


@given(shapes(), batches)
def test_local_has_no_messages_and_no_copies(shape: TransformerShape, batch: int) -> None:
    schedule = build_schedule(shape, Plan(), batch)
    assert len(schedule.ranks) == 1
    assert all(isinstance(step, Compute) for step in schedule.ranks[0])
    assert schedule.exchanged_bytes(0) == 0


@given(schedules(fewest=2))
def test_a_segment_a_token_sends_what_full_tensor_sends(schedule: Schedule) -> None:
    plan = replace(schedule.plan, mode="segment_means", segments=max(schedule.partition))
    full = build_schedule(schedule.shape, replace(schedule.plan, mode="full_tensor", segments=None), schedule.batch)
    assert sends_of(build_schedule(schedule.shape, plan, schedule.batch)) == sends_of(full)


@given(schedules(fewest=2))
def test_means_are_made_of_every_token_that_is_sent_as_one(schedule: Schedule) -> None:
    """One addition a number of the own partition before each exchange."""
    for rank, steps in enumerate(schedule.ranks):
        compressed = {
            step.block: step.flops
            for step in steps
            if isinstance(step, Compute) and step.name == "compress" and step.block in rounds(schedule)
        }
        if schedule.plan.mode == "full_tensor":
            assert not compressed
        else:
            one = schedule.batch * schedule.partition[rank] * schedule.shape.dim
            assert compressed == dict.fromkeys(rounds(schedule), one)


def rounds(schedule: Schedule) -> range:
    return range(0 if schedule.plan.first_exchange else 1, schedule.shape.depth)
