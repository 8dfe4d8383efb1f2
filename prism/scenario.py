"""What is asked of a backend: a model, a batch, a network and a plan."""

from __future__ import annotations

from dataclasses import dataclass

from prism.plan import Plan
from prism.schedule import Schedule, build_schedule
from prism.shape import TransformerShape
from prism.units import BANDWIDTH_MBPS, check_range


@dataclass(frozen=True)
class Scenario:
    """One pass to be simulated or measured.

    Attributes:
        bandwidth_mbps: what the link is throttled to, from the terminal device and between workers.
        reverse_bandwidth_mbps: the same towards the terminal device, where only one end is throttled; None if equal.
    """

    shape: TransformerShape
    batch: int
    bandwidth_mbps: float
    plan: Plan
    reverse_bandwidth_mbps: float | None = None

    def __post_init__(self) -> None:
        check_range("bandwidth_mbps", self.bandwidth_mbps, *BANDWIDTH_MBPS)
        if self.reverse_bandwidth_mbps is not None:
            check_range("reverse_bandwidth_mbps", self.reverse_bandwidth_mbps, *BANDWIDTH_MBPS)

    def schedule(self) -> Schedule:
        """The pass, written down. Raises `InputError` where the plan does not fit the sequence."""
        return build_schedule(self.shape, self.plan, self.batch)
