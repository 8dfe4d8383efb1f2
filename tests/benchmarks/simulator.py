"""Scenarios a second through SimPy, beside a bare toy of the same shape in the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from unittest.mock import patch

from simpy import Environment

import sim.simulate
from prism.catalogue import shape_of
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from prism.schedule import build_schedule
from tests.benchmarks.figures import Figure
from tests.benchmarks.toy import toy

PROFILE = load_profile("orin_nano_published")
SHAPE = shape_of("vit_base_patch16_224")
PLAN = Plan("segment_means", devices=2, segments=10)
LARGEST_BATCH = 32


def scenario(index: int) -> Scenario:
    """The index-th of a sweep over batches 1 to 32 in which no bandwidth comes twice: no result can be reused."""
    return Scenario(SHAPE, batch=1 + index % LARGEST_BATCH, bandwidth_mbps=200 + index / 64, plan=PLAN)


def simulate_one(index: int) -> None:
    sim.simulate.simulate(scenario(index), PROFILE)


def simulate_one_afresh(index: int) -> None:
    """As above, with the schedule built anew, where a sweep builds one for each plan and batch."""
    build_schedule.cache_clear()
    simulate_one(index)


def toy_one(index: int) -> None:
    batch = 1 + index % LARGEST_BATCH
    toy(Environment(), compute_s=2.5e-3 * batch, copy_s=2e-4 * batch, transfer_s=1e-4 * batch * (1 + index / 64))


def simulator_figures(rounds: int, scenarios: int) -> tuple[list[Figure], Figure]:
    """Rates of the simulator and of the toy, and the ratio of their times. The contestants take turns every round."""
    contestants: dict[str, Callable[[int], None]] = {
        "sim.simulate": simulate_one,
        "sim.simulate, schedule built each time": simulate_one_afresh,
        "bare SimPy toy": toy_one,
    }
    for one in contestants.values():
        seconds_of(one, range(LARGEST_BATCH))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        indices = range(turn * scenarios, (turn + 1) * scenarios)
        order = list(contestants) if turn % 2 == 0 else list(reversed(contestants))
        for name in order:
            times[name].append(seconds_of(contestants[name], indices) / scenarios)
    rates = [
        Figure(name, [1 / seconds for seconds in measured], ">= 1,000" if name == "sim.simulate" else "")
        for name, measured in times.items()
    ]
    pairs = zip(times["sim.simulate"], times["bare SimPy toy"], strict=True)
    return rates, Figure("sim.simulate / toy", [real / bare for real, bare in pairs])


def seconds_of(one: Callable[[int], None], indices: Sequence[int]) -> float:
    begin = perf_counter()
    for index in indices:
        one(index)
    return perf_counter() - begin


class CountingEnvironment(Environment):
    """Counts the events that it processes."""

    count = 0

    def step(self) -> None:
        CountingEnvironment.count += 1
        super().step()


def event_counts() -> list[tuple[str, str]]:
    """SimPy events that one scenario takes, and one pass of the toy."""
    CountingEnvironment.count = 0
    with patch("sim.simulate.Environment", CountingEnvironment):
        simulate_one(0)
    real = CountingEnvironment.count
    CountingEnvironment.count = 0
    toy(CountingEnvironment(), 1.0, 0.1, 0.1)
    return [("sim.simulate", str(real)), ("bare SimPy toy", str(CountingEnvironment.count))]
