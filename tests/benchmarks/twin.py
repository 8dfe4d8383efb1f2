"""Scenarios a second through the vectorised twin, beside SimPy on points of the same grid in the same run."""

from __future__ import annotations

import random
from collections.abc import Callable
from time import perf_counter

import numpy as np

from prism.plan import Plan
from prism.schedule import build_schedule
from sim.simulate import simulate
from sim.twin.outline import outline, structure
from sim.twin.scenarios import Scenarios
from sim.twin.simulate import simulate_many
from tests.benchmarks.figures import Figure
from tests.benchmarks.simulator import PROFILE, SHAPE

#: Batch 1 to 32, 320 bandwidths, and every L that a half of ViT-B's sequence holds: 1,003,520 scenarios.
BATCHES = np.arange(1, 33)
BANDWIDTHS_MBPS = np.linspace(200.0, 900.0, 320)
PLANS = [Plan("segment_means", devices=2, segments=segments) for segments in range(1, 99)]
#: Where all plans are one, as many bandwidths as make the grid as large.
MANY_BANDWIDTHS_MBPS = np.linspace(200.0, 900.0, len(PLANS) * len(BANDWIDTHS_MBPS))
PREPOSTED = [Plan("segment_means", devices=2, segments=segments, exchange="preposted") for segments in range(1, 99)]


def twin_figures(rounds: int, scenarios: int) -> tuple[str, list[Figure], Figure]:
    """Title, rates, and how many times faster than SimPy. The contestants take turns every round."""
    contestants: dict[str, Callable[[int], float]] = {
        "sim.twin, batch x bandwidth x L": lambda _: grid_s(PLANS, BANDWIDTHS_MBPS),
        "sim.twin, the same afresh: schedules built anew": lambda _: afresh_s(),
        "sim.twin, batch x bandwidth, L = 10": lambda _: grid_s(PLANS[9:10], MANY_BANDWIDTHS_MBPS),
        "sim.twin, batch x bandwidth x L, preposted": lambda _: grid_s(PREPOSTED, BANDWIDTHS_MBPS),
        "sim.simulate, points of that grid": lambda turn: simpy_s(turn, scenarios),
    }
    for one in contestants.values():
        one(0)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        order = list(contestants) if turn % 2 == 0 else list(reversed(contestants))
        for name in order:
            times[name].append(contestants[name](turn))
    first, *_, last = contestants
    rates = [
        Figure(name, [1 / seconds for seconds in measured], ">= 1,000,000" if name == first else "")
        for name, measured in times.items()
    ]
    count = len(PLANS) * len(BATCHES) * len(BANDWIDTHS_MBPS)
    ratio = [simpy / twin for simpy, twin in zip(times[last], times[first], strict=True)]
    title = (
        f"Scenarios a second on one core, {rounds} rounds of {count:,} (twin) and {scenarios} (SimPy), taken in turn"
    )
    return title, rates, Figure("sim.simulate / sim.twin", ratio)


def grid_s(plans: list[Plan], bandwidths_mbps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Seconds a scenario from axes to arrays of times, energies and flags."""
    begin = perf_counter()
    many = Scenarios.grid(SHAPE, plans, BATCHES, bandwidths_mbps)
    simulate_many(many, PROFILE)
    return (perf_counter() - begin) / len(many)


def afresh_s() -> float:
    """As above, with nothing known of any plan."""
    for cache in (build_schedule, outline, structure):
        cache.cache_clear()
    return grid_s(PLANS, BANDWIDTHS_MBPS)


def simpy_s(turn: int, count: int) -> float:
    """Seconds a scenario of points drawn from the grid, whose schedules are at hand."""
    many = Scenarios.grid(SHAPE, PLANS, BATCHES, BANDWIDTHS_MBPS)
    points = [many.scenario(index) for index in random.Random(turn).sample(range(len(many)), count)]
    for point in points:
        point.schedule()
    begin = perf_counter()
    for point in points:
        simulate(point, PROFILE)
    return (perf_counter() - begin) / count
