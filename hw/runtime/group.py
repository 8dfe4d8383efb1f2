"""GLOO's process group: opened on a named interface, with a timeout, and torn down whole after a failure."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch.distributed as dist
from torch import Tensor
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # public, but not in its __all__

from hw.runtime.errors import PeerLost
from hw.runtime.event_loop import share_core_with_event_loop
from prism.errors import InputError

#: How long the ranks may take to find each other.
FORMING_S = 20.0
#: After a deadline: what has arrived is still taken.
LEAST_WAIT_S = 1e-3


@dataclass(frozen=True)
class Meeting:
    """Where the ranks meet: an IPv4 address of the terminal device, and a port of it."""

    address: str
    port: int


class GlooGroup:
    """The process group that a rank is in.

    Args:
        meeting: where the ranks meet.
        rank: this one.
        names: what errors call each rank.
        interface: network interface that GLOO binds to. Without it, and without GLOO_SOCKET_IFNAME, GLOO binds to what
            the host's name resolves to, which on Ubuntu is 127.0.1.1.
        timeout_s: how long a wait inside a pass may take.
        store: on the terminal device, the open meeting place.

    Attributes:
        event_loop: how GLOO's own thread is scheduled.

    Raises:
        PeerLost: the others did not come, or the address cannot be had.
    """

    def __init__(
        self,
        meeting: Meeting,
        rank: int,
        names: Sequence[str],
        interface: str | None,
        timeout_s: float,
        store: TCPStore | None = None,
    ) -> None:
        if interface is not None:
            os.environ["GLOO_SOCKET_IFNAME"] = interface
        self.rank = rank
        self.names = list(names)
        self.timeout_s = timeout_s
        self._deadline_s: float | None = None
        patience = timedelta(seconds=FORMING_S)
        try:
            store = store or TCPStore(meeting.address, meeting.port, len(names), timeout=patience)
            dist.init_process_group("gloo", store=store, rank=rank, world_size=len(names), timeout=patience)
            self.event_loop = share_core_with_event_loop()
        except (RuntimeError, ValueError) as error:
            raise PeerLost(
                f"{names[rank]} could not join the GLOO group at {meeting.address}:{meeting.port} on interface "
                f"{interface or os.environ.get('GLOO_SOCKET_IFNAME', '(default)')} ({_first_line(error)}); check "
                "address, interface and firewall: every board must reach every other on any port"
            ) from error

    def send(self, values: Tensor, peer: int, tag: int) -> dist.Work:
        """Begin to send `values`, which must not change until the work is waited for."""
        try:
            work = dist.isend(values, dst=peer, tag=tag)
        except RuntimeError as error:
            raise self._lost(peer, "sending", error) from error
        assert work is not None
        return work

    def receive(self, buffer: Tensor, peer: int, tag: int) -> dist.Work:
        """Post the receive of what `peer` sends under `tag`."""
        try:
            work = dist.irecv(buffer, src=peer, tag=tag)
        except RuntimeError as error:
            raise self._lost(peer, "posting a receive", error) from error
        assert work is not None
        return work

    @contextmanager
    def deadline(self, after_s: float | None) -> Iterator[None]:
        """Let no wait inside the block last beyond `after_s` seconds from now; None leaves each its timeout."""
        self._deadline_s = None if after_s is None else time.monotonic() + after_s
        try:
            yield
        finally:
            self._deadline_s = None

    def wait(self, work: dist.Work, peer: int, doing: str) -> None:
        """Wait for a transfer.

        Raises:
            PeerLost: not done within the timeout or the deadline, or the connection broke. The group is unusable
                afterwards.
        """
        wait_s = self.timeout_s
        if self._deadline_s is not None:
            wait_s = min(wait_s, max(self._deadline_s - time.monotonic(), LEAST_WAIT_S))
        try:
            work.wait(timedelta(seconds=wait_s))
        except RuntimeError as error:
            raise self._lost(peer, doing, error) from error

    def all_gather(self, gathered: list[Tensor], own: Tensor) -> None:
        """GLOO's own collective over equal shapes; only the comparator uses it."""
        try:
            dist.all_gather(gathered, own)
        except RuntimeError as error:
            raise PeerLost(f"all_gather failed: {_first_line(error)}") from error

    def close(self) -> None:
        """Leave the group. Another may be formed afterwards."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def _lost(self, peer: int, doing: str, error: Exception) -> PeerLost:
        reason = _first_line(error)
        what = f"no answer within {self.timeout_s:g} s" if "imed out" in reason else f"connection lost ({reason})"
        return PeerLost(f"{self.names[peer]}: {what} while {doing}; check that board and start its worker again")


def open_meeting(address: str, ranks: int, timeout_s: float = FORMING_S) -> tuple[Meeting, TCPStore]:
    """Open the meeting place on the terminal device, at a free port.

    Raises:
        InputError: the address is not one of this machine's.
    """
    try:
        with socket.create_server((address, 0)):
            pass  # the store itself would look for its own address until the timeout
        store = TCPStore(
            address, 0, ranks, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=timeout_s)
        )
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"the terminal device cannot be met at {address} ({_first_line(error)}); give its own IPv4 address with "
            "--address"
        ) from None
    return Meeting(address, store.port), store


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rpartition("] ")[2]
