"""Three bandwidths to serve at, one after another, chosen so that there is something to decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prism.policy.performance_map import PerformanceMap

#: What is wanted, in Mbps: splitting pays, does not, and does again.
WANTED_MBPS = (400.0, 50.0, 200.0)
#: Relative step between bandwidths that are looked at.
STEP = 1.05


@dataclass(frozen=True)
class Lead:
    """The best mode at a bandwidth.

    Attributes:
        splits: whether that is a split one.
        share: how much longer the other takes, relatively.
        best_s: what the best takes.
    """

    splits: bool
    share: float
    best_s: float


def lead(table: PerformanceMap, batch: int, mbps: float) -> Lead:
    """How local and the best split plan compare by the map."""
    local_s = min(table.predict(plan, batch, mbps).total_s for plan in table.plans if plan.devices == 1)
    split_s = min(table.predict(plan, batch, mbps).total_s for plan in table.plans if plan.devices > 1)
    best_s = min(local_s, split_s)
    return Lead(split_s < local_s, max(local_s, split_s) / best_s - 1, best_s)


def choose_phases(table: PerformanceMap, batch: int, margin: float) -> tuple[float, float, float] | None:
    """The bandwidths nearest to those wanted, in octaves, at which the mode that is to win leads by `margin`.

    None where there is no such bandwidth between the lowest and the highest that was measured.
    """
    low, high = table.bandwidths_mbps[0], table.bandwidths_mbps[-1]
    steps = round(math.log(high / low) / math.log(STEP))
    leads = {mbps: lead(table, batch, mbps) for mbps in (low * (high / low) ** (i / steps) for i in range(steps + 1))}
    chosen = []
    for wanted, splits in zip(WANTED_MBPS, (True, False, True), strict=True):
        fit = [mbps for mbps, found in leads.items() if found.splits == splits and found.share >= margin]
        if not fit:
            return None
        chosen.append(min(fit, key=lambda mbps: abs(math.log(mbps / wanted))))
    first, second, third = (float(f"{mbps:.3g}") for mbps in chosen)
    return first, second, third
