"""The bandwidth that is needed: for a latency, or for splitting to beat local execution by a margin."""

from __future__ import annotations

from dataclasses import dataclass

from prism.plan import Plan
from prism.profile import SystemProfile, extrapolations
from prism.scenario import Scenario
from prism.shape import TransformerShape
from prism.units import check_range
from sim.answers.crossover import SCAN_POINTS, SEARCH_MBPS, Interval, bandwidth_interval, checked_gain
from sim.answers.errors import StageErrors
from sim.answers.roots import all_roots, scan_points


@dataclass(frozen=True)
class NeededBandwidth:
    """The least bandwidth at which a plan keeps a latency, within a range.

    Attributes:
        target_s: the latency to be kept.
        bandwidth_mbps: None where no bandwidth of the range will do; the lower end where every one does.
        at_low_end: whether the lower end of the range will do already.
        again: bandwidths above it at which the target is missed and kept again; empty where latency only falls.
        latency_s: at that bandwidth, or at the upper end of the range where none will do.
        limit_s: latency when messages take no air at all. Above the target, no bandwidth whatever will do.
        interval: of the bandwidth; None without residuals in the profile, or not asked.
        local_s: latency of local execution; infinity where no board holds it.
        extrapolated: in which ways the answer lies outside what the profile was measured on.
        by_simpy: why SimPy carried out each pass; None where the twin did.
    """

    plan: Plan
    batch: int
    target_s: float
    searched_mbps: tuple[float, float]
    bandwidth_mbps: float | None
    at_low_end: bool
    again: tuple[float, ...]
    latency_s: float
    limit_s: float
    interval: Interval | None
    local_s: float
    extrapolated: tuple[str, ...]
    by_simpy: str | None

    @property
    def reachable(self) -> bool:
        """Whether some bandwidth, however large, keeps the target."""
        return self.bandwidth_mbps is not None or self.limit_s <= self.target_s


def bandwidth_for(
    shape: TransformerShape,
    plan: Plan,
    batch: int,
    profile: SystemProfile,
    *,
    target_s: float | None = None,
    margin: float = 0.0,
    errors: StageErrors | None = None,
    search_mbps: tuple[float, float] = SEARCH_MBPS,
) -> NeededBandwidth:
    """Solve for the least bandwidth that will do.

    Args:
        shape: the model.
        plan: how the pass is split.
        batch: samples in the pass.
        profile: what the boards and their link cost.
        target_s: latency to be kept, in seconds; None for that of local execution less `margin`.
        margin: share of the local latency that is to be saved.
        errors: draws of the profile's errors, for the interval; None for none.
        search_mbps: between which bandwidths.

    Raises:
        InfeasiblePlan: a board's memory does not hold the pass; without `target_s` also not the local one.
        InputError: a plan of one board, one that the model does not admit, or a target or range out of range.
    """
    if target_s is not None:
        check_range("target latency in seconds", target_s, 1e-6, 1e6)
    check_range("margin", margin, 0, 0.999)
    gain = checked_gain(shape, plan, batch, profile, search_mbps, target_s=target_s, margin=margin)
    low, high = search_mbps
    roots = all_roots(lambda mbps: gain.seconds(batch, mbps), scan_points(low, high, SCAN_POINTS))
    rises = [root.x for root in roots.found if root.rises]
    found = low if roots.begins else rises[0] if rises else None
    shown = high if found is None else found
    return NeededBandwidth(
        plan,
        batch,
        gain.limit_s(batch),
        search_mbps,
        found,
        roots.begins,
        tuple(rises if roots.begins else rises[1:]),
        float(gain.split.seconds(batch, shown)[0]),
        gain.split.limit_s(batch),
        None if errors is None else bandwidth_interval(gain, batch, errors, search_mbps),
        float(gain.local.seconds(batch, high)[0]),
        extrapolations(profile, Scenario(shape, batch, shown, plan)),
        gain.split.by_simpy,
    )
