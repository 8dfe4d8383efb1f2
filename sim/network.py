"""Messages between ranks as GLOO carries them: a transfer starts when it is both offered and expected.

A connection is a sender, a receiver and a channel; its transfers are first in, first out. Concurrent connections share
the medium. The latency of a transfer passes before it takes the air and leaves the air free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from simpy import Environment, Event

from sim.medium import Medium
from sim.messages import MessageKey

Connection = tuple[int, int, str]


class Arrival:
    """What a rank waits for: the messages it expects together, and when the first of them started."""

    __slots__ = ("_heard", "_then", "_until", "event", "outstanding", "started_s")

    def __init__(self, env: Environment, messages: int) -> None:
        self.event: Event = env.event()
        self.outstanding = messages
        self.started_s = float("inf")
        self._heard: set[int] = set()
        self._until: frozenset[int] = frozenset()
        self._then: Callable[[], None] | None = None

    def after(self, senders: Iterable[int], then: Callable[[], None]) -> None:
        """Do something as soon as the messages of `senders`, some of those expected, are in; at once if they are."""
        self._until, self._then = frozenset(senders), then
        self._see_who_is_in()

    def arrived(self, sender: int) -> None:
        """One more message is in. What waited for it is done before the rank goes on."""
        self._heard.add(sender)
        self.outstanding -= 1
        self._see_who_is_in()
        if not self.outstanding:
            self.event.succeed()

    def _see_who_is_in(self) -> None:
        if self._then is not None and self._until <= self._heard:
            then, self._then = self._then, None
            then()


class _Transfer:
    __slots__ = ("airtime_s", "arrival", "connection", "latency_s")

    def __init__(self, connection: Connection, airtime_s: float, latency_s: float, arrival: Arrival) -> None:
        self.connection = connection
        self.airtime_s = airtime_s
        self.latency_s = latency_s
        self.arrival = arrival


class Network:
    """Rendezvous of offered and expected messages over one medium."""

    def __init__(
        self,
        env: Environment,
        airtimes: Mapping[MessageKey, float],
        latency_s: float | Mapping[MessageKey, float],
        medium: Medium | None = None,
    ) -> None:
        self._env = env
        self._airtimes = airtimes
        self._latency_s = latency_s
        self._medium = medium or Medium(env)
        self._offered: set[MessageKey] = set()
        self._expected: dict[MessageKey, Arrival] = {}
        self._busy: dict[Connection, deque[_Transfer]] = {}

    def expect(self, keys: Sequence[MessageKey], arrival: Arrival) -> None:
        """A rank posts its receives. Messages already offered start now."""
        ready = []
        for key in keys:
            if key in self._offered:
                self._offered.remove(key)
                ready.append(self._transfer(key, arrival))
            else:
                self._expected[key] = arrival
        self._begin(ready)

    def offer(self, keys: Sequence[MessageKey]) -> None:
        """A rank sends messages. Those that are expected start now."""
        ready = []
        for key in keys:
            arrival = self._expected.pop(key, None)
            if arrival is None:
                self._offered.add(key)
            else:
                ready.append(self._transfer(key, arrival))
        self._begin(ready)

    def _transfer(self, key: MessageKey, arrival: Arrival) -> _Transfer:
        sender, receiver, message = key
        channel = "control" if message == "control" else "data"
        latency_s = self._latency_s[key] if isinstance(self._latency_s, Mapping) else self._latency_s
        return _Transfer((sender, receiver, channel), self._airtimes[key], latency_s, arrival)

    def _begin(self, transfers: list[_Transfer]) -> None:
        heads = []
        for transfer in transfers:
            queue = self._busy.get(transfer.connection)
            if queue is None:
                self._busy[transfer.connection] = deque()
                heads.append(transfer)
            else:
                queue.append(transfer)
        if heads:
            self._start(heads)

    def _start(self, transfers: list[_Transfer]) -> None:
        now = self._env.now
        for transfer in transfers:
            transfer.arrival.started_s = min(transfer.arrival.started_s, now)
        waiting: dict[float, list[tuple[float, Callable[[], None]]]] = {}
        for transfer in transfers:
            waiting.setdefault(transfer.latency_s, []).append((transfer.airtime_s, self._end_of(transfer)))
        for latency_s, flows in waiting.items():
            self._env.timeout(latency_s).callbacks.append(partial(self._take_the_air, flows))

    def _take_the_air(self, flows: list[tuple[float, Callable[[], None]]], _: Event) -> None:
        self._medium.start(flows)

    def _end_of(self, transfer: _Transfer) -> Callable[[], None]:
        def end() -> None:
            queue = self._busy[transfer.connection]
            if queue:
                self._start([queue.popleft()])
            else:
                del self._busy[transfer.connection]
            transfer.arrival.arrived(transfer.connection[0])

        return end
