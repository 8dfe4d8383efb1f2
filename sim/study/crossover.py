"""Where distributed execution becomes faster than local execution, solved for and not read off a grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from scipy.optimize import brentq

from prism.memory import InfeasiblePlan
from prism.plan import Plan
from prism.profile import Speedup, SystemProfile
from prism.scenario import Scenario
from prism.shape import TransformerShape
from sim.simulate import simulate
from sim.study.spec import Point

#: Bandwidths between which a crossover is looked for.
SEARCH_MBPS = (1.0, 10_000.0)
#: Every batch size up to here is tried; beyond it those of the study, with bisection between them.
EVERY_BATCH_TO = 64


@dataclass(frozen=True)
class BandwidthCrossover:
    """The bandwidth from which a plan beats local execution at a batch size.

    None where it never does up to the largest bandwidth searched, 0 where it does at the smallest.
    """

    model: str
    plan: Plan
    speedup: Speedup
    batch: int
    bandwidth_mbps: float | None


@dataclass(frozen=True)
class BatchCrossover:
    """The batches at which a plan beats local execution at a bandwidth: from `batch` to `until`.

    `batch` is None where there is none up to `searched_to`, `until` is None where the plan still wins there.
    """

    model: str
    plan: Plan
    speedup: Speedup
    bandwidth_mbps: float
    batch: int | None
    until: int | None
    searched_to: int


class CrossoverSolver:
    """Solves for crossovers by simulating where it needs to know. Scenarios once simulated are not simulated again."""

    def __init__(self, profile: SystemProfile) -> None:
        self._profile = profile
        self._faster = lru_cache(maxsize=None)(lambda speedup: speedup.of(profile))
        self._latency_s = lru_cache(maxsize=None)(self._simulate)

    def bandwidths(self, points: Sequence[Point]) -> tuple[BandwidthCrossover, ...]:
        """One crossover for each distributed plan and batch size in `points`."""
        cases = dict.fromkeys(
            (point.scenario.shape, point.scenario.plan, point.speedup, point.scenario.batch)
            for point in _distributed(points)
        )
        return tuple(
            BandwidthCrossover(shape.name, plan, speedup, batch, self._bandwidth(shape, plan, speedup, batch))
            for shape, plan, speedup, batch in cases
        )

    def batches(self, points: Sequence[Point]) -> tuple[BatchCrossover, ...]:
        """One crossover for each distributed plan and bandwidth in `points`, up to the largest batch."""
        largest = max(point.scenario.batch for point in points)
        every = range(1, min(largest, EVERY_BATCH_TO) + 1)
        candidates = sorted({*every, *(point.scenario.batch for point in points)})
        cases = dict.fromkeys(
            (point.scenario.shape, point.scenario.plan, point.speedup, point.scenario.bandwidth_mbps)
            for point in _distributed(points)
        )
        return tuple(
            BatchCrossover(
                shape.name, plan, speedup, mbps, *self._batch(shape, plan, speedup, mbps, candidates), largest
            )
            for shape, plan, speedup, mbps in cases
        )

    def _bandwidth(self, shape: TransformerShape, plan: Plan, speedup: Speedup, batch: int) -> float | None:
        def loss(log_mbps: float) -> float:
            return self._loss_s(Scenario(shape, batch, math.exp(log_mbps), plan), speedup)

        slowest, fastest = map(math.log, SEARCH_MBPS)
        if loss(fastest) > 0:
            return None
        if loss(slowest) <= 0:
            return 0.0
        return math.exp(brentq(loss, slowest, fastest, xtol=1e-6))

    def _batch(
        self, shape: TransformerShape, plan: Plan, speedup: Speedup, mbps: float, candidates: Sequence[int]
    ) -> tuple[int | None, int | None]:
        """First and last winning batch. Candidates bracket a change, bisection between two of them finds it."""

        def wins(batch: int) -> bool:
            return self._loss_s(Scenario(shape, batch, mbps, plan), speedup) <= 0

        first: int | None = None
        before = 0
        for batch in candidates:
            if first is None and wins(batch):
                first = _first(wins, before, batch)
            elif first is not None and not wins(batch):
                return first, _first(lambda value: not wins(value), before, batch) - 1
            before = batch
        return first, None

    def _loss_s(self, scenario: Scenario, speedup: Speedup) -> float:
        """How much longer the plan takes than local execution; a plan that does not fit in memory never ends."""
        distributed_s = self._latency_s(scenario, speedup)
        if math.isinf(distributed_s):
            return math.inf
        # Local execution does not see the network: one bandwidth stands for all.
        return distributed_s - self._latency_s(replace(scenario, plan=Plan(), bandwidth_mbps=1.0), speedup)

    def _simulate(self, scenario: Scenario, speedup: Speedup) -> float:
        try:
            return simulate(scenario, self._faster(speedup)).total_s
        except InfeasiblePlan:
            return math.inf


def _distributed(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if point.scenario.plan.mode != "local"]


def _first(holds: Callable[[int], bool], false_at: int, true_at: int) -> int:
    """The smallest integer in (false_at, true_at] where `holds` turns true."""
    while true_at - false_at > 1:
        middle = (false_at + true_at) // 2
        if holds(middle):
            true_at = middle
        else:
            false_at = middle
    return true_at
