"""One rank of many passes at once: `sim.rank`, with an array of clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prism.schedule import Compute, Copy, Exchange, Post, Receive, Send
from sim.twin.outline import Structure
from sim.twin.prices import AirtimeKey, Prices
from sim.twin.scenarios import Floats


@dataclass(frozen=True, eq=False)
class StageTimes:
    """How one rank spent its passes, in seconds: `prism.record.RankTimes` with arrays of the shape (scenarios,)."""

    compute_s: Floats
    staging_s: Floats
    transfer_s: Floats
    waiting_s: Floats

    @property
    def communication_s(self) -> Floats:
        return self.transfer_s + self.waiting_s

    @property
    def total_s(self) -> Floats:
        return self.compute_s + self.staging_s + self.transfer_s + self.waiting_s


class Board:
    """A board at work on its part of the schedule.

    Attributes:
        rank: its number.
        now_s: its clocks, one a scenario.
        waits_at: the step at which it waits for messages; None while it goes on and at the end.
        sizes: indices of the sizes of the step at which it waits.
        posted_s: when it last posted the receives of a round ahead.
        sent: when it sent each of its one-way messages, and its airtime, by receiver and name.
    """

    def __init__(self, rank: int, structure: Structure, prices: Prices) -> None:
        self.rank = rank
        self.now_s: Floats = np.zeros(prices.count)
        self.waits_at: Exchange | Receive | None = None
        self.sizes: tuple[int, ...] = ()
        self.posted_s: Floats = self.now_s
        self.sent: dict[tuple[int, str], tuple[Floats, AirtimeKey]] = {}
        self._prices = prices
        self._steps = iter(zip(structure.steps[rank], structure.sizes[rank], prices.seconds(rank), strict=True))
        self._arrival: tuple[Floats, Callable[[int], Floats]] | None = None
        self._compute_s, self._staging_s, self._transfer_s, self._waiting_s = np.zeros((4, prices.count))

    @property
    def times(self) -> StageTimes:
        """Where the rank's time went, up to its last step."""
        return StageTimes(self._compute_s, self._staging_s, self._transfer_s, self._waiting_s)

    def receive(self, started_s: Floats, end_of: Callable[[int], Floats]) -> None:
        """What it waits for started at `started_s` and will have arrived at `end_of(rank)`, asked when it goes on.

        Between three boards and more, messages that other ranks send before then can still delay it.
        """
        self._arrival = (started_s, end_of)
        self.waits_at = None

    def advance(self) -> Exchange | Receive | None:
        """Take steps until one that waits for messages, and answer with it; None at the end of the pass."""
        if self.waits_at is not None:
            return self.waits_at
        if self._arrival is not None:
            self._account(*self._arrival)
            self._arrival = None
        for step, sizes, seconds in self._steps:
            if isinstance(step, Compute):
                self._compute_s += seconds
                self.now_s = self.now_s + seconds
            elif isinstance(step, Copy):
                self._staging_s += seconds
                self.now_s = self.now_s + seconds
            elif isinstance(step, Post):
                self.posted_s = self.now_s
            elif isinstance(step, Send):
                peer = step.message.peer
                self.sent[peer, step.name] = self.now_s, self._prices.airtime_key(sizes[0], peer)
            else:
                self.waits_at, self.sizes = step, sizes
                return step
        return None

    def _account(self, started_s: Floats, end_of: Callable[[int], Floats]) -> None:
        """Time before the first message starts is waiting for the peer, the rest is transfer."""
        end_s = np.maximum(end_of(self.rank), self.now_s)
        started_s = np.maximum(started_s, self.now_s)
        self._waiting_s += started_s - self.now_s
        self._transfer_s += end_s - started_s
        self.now_s = end_s
