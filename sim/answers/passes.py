"""Latency of one plan at arrays of batches, bandwidths and errors of the profile: by the twin, or pass by pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prism.memory import InfeasiblePlan, check_fits
from prism.plan import Plan
from prism.profile import Speedup, SystemProfile
from prism.scenario import Scenario
from prism.schedule import Compute, build_schedule
from prism.shape import TransformerShape
from prism.units import BANDWIDTH_MBPS
from sim.simulate import simulate
from sim.twin.carry import carry_out
from sim.twin.outline import Structure, structure
from sim.twin.prices import AirtimeKey, Prices, along
from sim.twin.scenarios import Floats, Scenarios
from sim.twin.simulate import CHUNK, simulate_many

#: What stands for an infinite bandwidth where SimPy must carry a pass out: 1e17 bit/s.
_AIR_SPEEDUP = 1e6


@dataclass(frozen=True, eq=False)
class Factors:
    """How many times as long as the profile says each part of a pass takes: numbers, or arrays with one a pass.

    Attributes:
        compute: every compute step.
        staging: every copy.
        latency: what passes before a message takes the air.
        air: what a message occupies of the medium.
    """

    compute: ArrayLike = 1.0
    staging: ArrayLike = 1.0
    latency: ArrayLike = 1.0
    air: ArrayLike = 1.0

    def along(self, count: int) -> FactorArrays:
        """Each as an array of `count` passes."""
        parts = (self.compute, self.staging, self.latency, self.air)
        return FactorArrays(*(np.broadcast_to(np.asarray(part, np.float64), count) for part in parts))


@dataclass(frozen=True, eq=False)
class FactorArrays:
    """`Factors` as arrays of the shape (passes,)."""

    compute: Floats
    staging: Floats
    latency: Floats
    air: Floats

    def at(self, where: slice) -> FactorArrays:
        return FactorArrays(self.compute[where], self.staging[where], self.latency[where], self.air[where])

    def speedup(self, index: int) -> Speedup:
        """Those of one pass, as a what-if on the profile."""
        parts = (self.compute, self.staging, self.latency, self.air)
        return Speedup(*(1 / float(part[index]) if part[index] > 0 else _AIR_SPEEDUP for part in parts))


#: The profile as it is.
AS_MEASURED = Factors()


class PlanLatency:
    """Latency of one plan of one model on one system.

    Attributes:
        by_simpy: why SimPy must carry each pass out, some thousand times slower; None where the twin does.

    Raises:
        InputError: the plan does not fit the model, or the profile does not know its mode.
    """

    def __init__(self, shape: TransformerShape, plan: Plan, profile: SystemProfile) -> None:
        self.shape = shape
        self.plan = plan
        self.profile = profile
        probe = Scenarios.of(shape, plan, 1, profile.link.reference_bandwidth_mbps)
        self.by_simpy: str | None = simulate_many(probe, profile).by_simpy.get(plan)
        self._structure = structure(shape, (plan,))
        self._one = lru_cache(maxsize=4096)(self._simulate)

    def check_fits(self, batch: int) -> None:
        """Raise `InfeasiblePlan` where a board's memory does not hold the pass."""
        board = self.profile.board
        check_fits(build_schedule(self.shape, self.plan, batch), board.usable_bytes, board.name)

    def seconds(self, batch: ArrayLike, bandwidth_mbps: ArrayLike, factors: Factors = AS_MEASURED) -> Floats:
        """Seconds from batch accepted to answer held, of the shape that all arguments broadcast to, one axis at most.

        Infinity where a board's memory does not hold the pass: it never ends.
        """
        parts = (factors.compute, factors.staging, factors.latency, factors.air)
        batches, bandwidths, *_ = np.broadcast_arrays(*map(np.atleast_1d, (batch, bandwidth_mbps, *parts)))
        scenarios = Scenarios.of(self.shape, self.plan, batches, bandwidths)
        each = factors.along(len(scenarios))
        if self.by_simpy is not None:
            passes = zip(scenarios.batch.tolist(), scenarios.bandwidth_mbps.tolist(), strict=True)
            return np.array([self._one(*key, each.speedup(index)) for index, key in enumerate(passes)])
        starts = range(0, len(scenarios), CHUNK)
        chunks = [self._through_twin(scenarios, each, slice(start, start + CHUNK)) for start in starts]
        return np.concatenate(chunks)

    def limit_s(self, batch: int) -> float:
        """Seconds when messages take no air at all: what no bandwidth gets below."""
        return float(self.seconds(batch, BANDWIDTH_MBPS[1], Factors(air=0.0))[0])

    def _through_twin(self, scenarios: Scenarios, factors: FactorArrays, where: slice) -> Floats:
        batch, mbps = scenarios.batch[where], scenarios.bandwidth_mbps[where]
        prices = _FactoredPrices(self._structure, self.profile, batch, mbps, factors.at(where))
        total_s = np.broadcast_to(carry_out(self._structure, prices)[0].now_s, len(batch))
        fits = np.ones(len(batch), bool)
        for line in self._structure.memory:
            fits &= along(line, prices.plan, batch.astype(np.float64)) <= self.profile.board.usable_bytes
        return np.where(fits, total_s, np.inf)

    def _simulate(self, batch: int, bandwidth_mbps: float, speedup: Speedup) -> float:
        scenario = Scenario(self.shape, batch, bandwidth_mbps, self.plan)
        try:
            return simulate(scenario, speedup.of(self.profile)).total_s
        except InfeasiblePlan:
            return float("inf")


def local_of(plan: Plan) -> Plan:
    """Local execution of the same input as `plan` is given."""
    return replace(plan, mode="local", devices=1, segments=None, shares=None)


class _FactoredPrices(Prices):
    """The twin's prices, each times its factor."""

    def __init__(
        self, form: Structure, profile: SystemProfile, batch: NDArray[np.int64], mbps: Floats, each: FactorArrays
    ) -> None:
        self.plan = np.zeros(len(batch), np.intp)
        super().__init__(form, profile, self.plan, batch, mbps, None)
        self._form = form
        self._factors = each
        # The twin adds latency to arrays of times: an array of latencies will do.
        self.latency_s = cast("float", self.latency_s * each.latency)

    def seconds(self, rank: int) -> list[Floats]:
        """Duration of each compute and copy step of `rank`, by position; 0 for other steps."""
        each = self._factors
        return [
            seconds * (each.compute if isinstance(step, Compute) else each.staging)
            for step, seconds in zip(self._form.steps[rank], super().seconds(rank), strict=True)
        ]

    def airtime_s(self, key: AirtimeKey) -> Floats:
        """Seconds that a message occupies the medium alone."""
        return super().airtime_s(key) * self._factors.air
