"""What makes a link slow, and says how it did."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Protocol

from hw.link.pacing import PacedSockets
from hw.link.traffic import TrafficControl
from prism.errors import InputError, unknown

__all__ = ["THROTTLES", "NoThrottle", "PacedSockets", "Throttle", "TrafficControl", "make_throttle"]


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


def make_throttle(method: str, interface: str | None) -> Throttle:
    """The throttle of one end of a link, by name.

    Args:
        method: ``paced``, ``tc`` or ``none``.
        interface: network interface towards the peers; ``tc`` needs it. All TCP connections of this process are meant:
            a rank has none but those to other ranks.

    Raises:
        InputError: an unknown method, or ``tc`` without an interface.
    """
    if method not in THROTTLES:
        raise unknown("throttle", method, THROTTLES)
    return THROTTLES[method](interface)


def _traffic_control(interface: str | None) -> Throttle:
    if interface is None:
        raise InputError("throttle 'tc' needs the network interface; name it with --interface")
    return TrafficControl(interface)


THROTTLES: dict[str, Callable[[str | None], Throttle]] = {
    "paced": lambda _: PacedSockets(),
    "tc": _traffic_control,
    "none": lambda _: NoThrottle(),
}
