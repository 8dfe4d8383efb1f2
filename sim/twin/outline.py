"""A plan's schedule at every batch: its steps, and how their FLOPs and bytes grow with the batch.

Nothing is said here of what a pass consists of. The schedule is built at a few batches, and what lies between them
follows because every size is a constant (the control message) or grows in proportion (all else): checked, not assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from prism.memory import memory_use
from prism.plan import Plan
from prism.profile import Judge, repeated_sizes
from prism.schedule import Compute, Copy, Exchange, Post, Schedule, Step, build_schedule
from prism.shape import TransformerShape
from sim.twin.scenarios import Floats

#: Sizes are drawn as lines through the first two batches; the third must lie on them.
_BATCHES = (1, 2, 7)

#: A size at batch 0 and what each sample adds.
Line = tuple[int, int]


@dataclass(frozen=True)
class Outline:
    """One plan's schedule as a function of the batch.

    Attributes:
        schedule: at batch 1.
        sizes: lines of each step's FLOPs or bytes, by rank and position; of an exchange, of each message that is sent.
        memory: lines of the bytes that each rank needs.
        extremes: least and greatest size a sample of the steps that repeat in every block.
    """

    schedule: Schedule
    sizes: tuple[tuple[tuple[Line, ...], ...], ...]
    memory: tuple[Line, ...]
    extremes: dict[Judge, tuple[int, int]]

    @cached_property
    def form(self) -> tuple[object, ...]:
        """What plans have in common that are carried out together: mode, exchange, and the order of steps."""
        plan = self.schedule.plan
        steps = tuple(tuple(map(_name, rank)) for rank in self.schedule.ranks)
        return (plan.mode, plan.exchange, steps)


@lru_cache(maxsize=4096)
def outline(shape: TransformerShape, plan: Plan) -> Outline:
    """The schedule of `plan` at every batch.

    Raises:
        InputError: a plan that the sequence is too short for.
    """
    schedules = [build_schedule(shape, plan, batch) for batch in _BATCHES]
    ranks = range(plan.devices)
    sizes = tuple(
        tuple(_lines([_sizes(step) for step in probes]) for probes in zip(*steps, strict=True))
        for steps in zip(*(schedule.ranks for schedule in schedules), strict=True)
    )
    memory = _lines([[memory_use(schedule, rank).total_bytes for rank in ranks] for schedule in schedules])
    repeated = repeated_sizes(schedules[0])
    extremes = {judge: (min(sizes), max(sizes)) for judge, sizes in repeated.items() if sizes}
    return Outline(schedules[0], sizes, memory, extremes)


def _lines(probes: Sequence[Sequence[int]]) -> tuple[Line, ...]:
    """Lines through what was found at `_BATCHES`."""
    lines = []
    for first, second, third in zip(*probes, strict=True):
        growth = second - first
        line = (first - growth, growth)
        if third != line[0] + growth * _BATCHES[2]:
            raise AssertionError(f"a size of {first}, {second}, {third} at batches {_BATCHES} is not linear in them")
        lines.append(line)
    return tuple(lines)


def _sizes(step: Step) -> tuple[int, ...]:
    if isinstance(step, Compute):
        return (step.flops,)
    if isinstance(step, Copy):
        return (step.nbytes,)
    if isinstance(step, Exchange):
        return tuple(message.nbytes for message in step.sends)
    if isinstance(step, Post):
        return ()  # its messages are those that the peers' exchanges send
    return (step.message.nbytes,)


def _name(step: Step) -> tuple[object, ...]:
    """A step without its sizes."""
    if isinstance(step, Compute):
        return ("compute", step.name, step.block)
    if isinstance(step, Copy):
        return ("copy", step.name, step.block, step.direction)
    if isinstance(step, Exchange):
        return ("exchange", step.block, step.after)
    if isinstance(step, Post):
        return ("post", step.block)
    return (type(step).__name__, step.name, step.message.peer)


class Structure:
    """Plans whose passes take the same steps in the same order, whatever the sizes of these.

    Attributes:
        steps: by rank and position; their own sizes are those of the first plan at batch 1 and not to be used.
        sizes: for each step, the indices of its sizes in `lines`.
        lines: each distinct size at batch 0 and what a sample adds to it: two arrays with one value a plan, or with a
            single value where all plans agree.
    """

    def __init__(self, outlines: Sequence[Outline]) -> None:
        self.plan = outlines[0].schedule.plan
        self.steps = outlines[0].schedule.ranks
        self.memory = [_arrays(lines) for lines in zip(*(each.memory for each in outlines), strict=True)]
        self.extremes: dict[Judge, tuple[Floats, Floats]] = {
            judge: _arrays([each.extremes[judge] for each in outlines]) for judge in outlines[0].extremes
        }
        numbers: dict[tuple[Line, ...], int] = {}
        self.sizes = tuple(
            tuple(
                tuple(numbers.setdefault(lines, len(numbers)) for lines in zip(*sizes, strict=True))
                for sizes in zip(*(each.sizes[rank] for each in outlines), strict=True)
            )
            for rank in range(self.plan.devices)
        )
        self.lines = [_arrays(lines) for lines in numbers]


def _arrays(pairs: Sequence[tuple[int, int]]) -> tuple[Floats, Floats]:
    """Two arrays with one value a plan, or with a single one where the plans agree."""
    first, second = np.array(pairs[:1] if len(set(pairs)) == 1 else pairs, np.float64).T
    return first, second


@lru_cache(maxsize=64)
def structure(shape: TransformerShape, plans: tuple[Plan, ...]) -> Structure:
    """The common structure of plans that share their outlines' `form`."""
    return Structure([outline(shape, plan) for plan in plans])
