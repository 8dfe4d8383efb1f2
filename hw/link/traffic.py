"""Throttle by `tc` on a network interface. Needs root."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection
from typing import Any

from hw.link.bucket import TokenBucket
from hw.link.sockets import LOSS_BASED, congestion_control, set_congestion_control, tcp_sockets
from hw.link.tools import ToolFailed, run_tool
from prism.errors import InputError

HANDLE = "5052:"
"""Our mark ("PR"): a qdisc of this handle was left by a killed Prism and may be replaced; any other may not."""


class TrafficControl:
    """A token bucket on what an interface sends, with a delay where the kernel has netem. Both ends have to do it.

    Args:
        interface: name of a network interface.
        burst_bytes: what passes unshaped after an idle time; None for the smallest that the rate allows.
        delay_ms: added to every packet; 0 for none.
        peers: addresses whose connections get the congestion control; None for all of this process.
        congestion_control: set on each of them; None for the first of `LOSS_BASED` that there is.

    Raises:
        InputError: no such interface, or someone else's qdisc is on it.
    """

    def __init__(
        self,
        interface: str,
        *,
        burst_bytes: int | None = None,
        delay_ms: float = 0.0,
        peers: Collection[str] | None = None,
        congestion_control: str | None = None,
    ) -> None:
        self.interface = interface
        self._burst_bytes = burst_bytes
        self._delay_ms = delay_ms
        self._peers = None if peers is None else frozenset(peers)
        self._wanted = (congestion_control,) if congestion_control else LOSS_BASED
        self._bucket: TokenBucket | None = None
        self._in_force: set[str] = set()
        root = self._root()
        if root["handle"] not in ("0:", HANDLE):
            raise InputError(
                f"{interface} has a qdisc of its own ({root['kind']} {root['handle']}), which Prism would lose; "
                f"remove it first: tc qdisc delete dev {interface} root"
            )

    def set_bandwidth(self, bandwidth_mbps: float) -> None:
        """Shape what the interface sends from now on.

        Raises:
            InputError: not root, or the kernel lacks tbf or netem.
        """
        bucket = TokenBucket(bandwidth_mbps, self._burst_bytes or 0)
        installed = self._root()["handle"] == HANDLE
        try:
            if installed and self._bucket is not None:
                self._qdisc("change", "root", "handle", HANDLE, *bucket.tc_words().split())
            else:
                if installed:
                    self._qdisc("delete", "root")
                self._qdisc("add", "root", "handle", HANDLE, *bucket.tc_words().split())
                self._bucket = bucket
                if self._delay_ms > 0:
                    self._qdisc("add", "parent", f"{HANDLE}1", "netem", "delay", f"{self._delay_ms}ms")
        except ToolFailed as error:
            self.close()
            raise InputError(
                f"{self.interface} cannot be throttled by tc: {error}; it needs root and the kernel's sch_tbf"
                f"{' and sch_netem' if self._delay_ms else ''}; pacing sockets needs neither"
            ) from None
        self._bucket = bucket
        with tcp_sockets(self._peers) as connections:
            for connection in connections:
                set_congestion_control(connection, *self._wanted)
            self._in_force = {congestion_control(connection) for connection in connections}

    def provenance(self) -> dict[str, str]:
        bucket = self._bucket
        return {
            "method": f"tc tbf on {self.interface}{f', netem {self._delay_ms:g} ms' if self._delay_ms else ''}",
            "bandwidth_mbps": "unthrottled" if bucket is None else f"{bucket.rate_mbps:g}",
            "burst_bytes": "" if bucket is None else str(bucket.burst_bytes),
            "congestion_control": " ".join(sorted(self._in_force)) or "unset",
            "duplex": "full: it shapes what this end sends; the other end shapes its own",
            "kernel": platform.release(),
        }

    def close(self) -> None:
        """Give the interface the system's own queue back. A second call does nothing."""
        if self._bucket is not None:
            self._bucket = None
            if self._root()["handle"] == HANDLE:
                self._qdisc("delete", "root")

    def _root(self) -> dict[str, Any]:
        try:
            shown = json.loads(run_tool("tc", "-j", "qdisc", "show", "dev", self.interface))
        except ToolFailed as error:
            raise InputError(f"no network interface {self.interface!r} ({error}); `ip link` lists them") from None
        return next((dict(one) for one in shown if one.get("root")), {"kind": "none", "handle": "0:"})

    def _qdisc(self, action: str, *words: str) -> None:
        run_tool("tc", "qdisc", action, "dev", self.interface, *words)
