"""The shared medium in closed form: when flows end that share the air, for arrays of scenarios.

What `sim.medium` finds event by event. Its virtual clock is the service that each flow on the air has had; the time at
which that service is reached is the start plus, for every flow, the part of its airtime that was served by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from sim.twin.prices import AirtimeKey
from sim.twin.scenarios import Floats

#: Messages that take the air together: receiver and airtime of each.
Flows = tuple[tuple[int, AirtimeKey], ...]


class Sharing:
    """Flows of one volley share the air among themselves. Rounds that repeat have the same one, worked out once.

    Attributes:
        airtimes: how many flows there are of each distinct airtime.
        needed: the longest airtime of those that each receiver waits for.
        taken: seconds from the start of the volley to the end of that flow.
    """

    def __init__(self, flows: Flows, airtime_s: Callable[[AirtimeKey], Floats]) -> None:
        counts = Counter(key for _, key in flows)
        self.airtimes: Sequence[tuple[int, Floats]] = [(count, airtime_s(key)) for key, count in counts.items()]
        incoming: dict[int, set[AirtimeKey]] = {}
        for receiver, key in flows:
            incoming.setdefault(receiver, set()).add(key)
        ends: dict[frozenset[AirtimeKey], tuple[Floats, Floats]] = {}
        for keys in map(frozenset, incoming.values()):
            if keys not in ends:
                needed = _greatest([airtime_s(key) for key in keys])
                ends[keys] = needed, self.busy_s(needed)
        self.needed = {receiver: ends[frozenset(keys)][0] for receiver, keys in incoming.items()}
        self.taken = {receiver: ends[frozenset(keys)][1] for receiver, keys in incoming.items()}

    def busy_s(self, served: Floats) -> Floats:
        """Seconds until every flow that is that long has been served for `served` seconds of its own."""
        busy_s = np.zeros(1)
        for count, airtime in self.airtimes:
            busy_s = busy_s + count * (served if airtime is served else np.minimum(airtime, served))
        return busy_s

    def active(self, served: Floats) -> Floats:
        """How many flows are still on the air by then."""
        active = np.zeros(1)
        for count, airtime in self.airtimes:
            active = active + np.where(airtime > served, float(count), 0.0)
        return active


def _greatest(arrays: Sequence[Floats]) -> Floats:
    greatest, *others = arrays
    for other in others:
        greatest = np.maximum(greatest, other)
    return greatest


class Volley:
    """Flows that take the air at the same time, and single flows that join what is left of them one after the other.

    A board that has its messages may have the next thing to say while others still wait for theirs: between three
    boards and more, a worker's result meets the end of the last exchange.
    """

    def __init__(self, air_s: Floats, sharing: Sharing) -> None:
        self._air_s = air_s
        self._sharing = sharing
        self._joined: list[tuple[Floats, Floats]] = []  # what the volley's flows had been served by then, airtime

    def end_of(self, receiver: int) -> Floats:
        """When `receiver` has all that it waits for. Ask after every flow that joins earlier than that has joined."""
        if not self._joined:
            return self._air_s + self._sharing.taken[receiver]
        return self._time_at(self._sharing.needed[receiver])

    def join(self, at_s: Floats, airtime_s: Floats) -> Floats:
        """One more flow takes the air at `at_s`, after all that joined before it have ended; when it ends."""
        served = self._served_at(at_s)
        until = served + airtime_s
        self._joined.append((served, airtime_s))
        return at_s + airtime_s + self._sharing.busy_s(until) - self._sharing.busy_s(served)

    def _time_at(self, served: Floats) -> Floats:
        """When the flows of the volley have been served for `served` seconds each, or would have been."""
        time = self._air_s + self._sharing.busy_s(served)
        for since, airtime in self._joined:
            time = time + np.clip(served - since, 0.0, airtime)
        return time

    def _served_at(self, at_s: Floats) -> Floats:
        """The inverse of `_time_at`, which is a straight line between the ends of flows.

        Beyond the last of them the medium is idle, and any value that is larger does.
        """
        marks = [airtime for _, airtime in self._sharing.airtimes]
        marks += [since + airtime for since, airtime in self._joined]
        served, reached = np.zeros(1), self._air_s
        for mark in marks:
            time = self._time_at(mark)
            later = (time <= at_s) & (mark > served)
            served, reached = np.where(later, mark, served), np.where(later, time, reached)
        return served + (at_s - reached) / np.maximum(self._sharing.active(served), 1.0)


class Pair:
    """Two flows, one to each of two boards, that take the air when their senders are ready."""

    def __init__(self, air_s: Sequence[Floats], airtimes_s: Sequence[Floats]) -> None:
        """Take when the flow to each board takes the air, and its airtime."""
        (first, second), (short, long) = air_s, airtimes_s
        left = short - np.maximum(second - first, 0.0), long - np.maximum(first - second, 0.0)
        together = np.maximum(np.minimum(*left), 0.0)  # each is served this long while the other is on the air as well
        self._ends = [start + airtime + together for start, airtime in zip(air_s, airtimes_s, strict=True)]

    def end_of(self, receiver: int) -> Floats:
        """When `receiver` has its message."""
        return self._ends[receiver]

    def join(self, at_s: Floats, airtime_s: Floats) -> Floats:
        """One more flow, which finds the air free: it is between the same two boards, and both have their messages."""
        return at_s + airtime_s
