"""Boards played by processes on one Linux machine, with a link between them whose rate is set."""

from __future__ import annotations

from hw.testbed.base import Bed
from hw.testbed.leftovers import remove_leftovers
from hw.testbed.loopback import LoopbackTestbed
from hw.testbed.testbed import Testbed, why_no_namespaces

__all__ = ["Bed", "LoopbackTestbed", "Testbed", "open_testbed", "remove_leftovers", "why_no_namespaces"]


def open_testbed(ranks: int, bandwidth_mbps: float, *, congestion_control: str = "cubic") -> Bed:
    """The best testbed this process can make, to be entered: of namespaces as root, else on loopback.

    `provenance()["method"]` says which it is.

    Raises:
        InputError: a value out of range.
    """
    if why_no_namespaces() is None:
        return Testbed(ranks, bandwidth_mbps, congestion_control=congestion_control)
    return LoopbackTestbed(ranks, bandwidth_mbps)
