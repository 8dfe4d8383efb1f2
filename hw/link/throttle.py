"""What makes a link slow, and says how it did."""

from __future__ import annotations

import platform
from typing import Protocol

from hw.link.pacing import PacedSockets
from hw.link.traffic import TrafficControl

__all__ = ["NoThrottle", "PacedSockets", "Throttle", "TrafficControl"]


class Throttle(Protocol):
    """Holds a link at a rate. The rate counts whole Ethernet frames, in Mbps of 1e6 bit/s."""

    def set_bandwidth(self, bandwidth_mbps: float) -> None:
        """Hold the link at this rate from now on."""
        ...

    def provenance(self) -> dict[str, str]:
        """What was done, for the records: method, bandwidth_mbps, congestion_control, duplex, kernel, and more."""
        ...

    def close(self) -> None:
        """Leave the link as it was found."""
        ...


class NoThrottle:
    """Leaves the link alone: something else holds the rate, or nothing does."""

    def __init__(self, method: str = "none") -> None:
        self._method = method

    def set_bandwidth(self, bandwidth_mbps: float) -> None:
        """Nothing: the rate is not ours to set."""

    def provenance(self) -> dict[str, str]:
        return {
            "method": self._method,
            "bandwidth_mbps": "as found",
            "congestion_control": "as found",
            "duplex": "as found",
            "kernel": platform.release(),
        }

    def close(self) -> None:
        """Nothing to undo."""
