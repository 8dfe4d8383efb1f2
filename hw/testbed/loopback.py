"""A testbed without root: ranks on loopback addresses, whose sockets pace themselves."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from hw.testbed.base import Bed
from prism.errors import InputError
from prism.units import check_range


class LoopbackTestbed(Bed):
    """Ranks on 127.0.0.1, 127.0.0.2, ... with no medium between them.

    The rate holds only if the ranks pace their sockets with `hw.link.throttle.PacedSockets`, at PRISM_BANDWIDTH_MBPS
    and again after each change; the two directions do not share it, and a link cannot be cut.
    """

    interface = "lo"

    def address(self, rank: int) -> str:
        self._check(rank)
        return f"127.0.0.{rank + 1}"

    def set_bandwidth(self, bandwidth_mbps: float) -> None:
        """Only for processes started from now on: running ones have to pace their sockets anew."""
        check_range("bandwidth_mbps", bandwidth_mbps, *self.rate_range_mbps)
        self._bandwidth_mbps = bandwidth_mbps

    def cut(self, rank: int, *, interface: bool = False) -> None:
        what = "interface to take down" if interface else "link to cut"
        raise InputError(f"rank {rank} on loopback has no {what}; as root, use a testbed of namespaces")

    def restore(self, rank: int) -> None:
        self._check(rank)

    def provenance(self) -> dict[str, str]:
        return {
            "method": "loopback, sockets paced by the ranks themselves",
            "duplex": "full: each direction has the rate for itself",
            **self._common_provenance(),
        }

    def _build(self) -> None:
        pass

    def _destroy(self) -> None:
        pass

    def _command(self, rank: int) -> list[str]:
        self._check(rank)
        return []

    def _inside(self, _rank: int) -> AbstractContextManager[None]:
        return nullcontext()
