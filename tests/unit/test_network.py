"""Messages: rendezvous of send and receive, order on a connection, shares between connections, latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment, Event

from sim.messages import MessageKey
from sim.network import Arrival, Network

times = st.floats(0.0, 10.0)


class Wire:
    """A network under test: offers and expectations at given times, and when each message has arrived."""

    def __init__(self, airtimes: dict[MessageKey, float], latency_s: float = 0.0) -> None:
        self.env = Environment()
        self.network = Network(self.env, airtimes, latency_s)
        self.arrived: dict[MessageKey, float] = {}
        self.started: dict[MessageKey, float] = {}

    def offer(self, at_s: float, *keys: MessageKey) -> None:
        self._at(at_s, lambda: self.network.offer(keys))

    def expect(self, at_s: float, *keys: MessageKey) -> None:
        """Each by an arrival of its own."""

        def post() -> None:
            for key in keys:
                arrival = Arrival(self.env, 1)
                arrival.event.callbacks.append(partial(self._note, key, arrival))
                self.network.expect([key], arrival)

        self._at(at_s, post)

    def run(self) -> dict[MessageKey, float]:
        self.env.run()
        return self.arrived

    def _note(self, key: MessageKey, arrival: Arrival, _: Event) -> None:
        self.arrived[key] = self.env.now
        self.started[key] = arrival.started_s

    def _at(self, at_s: float, action: Callable[[], None]) -> None:
        self.env.timeout(at_s).callbacks.append(lambda _: action())


A: MessageKey = (0, 1, 0)
B: MessageKey = (0, 1, 1)
BACK: MessageKey = (1, 0, 0)
CONTROL: MessageKey = (0, 1, "control")


@given(times, times)
def test_a_transfer_starts_when_it_is_both_sent_and_expected(sent_s: float, posted_s: float) -> None:
    wire = Wire({A: 2.0})
    wire.offer(sent_s, A)
    wire.expect(posted_s, A)
    assert wire.run() == {A: pytest.approx(max(sent_s, posted_s) + 2.0)}
    assert wire.started == {A: max(sent_s, posted_s)}


def test_what_nobody_expects_never_takes_the_air() -> None:
    wire = Wire({A: 5.0, BACK: 1.0})
    wire.offer(0.0, A, BACK)
    wire.expect(0.0, BACK)
    assert wire.run() == {BACK: 1.0}


def test_one_connection_carries_one_message_after_the_other() -> None:
    """A long one first: the short one waits, though sharing would end it sooner."""
    wire = Wire({A: 5.0, B: 1.0})
    wire.expect(0.0, A, B)
    wire.offer(0.0, A, B)
    assert wire.run() == {A: 5.0, B: 6.0}
    assert wire.started == {A: 0.0, B: 5.0}


def test_messages_that_wait_for_a_connection_keep_their_order() -> None:
    blocks: list[MessageKey] = [(0, 1, block) for block in range(4)]
    wire = Wire(dict.fromkeys(blocks, 2.0))
    wire.expect(0.0, *blocks)
    wire.offer(0.0, *blocks)
    assert wire.run() == dict(zip(blocks, (2.0, 4.0, 6.0, 8.0), strict=True))


def test_order_on_a_connection_is_that_of_starting_and_not_of_sending() -> None:
    """B is expected first; A, sent before it, is still parked with its sender."""
    wire = Wire({A: 5.0, B: 1.0})
    wire.offer(0.0, A, B)
    wire.expect(1.0, B)
    wire.expect(1.5, A)
    assert wire.run() == {B: 2.0, A: 7.0}


def test_connections_share_the_medium_whatever_their_direction() -> None:
    wire = Wire({A: 3.0, BACK: 3.0})
    wire.expect(0.0, A, BACK)
    wire.offer(0.0, A, BACK)
    assert wire.run() == {A: 6.0, BACK: 6.0}


def test_control_does_not_queue_behind_data() -> None:
    wire = Wire({A: 5.0, CONTROL: 1.0})
    wire.expect(0.0, A, CONTROL)
    wire.offer(0.0, A, CONTROL)
    assert wire.run() == {CONTROL: 2.0, A: 6.0}


def test_latency_leaves_the_air_free() -> None:
    """Both wait 1 s at the same time and then share; a message in its latency does not slow the one on the air."""
    wire = Wire({A: 2.0, BACK: 2.0}, latency_s=1.0)
    wire.expect(0.0, A, BACK)
    wire.offer(0.0, A, BACK)
    assert wire.run() == {A: 5.0, BACK: 5.0}

    wire = Wire({A: 2.0, BACK: 2.0}, latency_s=1.0)
    wire.expect(0.0, A, BACK)
    wire.offer(0.0, A)
    wire.offer(2.0, BACK)  # on the air from 3 s, when A has just ended
    assert wire.run() == {A: 3.0, BACK: 5.0}


def test_latency_counts_as_transfer_and_each_message_in_a_row_pays_it() -> None:
    wire = Wire({A: 2.0, B: 2.0}, latency_s=1.0)
    wire.expect(0.0, A, B)
    wire.offer(0.0, A, B)
    assert wire.run() == {A: 3.0, B: 6.0}
    assert wire.started == {A: 0.0, B: 3.0}


def test_an_arrival_of_several_messages_is_complete_with_the_last() -> None:
    env = Environment()
    third: MessageKey = (2, 1, 0)
    network = Network(env, {A: 1.0, third: 4.0}, 0.0)
    arrival = Arrival(env, 2)
    done: list[float] = []
    arrival.event.callbacks.append(lambda _: done.append(env.now))
    network.expect([A, third], arrival)
    network.offer([A])
    env.timeout(3.0).callbacks.append(lambda _: network.offer([third]))
    env.run()
    assert done == [7.0]
    assert arrival.started_s == 0.0


@given(st.lists(st.tuples(times, times, st.floats(0.01, 5.0)), min_size=1, max_size=6))
def test_on_one_connection_messages_follow_each_other_without_gaps(messages: list[tuple[float, float, float]]) -> None:
    keys: Sequence[MessageKey] = [(0, 1, block) for block in range(len(messages))]
    wire = Wire({key: airtime for key, (_, _, airtime) in zip(keys, messages, strict=True)})
    for key, (sent_s, posted_s, _) in zip(keys, messages, strict=True):
        wire.offer(sent_s, key)
        wire.expect(posted_s, key)
    arrived = wire.run()
    ready = sorted((max(sent_s, posted_s), airtime) for sent_s, posted_s, airtime in messages)
    end = 0.0
    for ready_s, airtime in ready:
        end = max(end, ready_s) + airtime
    assert max(arrived.values()) == pytest.approx(end)
    assert len(arrived) == len(messages)
