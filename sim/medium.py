"""The wireless medium: half duplex, shared packet by packet.

Flows that are on the air at the same time each get an equal share of it (processor sharing), whatever their direction.
A flow is measured in airtime: the seconds it would take alone. The model keeps one virtual clock that advances by
elapsed / flows, so that each flow ends at a virtual time that is known when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from simpy import Environment, Event


class Medium:
    """Processor sharing of one medium among the flows on it."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._flows: list[tuple[float, int, Callable[[], None]]] = []  # virtual end, order of start, what to do then
        self._started = 0
        self._virtual_s = 0.0
        self._updated_s = 0.0
        self._timer: Event | None = None

    def start(self, flows: Iterable[tuple[float, Callable[[], None]]]) -> None:
        """Put flows on the air: pairs of airtime in seconds and what to call when the flow has ended."""
        self._advance()
        for airtime_s, on_end in flows:
            heappush(self._flows, (self._virtual_s + airtime_s, self._started, on_end))
            self._started += 1
        self._set_timer()

    def _advance(self) -> None:
        now = self._env.now
        if self._flows:
            self._virtual_s += (now - self._updated_s) / len(self._flows)
        else:
            self._virtual_s = 0.0  # an idle medium starts afresh: rounding never piles up over a run
        self._updated_s = now

    def _set_timer(self) -> None:
        if not self._flows:
            self._timer = None
            return
        remaining = max(self._flows[0][0] - self._virtual_s, 0.0) * len(self._flows)
        self._timer = timer = self._env.timeout(remaining)
        timer.callbacks.append(self._on_timer)

    def _on_timer(self, timer: Event) -> None:
        if timer is not self._timer:
            return  # a flow came in since: a later timer stands for the new share
        self._updated_s = self._env.now
        self._virtual_s = self._flows[0][0]  # exact, where advancing could fall short by one rounding
        ended = []
        while self._flows and self._flows[0][0] <= self._virtual_s:
            ended.append(heappop(self._flows)[2])
        self._set_timer()
        for on_end in ended:
            on_end()
