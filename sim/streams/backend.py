"""The simulator as a backend of the adaptive loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from prism.plan import Plan
from prism.policy.backend import BackendName, Order, Outcome, Probe
from prism.policy.estimate import ProbeModel
from prism.profile import SystemProfile
from prism.scenario import Scenario
from prism.shape import TransformerShape
from prism.streams.bandwidth import BandwidthTrace
from prism.units import BANDWIDTH_MBPS, check_range
from sim.jitter import Jitter, lognormal_jitter
from sim.simulate import simulate
from sim.streams.air import Air
from sim.streams.carry import Carried, carry


@dataclass(frozen=True)
class Noise:
    """What varies from pass to pass. All draws depend on the seed and the number of the batch alone.

    Attributes:
        link: relative standard deviation of what the air gives in one pass or probe (lognormal, mean 1).
        steps: the same of every step and message of a pass.
    """

    link: float = 0.0
    steps: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("link noise", self.link, 0, 1)
        check_range("step noise", self.steps, 0, 1)
        check_range("seed", self.seed, 0, 2**63)

    def factor(self, index: int, probe: int = 0) -> float:
        """Of the air in batch `index`, or in the probe of that number after it (from 1)."""
        if not self.link:
            return 1.0
        rng = np.random.default_rng((self.seed, index, probe))
        sigma = math.sqrt(math.log1p(self.link**2))
        return math.exp(sigma * float(rng.standard_normal()) - sigma * sigma / 2)

    def jitter(self, index: int) -> Jitter | None:
        """Of the steps in batch `index`: the same for every plan that is asked about."""
        if not self.steps:
            return None
        return lognormal_jitter(np.random.default_rng((self.seed, index, 1 << 32)), self.steps)


class SimBackend:
    """Serves batches in simulated time, on a link that follows a trace.

    Args:
        shape: the model.
        profile: what boards and link cost.
        trace: the link's bandwidth.
        workers: how many there are besides the terminal device.
        noise: what varies.
        restore_s: what bringing lost workers back takes: a new group on real boards.
    """

    name: BackendName = "sim"

    def __init__(
        self,
        shape: TransformerShape,
        profile: SystemProfile,
        trace: BandwidthTrace,
        *,
        workers: int = 1,
        noise: Noise | None = None,
        restore_s: float = 0.3,
    ) -> None:
        link = profile.link
        self.shape = shape
        self.profile = profile
        self.trace = trace
        self.workers = workers
        self.noise = noise or Noise()
        self.restore_s = restore_s
        # What a bucket lets through at once says nothing of the rate: a probe is priced without it.
        self._probe_link = replace(link, air_fixed_s=max(link.air_fixed_s, 0.0))
        self.probe_model = ProbeModel(self._probe_link)
        self._air = Air(trace, link.reference_bandwidth_mbps)
        self._now_s = 0.0
        self._index = 0
        self._probes = 0
        self._steady = lru_cache(maxsize=65536)(self._simulate_steady)

    def now_s(self) -> float:
        return self._now_s

    def wait_until(self, time_s: float) -> None:
        self._now_s = max(self._now_s, time_s)

    def run(self, order: Order) -> Outcome:
        """Serve one batch; what was split and given up is served locally after all."""
        self._index, self._probes = order.index, 0
        restore_s = self.restore_s if order.restore else 0.0
        start_s = self._now_s + restore_s
        outcome = self.would(order, start_s)
        self._now_s = outcome.end_s
        return replace(outcome, restore_s=restore_s)

    def would(self, order: Order, start_s: float) -> Outcome:
        """How a batch would be served from `start_s` on. Nothing changes: this is what an oracle asks."""
        done = self._carried(order.plan, order.batch, order.index, start_s, order.give_up_s)
        if done.answered:
            communication_s = done.communication_s if order.plan.devices > 1 else None
            return Outcome(start_s, done.total_s, communication_s, done.terminal_j, done.all_boards_j)
        local = self._carried(Plan(), order.batch, order.index, start_s + done.total_s, math.inf)
        return Outcome(
            start_s,
            done.total_s + local.total_s,
            None,
            _sum(done.terminal_j, local.terminal_j),
            _sum(done.all_boards_j, local.all_boards_j),
            lost=order.ranks,
            why=f"no answer within {done.total_s:.3g} s; served locally",
        )

    def probe(self, nbytes: int, timeout_s: float) -> Probe:
        """One message; it has the air to itself, since no pass is under way."""
        self._probes += 1
        link = self._probe_link
        begin_s = self._now_s + link.latency_s("blocking", nbytes)
        air_s = link.airtime_s(nbytes, self._air.reference_mbps) / self.noise.factor(self._index, self._probes)
        end_s = self._air.reached_s(self._air.given_s(begin_s) + air_s)
        seconds = math.inf if end_s is None else end_s - self._now_s
        taken_s = min(seconds, timeout_s)
        self._now_s += taken_s
        return Probe(self._now_s, nbytes, taken_s, seconds <= timeout_s)

    def _carried(self, plan: Plan, batch: int, index: int, start_s: float, give_up_s: float) -> Carried:
        jitter = self.noise.jitter(index)
        if plan.devices == 1 and jitter is None:
            return self._steady(plan, batch, 1.0)
        factor = self.noise.factor(index)
        mbps = self.trace.at(start_s) * factor
        if jitter is None and BANDWIDTH_MBPS[0] <= mbps <= BANDWIDTH_MBPS[1]:
            # Most passes see one bandwidth from end to end, and many of them the same one.
            steady = self._steady(plan, batch, mbps)
            until_s = min(self.trace.next_change_s(start_s), start_s + give_up_s)
            if start_s + steady.total_s <= until_s:
                return steady
        scenario = Scenario(self.shape, batch, self._air.reference_mbps, plan)
        return carry(scenario, self.profile, self._air, start_s, give_up_s=give_up_s, factor=factor, jitter=jitter)

    def _simulate_steady(self, plan: Plan, batch: int, mbps: float) -> Carried:
        record = simulate(Scenario(self.shape, batch, mbps, plan), self.profile)
        energy = record.energy
        return Carried(
            record.total_s,
            True,
            record.terminal.communication_s,
            None if energy is None else energy.terminal_j,
            None if energy is None else energy.all_boards_j,
        )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def workers_of(plans: Sequence[Plan]) -> int:
    """Workers that the largest of the plans needs."""
    return max((plan.devices for plan in plans), default=1) - 1
