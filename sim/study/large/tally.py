"""What a large study comes to, kept while its chunks go by: which plan is fastest where, and where each beats local.

Everything is an array over batch and bandwidth, for one section at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prism.plan import Plan
from prism.profile import Speedup
from sim.study.large.layout import Chunk, Layout, Section
from sim.twin.scenarios import Floats

#: Crossovers are told at so many batches, and at so many bandwidths, spread over the study's.
TOLD = 8


@dataclass(frozen=True)
class Saving:
    """Where a plan saves most, among the points at which it is the fastest."""

    batch: int
    bandwidth_mbps: float
    total_ms: float
    change_pct: float


@dataclass(frozen=True)
class PlanTally:
    """One plan of a section.

    Attributes:
        fastest: points of batch and bandwidth at which no plan of the section is faster.
        most: None for local, and where there is no local to compare with or the plan is nowhere the fastest.
        batches: for a bandwidth, the first batch of the study at which the plan beats local, and the last before it no
            longer does; None where there is none. Read off the grid.
        bandwidths: for a batch, the least bandwidth of the study at which the plan beats local; None where none does.
    """

    plan: Plan
    fastest: int
    most: Saving | None
    batches: dict[float, tuple[int | None, int | None]]
    bandwidths: dict[int, float | None]


@dataclass(frozen=True)
class SectionTally:
    """One model under one speed-up; `cells` is how many points of batch and bandwidth some plan fits in memory at."""

    model: str
    speedup: Speedup
    cells: int
    plans: tuple[PlanTally, ...]


class Tally:
    """Takes the chunks of a study in order."""

    def __init__(self, layout: Layout) -> None:
        self.points = self.feasible = self.extrapolated = 0
        self.sections: list[SectionTally] = []
        self._layout = layout
        self._current: _Current | None = None
        self._number = -1

    def add(self, chunk: Chunk, rows: pa.RecordBatch) -> None:
        """Count one chunk's rows."""
        if chunk.section != self._number:
            self.finish()
            self._number = chunk.section
            self._current = _Current(self._layout, self._layout.sections[chunk.section])
        assert self._current is not None
        self.points += len(rows)
        self.feasible += rows.column("feasible").true_count
        self.extrapolated += rows.column("extrapolated").true_count
        self._current.add(chunk, rows.column("total_ms").to_numpy(zero_copy_only=False))

    def finish(self) -> None:
        """After the last chunk of a section."""
        if self._current is not None:
            self.sections.append(self._current.result())
            self._current = None


class _Current:
    def __init__(self, layout: Layout, section: Section) -> None:
        batches, bandwidths = len(layout.batches), len(layout.bandwidths_mbps)
        self._layout = layout
        self._section = section
        self._best_ms = np.full(layout.cells, inf)
        self._best = np.full(layout.cells, -1, np.int32)
        self._local_ms: Floats | None = None
        self._told_batches, self._told_bandwidths = _spread(batches), _spread(bandwidths)
        told = np.zeros((batches, bandwidths), bool)
        told[self._told_batches, :] = True
        told[:, self._told_bandwidths] = True
        self._told = np.flatnonzero(told.ravel())
        self._told_ms = np.full((len(section.plans), len(self._told)), np.nan)

    def add(self, chunk: Chunk, total_ms: Floats) -> None:
        cells = self._layout.cells
        for plan in range(chunk.start // cells, -(-chunk.stop // cells)):
            start, stop = max(chunk.start, plan * cells), min(chunk.stop, (plan + 1) * cells)
            self._add(
                plan, slice(start - plan * cells, stop - plan * cells), total_ms[start - chunk.start :][: stop - start]
            )

    def _add(self, plan: int, where: slice, total_ms: Floats) -> None:
        faster = total_ms < self._best_ms[where]  # never where there is no time
        self._best_ms[where][faster] = total_ms[faster]
        self._best[where][faster] = plan
        if self._section.plans[plan].mode == "local":
            if self._local_ms is None:
                self._local_ms = np.full(self._layout.cells, np.nan)
            self._local_ms[where] = total_ms
        first, last = np.searchsorted(self._told, [where.start, where.stop])
        self._told_ms[plan, first:last] = total_ms[self._told[first:last] - where.start]

    def result(self) -> SectionTally:
        section = self._section
        plans = tuple(self._plan(number, plan) for number, plan in enumerate(section.plans))
        return SectionTally(section.shape.name, section.speedup, int((self._best >= 0).sum()), plans)

    def _plan(self, number: int, plan: Plan) -> PlanTally:
        where = np.flatnonzero(self._best == number)
        if plan.mode == "local" or self._local_ms is None:
            return PlanTally(plan, len(where), None, {}, {})
        most = None
        if len(where):
            change = self._best_ms[where] / self._local_ms[where] - 1
            if not np.isnan(change).all():
                most = self._saving(int(where[np.nanargmin(change)]), 100 * float(np.nanmin(change)))
        return PlanTally(plan, len(where), most, *self._crossovers(number))

    def _saving(self, cell: int, change_pct: float) -> Saving:
        batch, bandwidth = divmod(cell, len(self._layout.bandwidths_mbps))
        mbps = float(self._layout.bandwidths_mbps[bandwidth])
        return Saving(int(self._layout.batches[batch]), mbps, float(self._best_ms[cell]), change_pct)

    def _crossovers(self, number: int) -> tuple[dict[float, tuple[int | None, int | None]], dict[int, float | None]]:
        assert self._local_ms is not None
        batches, bandwidths = self._layout.batches, self._layout.bandwidths_mbps
        wins = np.zeros((len(batches), len(bandwidths)), bool)
        wins.ravel()[self._told] = self._told_ms[number] <= self._local_ms[self._told]
        by_size, by_rate = np.argsort(batches), np.argsort(bandwidths)
        at_bandwidths = {float(bandwidths[j]): _run(batches[by_size], wins[by_size, j]) for j in self._told_bandwidths}
        at_batches = {int(batches[i]): _first(bandwidths[by_rate], wins[i, by_rate]) for i in self._told_batches}
        return at_bandwidths, at_batches


def _spread(count: int) -> NDArray[np.intp]:
    """At most `TOLD` of so many indices, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, TOLD)).round().astype(np.intp))


def _run(batches: NDArray[np.int64], wins: NDArray[np.bool_]) -> tuple[int | None, int | None]:
    """The first of the batches that wins, and the last before one that does not; None if they win to the end."""
    if not wins.any():
        return None, None
    first = int(wins.argmax())
    lost = np.flatnonzero(~wins[first:])
    return int(batches[first]), int(batches[first + lost[0] - 1]) if len(lost) else None


def _first(bandwidths_mbps: Floats, wins: NDArray[np.bool_]) -> float | None:
    return float(bandwidths_mbps[wins.argmax()]) if wins.any() else None
