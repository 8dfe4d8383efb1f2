"""A study's points as numbers: sections of one model and speed-up, cut into chunks that are simulated as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from prism.errors import InputError
from prism.plan import Plan
from prism.profile import Speedup, SystemProfile
from prism.shape import TransformerShape
from sim.study.estimate import MAX_POINTS, Engine, duration_text, estimated_s
from sim.study.spec import Study
from sim.twin.scenarios import Floats, Scenarios
from sim.twin.simulate import simulate_many

#: Points of a chunk. The twin's fill some megabytes; SimPy's take less than a second.
CHUNK: Mapping[Engine, int] = {"twin": 65_536, "simpy": 512}


@dataclass(frozen=True)
class Section:
    """Points that share model and speed-up.

    Point i of a section has plan ``i // cells``; within a plan batches come one after the other, and for each of them
    all bandwidths.

    Attributes:
        by_simpy: plans that the twin leaves to SimPy, with the reason.
    """

    shape: TransformerShape
    speedup: Speedup
    plans: tuple[Plan, ...]
    by_simpy: Mapping[Plan, str]

    def engine(self, plan: Plan) -> Engine:
        return "simpy" if plan in self.by_simpy else "twin"


@dataclass(frozen=True)
class Chunk:
    """Points `start` to `stop` of a section, all simulated by `engine`."""

    section: int
    engine: Engine
    start: int
    stop: int

    @property
    def points(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class Layout:
    """The points of a study.

    Attributes:
        batches: int64, of the shape (batches,).
        bandwidths_mbps: of the shape (bandwidths,).
        chunks: every point is in one of them; their order is the order of the results.
    """

    batches: NDArray[np.int64]
    bandwidths_mbps: Floats
    sections: tuple[Section, ...]
    chunks: tuple[Chunk, ...]

    @property
    def cells(self) -> int:
        """Combinations of batch and bandwidth."""
        return len(self.batches) * len(self.bandwidths_mbps)

    @property
    def points(self) -> int:
        return sum(chunk.points for chunk in self.chunks)

    def by_engine(self) -> dict[Engine, int]:
        """Points that each engine simulates; engines that have none are left out."""
        counts: Counter[Engine] = Counter()
        for chunk in self.chunks:
            counts[chunk.engine] += chunk.points
        return dict(counts)


def lay_out(study: Study, profile: SystemProfile) -> Layout:
    """Lay out the points of a study.

    Raises:
        InputError: too many points, a combination that cannot be, or a mode that the profile does not know.
    """
    cases = study.cases()
    batches = np.array(study.sweep["batch"], np.int64)
    bandwidths_mbps = np.array(study.sweep["bandwidth_mbps"], np.float64)
    plans: dict[tuple[TransformerShape, Speedup], list[Plan]] = {}
    for case in cases:
        plans.setdefault((case.shape, case.speedup), []).append(case.plan)
    sections = []
    for (shape, speedup), of_section in plans.items():
        for mode in dict.fromkeys(plan.mode for plan in of_section):
            profile.block_range(mode)  # refuses a mode that was never measured
            if mode != "local":
                profile.staging_model(mode)
        # No scenario at all: only what the twin says of the plans.
        none = Scenarios.of(shape, of_section, [], [], plan=np.empty(0, np.intp))
        by_simpy = simulate_many(none, speedup.of(profile)).by_simpy
        sections.append(Section(shape, speedup, tuple(of_section), by_simpy))
    cells = len(batches) * len(bandwidths_mbps)
    chunks = [chunk for number, section in enumerate(sections) for chunk in _chunks(number, section, cells)]
    layout = Layout(batches, bandwidths_mbps, tuple(sections), tuple(chunks))
    _check_left_to_simpy(study, layout)
    return layout


def _check_left_to_simpy(study: Study, layout: Layout) -> None:
    """Refuse more points by SimPy than a small study may have, unless `max_points` says that it is meant."""
    points = layout.by_engine().get("simpy", 0)
    if points > MAX_POINTS["simpy"] and study.max_points <= MAX_POINTS["twin"]:
        plan, reason = next(item for section in layout.sections for item in section.by_simpy.items())
        raise InputError(
            f"study {study.name!r} leaves {points:,} of {layout.points:,} points to SimPy, about "
            f"{duration_text(estimated_s({'simpy': points}))} ({plan.label}: {reason}); leave such plans out, or set "
            f"max_points above {MAX_POINTS['twin']:,}"
        )


def _chunks(number: int, section: Section, cells: int) -> Iterator[Chunk]:
    """Neighbouring plans of one engine are cut up together, in pieces of one size."""
    start = 0
    for engine, plans in groupby(section.plans, section.engine):
        stop = start + cells * len(list(plans))
        for first in range(start, stop, CHUNK[engine]):
            yield Chunk(number, engine, first, min(first + CHUNK[engine], stop))
        start = stop
