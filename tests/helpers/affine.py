"""A system in which compute and airtime are proportional and copies are free, so that a split pass has a closed form.

Both boards compute alike from the first round on, so a blocking pass is the control message, compute, and for each
round one latency and the airtime of both flows, which share the medium and end together.
"""

from __future__ import annotations

from dataclasses import replace

from prism.plan import Plan
from prism.profile import SystemProfile
from prism.schedule import CONTROL_BYTES, Compute, Exchange, Step, build_schedule
from tests.helpers.systems import EVEN, REFERENCE_MBPS, Cost, system

SHAPE = EVEN
PLAN = Plan("segment_means", 2, 3)
GFLOP_S, LATENCY_S, MB_S = 2e4, 2e-3, 50.0


def affine_system(**residuals_pct: float) -> SystemProfile:
    """The system; residuals by stage, with two underscores for the space in its name."""
    profile = system(Cost(0.0, GFLOP_S), message=Cost(LATENCY_S, MB_S))
    named = {name.replace("__", " "): pct for name, pct in residuals_pct.items()}
    return replace(profile, provenance=replace(profile.provenance, rms_residual_pct=named))


def local_s(batch: int) -> float:
    """Seconds of local execution."""
    return build_schedule(SHAPE, Plan(), batch).flops(0) / 1e9 * GFLOP_S


def compute_s(batch: int) -> float:
    """Seconds of compute on the way: the worker's up to the first round, since it embeds more, then the terminal's."""
    terminal, worker = build_schedule(SHAPE, PLAN, batch).ranks
    flops = sum(step.flops for step in _before(worker)) - sum(step.flops for step in _before(terminal))
    return (flops + build_schedule(SHAPE, PLAN, batch).flops(0)) / 1e9 * GFLOP_S


def _before(steps: tuple[Step, ...]) -> list[Compute]:
    """Compute steps before the first round."""
    first = next(index for index, step in enumerate(steps) if isinstance(step, Exchange))
    return [step for step in steps[:first] if isinstance(step, Compute)]


def latency_s(batch: int) -> float:
    """Seconds of latency on the way of a split pass: the control message and each round."""
    return LATENCY_S * (1 + len(_rounds(batch)))


def air_s(batch: int) -> float:
    """Seconds of airtime on its way at the reference bandwidth."""
    sent = sum(2 * step.sends[0].nbytes for step in _rounds(batch))
    return MB_S * (CONTROL_BYTES + sent) / 1e6


def split_s(batch: int, mbps: float) -> float:
    """Seconds of a split pass."""
    return compute_s(batch) + latency_s(batch) + air_s(batch) * REFERENCE_MBPS / mbps


def needed_mbps(batch: int, target_s: float) -> float:
    """The bandwidth at which a split pass takes so long."""
    return air_s(batch) * REFERENCE_MBPS / (target_s - compute_s(batch) - latency_s(batch))


def _rounds(batch: int) -> list[Exchange]:
    return [step for step in build_schedule(SHAPE, PLAN, batch).ranks[0] if isinstance(step, Exchange)]
