"""Energies of a run: blocks of batches that were served alike, each block metered as a whole.

A single batch is too short for a meter. A block's joules, pauses between its batches included, are shared out evenly
among them, by the rules of `hw.power.block`: from 2 s and 20 samples on, or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hw.power.block import BlockEnergy, energy_record, judge
from hw.power.sampler import PowerSampler
from hw.runtime.errors import PeerLost
from prism.policy.backend import BatchEnergy


class MeteredBoard(Protocol):
    """A board that meters itself when told to: a worker."""

    def energy_begin(self) -> None:
        """Begin a block; one that was begun before and not ended is forgotten."""
        ...

    def energy_end(self, passes: int) -> BlockEnergy:
        """End the block, in which there were so many passes."""
        ...


@dataclass
class _Stretch:
    """A block under way or over.

    Attributes:
        boards: how many there are, those that take no part included.
        workers: that measure along; none once one of them was lost.
        batches: their numbers.
        start_s, end_s: on the sampler's clock; the end is that of its last batch until the block is closed.
        theirs: what the workers measured.
    """

    key: Hashable
    boards: int
    workers: Sequence[MeteredBoard]
    start_s: float
    end_s: float
    batches: list[int] = field(default_factory=list)
    theirs: list[BlockEnergy] = field(default_factory=list)


class RunMeter:
    """Meters a run's batches. Boards are asked between batches only, and only when the plan changes.

    Args:
        sampler: of the terminal device, started. With a meter that measures nothing, nothing is done.
        boards: how many there are, the terminal device included: a board that was not metered has no energy, not zero.
        clock: that the sampler's meter stamps its readings with, in seconds.
    """

    def __init__(self, sampler: PowerSampler, boards: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._sampler = sampler
        self._boards = boards
        self._clock = clock
        self._open: _Stretch | None = None
        self._over: list[_Stretch] = []

    def under_way(self, key: Hashable) -> bool:
        """Whether a batch served as `key` says belongs to the block under way; or there is nothing to meter with."""
        return not self._sampler.meter.measures or (self._open is not None and self._open.key == key)

    def begin(self, key: Hashable, workers: Sequence[MeteredBoard]) -> None:
        """The batches to come are served as `key` says: close the block under way, and begin another.

        Raises:
            PeerLost: a worker did not answer. What was metered without it is kept.
        """
        self.end()
        for worker in workers:
            worker.energy_begin()
        now_s = self._clock()
        self._open = _Stretch(key, self._boards, workers, now_s, now_s)

    def served(self, batch: int) -> None:
        """The batch of that number went well."""
        if self._open is not None:
            self._open.batches.append(batch)
            self._open.end_s = self._clock()

    def cut_short(self) -> None:
        """The group is gone: the block ends with its last good batch, metered by the terminal device alone."""
        if self._open is not None and self._open.batches:
            self._over.append(self._open)
        self._open = None

    def end(self) -> None:
        """Close the block under way, on every board.

        Raises:
            PeerLost: as `begin`.
        """
        stretch = self._open
        if stretch is None:
            return
        try:
            stretch.theirs = [worker.energy_end(len(stretch.batches)) for worker in stretch.workers]
        except PeerLost:
            self.cut_short()
            raise
        if stretch.workers:
            stretch.end_s = self._clock()
        self.cut_short()

    def energies(self) -> dict[int, BatchEnergy]:
        """Joules of each batch whose block counts, by its number; of all blocks that are over."""
        return {
            batch: energy
            for stretch in self._over
            if (energy := self._energy(stretch)) is not None
            for batch in stretch.batches
        }

    def _energy(self, stretch: _Stretch) -> BatchEnergy | None:
        found = self._sampler.energy_between(stretch.start_s, stretch.end_s)
        scope, duration_s = self._sampler.meter.scope, stretch.end_s - stretch.start_s
        ours = judge(scope, len(stretch.batches), duration_s, found, 0.0, "no readings before and after the block")
        record = energy_record([ours, *stretch.theirs])
        if record is None:
            return None
        complete = len(record.boards_j) == stretch.boards
        return BatchEnergy(record.terminal_j, record.all_boards_j if complete else None)
