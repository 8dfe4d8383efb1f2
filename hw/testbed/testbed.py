"""A testbed of network namespaces with one half-duplex medium that all ranks share. Needs root."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from hw.link.bucket import TokenBucket
from hw.link.tools import find_tool, run_batch, run_tool
from hw.testbed import namespaces
from hw.testbed.base import Bed
from hw.testbed.leftovers import remove_leftovers
from prism.errors import InputError
from prism.units import check_range


class Testbed(Bed):
    """Ranks in namespaces of their own, around one medium whose rate can be changed while they run.

    Args:
        ranks: boards to play.
        bandwidth_mbps: rate of the medium, all directions together, in Mbps of Ethernet frames; 20 to 2000.
        burst_bytes: what passes unshaped after an idle time; by default what `hw.link.bucket` says for the rate.
        congestion_control: of every TCP connection inside.

    Raises:
        InputError: not root, or a tool or value that cannot be used.
        ToolFailed: the kernel refused; raised on entry, after what was built is removed.
    """

    __test__ = False  # for pytest: not a class of tests
    interface = namespaces.RANK_INTERFACE

    def __init__(
        self,
        ranks: int,
        bandwidth_mbps: float,
        *,
        burst_bytes: int | None = None,
        congestion_control: str = "cubic",
    ) -> None:
        super().__init__(ranks, bandwidth_mbps)
        reason = why_no_namespaces()
        if reason is not None:
            raise InputError(f"{reason}; run as root, or use a loopback testbed, which paces its own sockets")
        if burst_bytes is not None:
            check_range("burst_bytes", burst_bytes, 1_600, 10_000_000)
        self._burst_bytes = burst_bytes
        self.congestion_control = congestion_control
        self._cut: dict[int, ExitStack] = {}

    @property
    def bucket(self) -> TokenBucket:
        """The bucket in force."""
        return TokenBucket(self._bandwidth_mbps, self._burst_bytes or 0)

    def address(self, rank: int) -> str:
        self._check(rank)
        return namespaces.address_of(rank)

    def set_bandwidth(self, bandwidth_mbps: float) -> None:
        check_range("bandwidth_mbps", bandwidth_mbps, *self.rate_range_mbps)
        bucket = TokenBucket(bandwidth_mbps, self._burst_bytes or 0)
        air = namespaces.air_of(self.prefix)
        run_tool("tc", "-n", air, "qdisc", "change", "dev", "ifb", "root", *bucket.tc_words().split())
        self._bandwidth_mbps = bandwidth_mbps

    def counters(self) -> dict[str, Any]:
        """What has passed the medium since the start: `bytes`, `packets`, `drops`, and `backlog` in bytes now."""
        return namespaces.bucket_counters(self.prefix)

    def cut(self, rank: int, *, interface: bool = False) -> None:
        self._check(rank)
        if rank in self._cut:
            return
        undo = ExitStack()
        if interface:
            mine = namespaces.rank_of(self.prefix, rank)
            lines = namespaces.interface_up_lines(rank, self.ranks, self.congestion_control)
            undo.callback(run_batch, "ip", "-n", mine, lines=lines)
            run_tool("ip", "-n", mine, "link", "set", self.interface, "down")
        else:
            air, port = namespaces.air_of(self.prefix), f"port{rank}"
            undo.callback(run_tool, "ip", "-n", air, "link", "set", port, "master", "air")
            run_tool("ip", "-n", air, "link", "set", port, "nomaster")
        self._cut[rank] = undo

    def restore(self, rank: int) -> None:
        self._check(rank)
        undo = self._cut.pop(rank, None)
        if undo is not None:
            undo.close()

    def provenance(self) -> dict[str, str]:
        bucket = self.bucket
        return {
            "method": "network namespaces, one tbf for all directions",
            "burst_bytes": str(bucket.burst_bytes),
            "limit_bytes": str(bucket.limit_bytes),
            "gso_bytes": str(namespaces.GSO_BYTES),
            "duplex": "half",
            "congestion_control": self.congestion_control,
            **self._common_provenance(),
        }

    def _build(self) -> None:
        remove_leftovers()
        namespaces.create(self.prefix, self.ranks, self.bucket, self.congestion_control)

    def _destroy(self) -> None:
        namespaces.destroy(self.prefix)

    def _command(self, rank: int) -> list[str]:
        self._check(rank)
        return [find_tool("ip") or "ip", "netns", "exec", namespaces.rank_of(self.prefix, rank)]

    def _inside(self, _rank: int) -> AbstractContextManager[None]:
        return namespaces.inside(namespaces.rank_of(self.prefix, _rank))


def why_no_namespaces() -> str | None:
    """Why this process cannot make a `Testbed`, in a few words; None if nothing is known to stand in the way."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "tc") if find_tool(name) is None]
    return f"{' and '.join(missing)} (package iproute2) not installed" if missing else None
