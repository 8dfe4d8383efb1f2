"""Latency against energy and compression: which plans are worth considering at one setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prism.plan import Plan
from sim.explorer.numbers import finite
from sim.explorer.objectives import energies_j
from sim.explorer.question import Question, largest_partition, modes_of
from sim.twin.scenarios import Scenarios
from sim.twin.simulate import simulate_many

#: Segments per partition that are drawn, as far as a partition holds them, beside the chosen and the largest number.
SEGMENTS = (1, 2, 3, 5, 7, 10, 14, 20, 30, 40, 50, 70, 100, 140, 200, 300)
#: The twin writes a plan's schedule down when it first meets it, which takes time by steps and messages. So many in all
#: keep the page quick: deep models on many boards get fewer points, though never fewer than `FEWEST`.
STEPS = 6000
FEWEST = 4
#: Steps of a block on a board, in the time that a message takes.
_STEPS_OF_BLOCK = 3


@dataclass(frozen=True)
class Point:
    """One plan.

    Attributes:
        compression_rate: CR = N / (L P), 1 where whole partitions are exchanged or nothing is.
        energy_j: None where the profile knows no power for the mode.
        efficient: no other plan is at least as good in latency, energy and compression, and better in one.
        chosen: the plan that the controls name.
    """

    plan: str
    mode: str
    segments: int | None
    compression_rate: float
    total_ms: float
    energy_j: float | None
    efficient: bool
    chosen: bool
    extrapolated: bool


def pareto(question: Question) -> tuple[Point, ...]:
    """Every plan that fits: `local`, whole partitions, and Segment Means from the strongest compression on.

    Accuracy falls with compression by how much the model and the task decide, which is why less of it counts as better.
    """
    plans = _plans(question)
    many = Scenarios.of(question.shape, plans, question.batch, question.bandwidth_mbps, plan=np.arange(len(plans)))
    times = simulate_many(many, question.profile)
    energies = energies_j(times, question.objective)
    tokens = question.shape.tokens
    fits = [index for index in range(len(plans)) if times.fits[index]]
    costs = [
        # L of the largest partition comes out a little below 1 where others are smaller: whole partitions all the same.
        (float(times.total_s[index]), finite(energies[index]) or 0.0, max(1.0, plans[index].compression_rate(tokens)))
        for index in fits
    ]
    return tuple(
        Point(
            plan=plans[index].label,
            mode=plans[index].mode,
            segments=plans[index].segments,
            compression_rate=plans[index].compression_rate(tokens),
            total_ms=cost[0] * 1e3,
            energy_j=finite(energies[index]),
            efficient=not any(dominates(other, cost) for other in costs),
            chosen=plans[index].segments == question.segments,
            extrapolated=bool(times.extrapolated[index]),
        )
        for index, cost in zip(fits, costs, strict=True)
    )


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better; less is better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


def _plans(question: Question) -> tuple[Plan, ...]:
    known, boards = modes_of(question.profile), question.boards
    segments = sorted({*_drawn_segments(question), question.segments})
    every = (Plan(), Plan("full_tensor", boards), *(Plan("segment_means", boards, count) for count in segments))
    return tuple(plan for plan in every if plan.mode in known)


def _drawn_segments(question: Question) -> tuple[int, ...]:
    """Of `SEGMENTS` and the largest partition, as many as `STEPS` allow, evenly picked with both ends among them."""
    shape, boards = question.shape, question.boards
    largest = largest_partition(shape.tokens, boards)
    every = (*(count for count in SEGMENTS if count < largest), largest)
    steps = shape.depth * boards * (boards - 1 + _STEPS_OF_BLOCK)
    count = min(len(every), max(FEWEST, STEPS // steps))
    return tuple(every[index] for index in np.linspace(0, len(every) - 1, count).round().astype(int).tolist())
