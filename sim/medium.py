"""The wireless medium: half duplex, shared packet by packet.

Flows that are on the air at the same time each get an equal share of it (processor sharing), whatever their direction.
A flow is measured in airtime: the seconds it would take alone. The model keeps one virtual clock that advances by
elapsed / flows, so that each flow ends at a virtual time that is known when it starts.

Where a queue stands before the medium, a flow that found it empty has its packets in front of those that came later. It
then has a weight above 1, which it keeps: shares are in proportion to weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from simpy import Environment, Event


class Medium:
    """Processor sharing of one medium among the flows on it."""

    def __init__(self, env: Environment, first_weight: float = 1.0) -> None:
        """Take the clock, and the weight of flows that found the medium idle."""
        self._env = env
        self._first_weight = first_weight
        self._idle_at_s = 0.0
        self._weight = 0.0
        # Virtual end, order of start, weight, what to do then.
        self._flows: list[tuple[float, int, float, Callable[[], None]]] = []
        self._started = 0
        self._virtual_s = 0.0
        self._updated_s = 0.0
        self._timer: Event | None = None

    def start(self, flows: Iterable[tuple[float, Callable[[], None]]]) -> None:
        """Put flows on the air: pairs of airtime in seconds and what to call when the flow has ended."""
        self._advance()
        if not self._flows:
            self._idle_at_s = self._env.now
        weight = self._first_weight if self._env.now == self._idle_at_s else 1.0
        for airtime_s, on_end in flows:
            heappush(self._flows, (self._virtual_s + airtime_s / weight, self._started, weight, on_end))
            self._weight += weight
            self._started += 1
        self._set_timer()

    def _advance(self) -> None:
        now = self._env.now
        if self._flows:
            self._virtual_s += self._service_s(self._updated_s, now) / self._weight
        else:
            self._virtual_s = self._weight = 0.0  # an idle medium starts afresh: rounding never piles up over a run
        self._updated_s = now

    def _set_timer(self) -> None:
        if not self._flows:
            self._timer = None
            return
        remaining = self._wait_s(max(self._flows[0][0] - self._virtual_s, 0.0) * self._weight)
        if remaining is None:
            self._timer = None
            return
        self._timer = timer = self._env.timeout(remaining)
        timer.callbacks.append(self._on_timer)

    def _service_s(self, since_s: float, until_s: float) -> float:
        """Airtime that the medium gave between two instants: all of it, where its rate does not change."""
        return until_s - since_s

    def _wait_s(self, service_s: float) -> float | None:
        """How long from now it takes to give so much airtime; None if it never does."""
        return service_s

    def _on_timer(self, timer: Event) -> None:
        if timer is not self._timer:
            return  # a flow came in since: a later timer stands for the new share
        self._updated_s = self._env.now
        self._virtual_s = self._flows[0][0]  # exact, where advancing could fall short by one rounding
        ended = []
        while self._flows and self._flows[0][0] <= self._virtual_s:
            _, _, weight, on_end = heappop(self._flows)
            self._weight -= weight
            ended.append(on_end)
        self._set_timer()
        for on_end in ended:
            on_end()
