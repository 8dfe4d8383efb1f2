"""Throttle by pacing this process's own sockets: no root, no qdisc."""

from __future__ import annotations

import platform
from collections.abc import Collection

from hw.link.sockets import LOSS_BASED, congestion_control, pace, segment_bytes, set_congestion_control, tcp_sockets
from hw.link.wire import payload_efficiency
from prism.errors import InputError
from prism.units import BITS_PER_MEGABIT


class PacedSockets:
    """Caps what each connection of this process to the peers sends. Both ends have to do it.

    The rate is that of frames on the wire, as with `TrafficControl`: payload gets its share of it. What it cannot do:
    delay, loss, a medium shared by both directions or by several connections. And TCP hands the kernel up to 64 KB at
    once, of which the first lot after an idle time passes unshaped: only where the interface's `gso_max_size` is small
    do messages of 30 to 300 KB take the time their rate says. `hw.link.selftest` tells.

    Args:
        peers: addresses whose connections are paced; None for all of this process.
        congestion_control: set on each of them; None for the first of `LOSS_BASED` that there is.
    """

    def __init__(self, peers: Collection[str] | None = None, congestion_control: str | None = None) -> None:
        self._peers = None if peers is None else frozenset(peers)
        self._wanted = (congestion_control,) if congestion_control else LOSS_BASED
        self._bandwidth_mbps: float | None = None
        self._sockets = 0
        self._in_force: set[str] = set()

    def set_bandwidth(self, bandwidth_mbps: float) -> None:
        """Pace the connections there are now; call it again when there are new ones.

        Raises:
            InputError: there is none, or the congestion control cannot be had.
        """
        with tcp_sockets(self._peers) as connections:
            if not connections:
                whom = "any peer" if self._peers is None else ", ".join(sorted(self._peers))
                raise InputError(f"no TCP connection to {whom} to pace; throttle after the group is built")
            for connection in connections:
                set_congestion_control(connection, *self._wanted)
                share = payload_efficiency(segment_bytes(connection))
                pace(connection, bandwidth_mbps * BITS_PER_MEGABIT / 8 * share)
            self._in_force = {congestion_control(connection) for connection in connections}
            self._sockets = len(connections)
        self._bandwidth_mbps = bandwidth_mbps

    def provenance(self) -> dict[str, str]:
        return {
            "method": "paced sockets (SO_MAX_PACING_RATE)",
            "bandwidth_mbps": "unthrottled" if self._bandwidth_mbps is None else f"{self._bandwidth_mbps:g}",
            "sockets": str(self._sockets),
            "congestion_control": " ".join(sorted(self._in_force)) or "unset",
            "duplex": "full: each connection and direction has the rate for itself",
            "kernel": platform.release(),
        }

    def close(self) -> None:
        """Lift the cap."""
        with tcp_sockets(self._peers) as connections:
            for connection in connections:
                pace(connection, None)
        self._bandwidth_mbps = None
