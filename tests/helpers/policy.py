"""Performance maps in closed form, and a backend in closed form that does as it is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from prism.cost import CostModel
from prism.plan import Plan
from prism.policy.backend import BackendName, Order, Outcome, Probe
from prism.policy.build_map import build_map
from prism.policy.estimate import ProbeModel
from prism.policy.performance_map import PerformanceMap
from prism.profile import LinkModel
from prism.record import Energy, Measurement, RankTimes

MODEL = "vit_base_patch16_224"
LOCAL, SPLIT, FULL = Plan(), Plan("segment_means", 2, 10), Plan("full_tensor", 2)
NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
BATCHES, BANDWIDTHS = (1, 2, 4, 8, 16), (25.0, 50.0, 100.0, 200.0, 400.0, 800.0)

Seconds = Callable[[Plan, int, float], tuple[float, float]]


def closed_form(plan: Plan, batch: int, mbps: float) -> tuple[float, float]:
    """Seconds of a pass, and how many of them are communication. Batch 8: local 0.48, split 0.32 + 16 / mbps."""
    if plan == LOCAL:
        return 0.06 * batch, 0.0
    communication_s = (2.0 if plan.segments == 10 else 20.0) * batch / mbps
    return 0.08 + 0.03 * batch + communication_s, communication_s


def run(plan: Plan, batch: int, mbps: float, seconds: Seconds = closed_form, watts: float | None = None) -> Measurement:
    total_s, communication_s = seconds(plan, batch, mbps)
    energy = None if watts is None else Energy((watts * total_s, watts * total_s / 2), "made up")
    times = RankTimes(total_s - communication_s, 0.0, communication_s, 0.0)
    return Measurement("measured", MODEL, batch, mbps, plan, total_s, (times,), energy=energy)


def a_map(
    *plans: Plan,
    seconds: Seconds = closed_form,
    watts: Callable[[Plan], float | None] = lambda _: None,
    batches: tuple[int, ...] = BATCHES,
    bandwidths: tuple[float, ...] = BANDWIDTHS,
) -> PerformanceMap:
    """A map of what `seconds` says; of local, Segment Means and full tensors unless told otherwise."""
    runs = [
        run(plan, batch, mbps, seconds, watts(plan))
        for plan in plans or (LOCAL, SPLIT, FULL)
        for batch in batches
        for mbps in (bandwidths if plan.devices > 1 else bandwidths[:1])
    ]
    return build_map(runs, {}, NOON)


#: 1 ms, and 8e6 bits a MB at the bandwidth's label.
LINK = LinkModel(CostModel("affine", "MB", 1e-3, 0.08, 1.0, {}, (), 0.0, 1e3), 100.0)


@dataclass
class ScriptedBackend:
    """Takes what a function says that each pass takes.

    Attributes:
        mbps: bandwidth by time.
        seconds: what a pass takes and communicates.
        lose: whether a split pass that begins at a time loses its workers.
        orders, probes: what was asked for.
    """

    mbps: Callable[[float], float]
    seconds: Seconds = closed_form
    lose: Callable[[float], bool] = lambda _: False
    name: BackendName = "sim"
    workers: int = 1
    time_s: float = 0.0
    orders: list[tuple[float, Order]] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    probe_model: ProbeModel = field(default_factory=lambda: ProbeModel(LINK))

    def now_s(self) -> float:
        return self.time_s

    def wait_until(self, time_s: float) -> None:
        self.time_s = max(self.time_s, time_s)

    def run(self, order: Order) -> Outcome:
        self.orders.append((self.time_s, order))
        outcome = self.would(order, self.time_s)
        self.time_s = outcome.end_s
        return outcome

    def would(self, order: Order, start_s: float) -> Outcome:
        local_s, _ = self.seconds(LOCAL, order.batch, 1.0)
        if order.plan.devices == 1:
            return Outcome(start_s, local_s)
        mbps = self.mbps(start_s)
        if mbps == 0 or self.lose(start_s):
            return Outcome(start_s, order.give_up_s + local_s, lost=order.ranks, why="gone")
        return Outcome(start_s, *self.seconds(order.plan, order.batch, mbps))

    def probe(self, nbytes: int, timeout_s: float) -> Probe | None:
        mbps = self.mbps(self.time_s)
        seconds = self.probe_model.seconds(nbytes, mbps) if mbps and not self.lose(self.time_s) else math.inf
        taken_s = min(seconds, timeout_s)
        self.time_s += taken_s
        self.probes.append(Probe(self.time_s, nbytes, taken_s, seconds <= timeout_s))
        return self.probes[-1]
