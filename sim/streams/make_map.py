"""A performance map from the simulator, for a system that has a profile and no sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timezone

from prism.errors import InputError
from prism.memory import InfeasiblePlan
from prism.plan import Plan
from prism.policy.build_map import build_map
from prism.policy.performance_map import PerformanceMap
from prism.profile import SystemProfile
from prism.record import Measurement
from prism.scenario import Scenario
from prism.shape import TransformerShape
from sim.simulate import simulate

#: The paper's batch sizes and plans, and its bandwidths with slower ones, where a link that fades goes.
BATCHES = (1, 2, 4, 8, 16, 32)
BANDWIDTHS_MBPS = (20.0, 35.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 900.0)
PLANS = (Plan(), Plan("full_tensor", 2), *(Plan("segment_means", 2, segments) for segments in (10, 20, 30)))


def simulated_map(
    profile: SystemProfile,
    shape: TransformerShape,
    plans: Sequence[Plan] = PLANS,
    batches: Sequence[int] = BATCHES,
    bandwidths_mbps: Sequence[float] = BANDWIDTHS_MBPS,
    after_each: Callable[[], None] = lambda: None,
) -> PerformanceMap:
    """What the simulator says that each plan costs. Cases that a board's memory does not hold are left out.

    Raises:
        InputError: the profile knows none of the plans' modes, or no case fits.
    """
    records: list[Measurement] = []
    for plan in plans:
        for batch in batches:
            for mbps in bandwidths_mbps if plan.mode != "local" else bandwidths_mbps[:1]:
                with suppress(InfeasiblePlan):
                    records.append(simulate(Scenario(shape, batch, mbps, plan), profile))
            after_each()
    if not records:
        raise InputError(f"no board of profile {profile.name!r} holds {shape.name}; choose a smaller model")
    # A simulated map does not age: the profile's day says nothing of when it may be used.
    return build_map(records, {"profile": profile.name}, datetime(2026, 1, 1, tzinfo=timezone.utc))
