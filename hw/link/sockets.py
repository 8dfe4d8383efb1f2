"""The TCP sockets of this process, found without the help of the library that opened them.

Options of a socket belong to the connection, not to the descriptor: what is set on a duplicate holds for the original.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from prism.errors import InputError

SO_MAX_PACING_RATE = 47
UNPACED = 2**64 - 1
LOSS_BASED = ("cubic", "reno")
"""Congestion controls that send as fast as they are let; BBR would pace by its own estimate. Some kernels keep cubic,
everyone's default, for root: then reno."""

_NAME_BYTES = 16


@contextmanager
def tcp_sockets(peers: Collection[str] | None = None) -> Iterator[list[socket.socket]]:
    """Duplicates of this process's connected TCP sockets, closed on leaving; the originals are not touched.

    Args:
        peers: only connections to these addresses (IPv4, or IPv6 without a zone); None for all.
    """
    with ExitStack() as stack:
        found = []
        for path in sorted(Path("/proc/self/fd").iterdir(), key=lambda path: int(path.name)):
            duplicate = _duplicate(path)
            if duplicate is not None:
                stack.callback(duplicate.close)
                peer = _tcp_peer(duplicate)
                if peer is not None and (peers is None or peer in peers):
                    found.append(duplicate)
        yield found


def congestion_control(connection: socket.socket) -> str:
    """Name of a connection's congestion control."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _NAME_BYTES).rstrip(b"\0").decode()


def set_congestion_control(connection: socket.socket, *names: str) -> None:
    """Set a connection's congestion control to the first of these that this kernel lets this user have.

    Raises:
        InputError: none of them.
    """
    refused = []
    for name in names:
        why_not = _why_not(connection, name)
        if why_not is None:
            return
        refused.append(f"{name} {why_not}")
    allowed = _read("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
    available = _read("/proc/sys/net/ipv4/tcp_available_congestion_control")
    raise InputError(
        f"congestion control: {', '.join(refused)}; available: {available or 'unknown'}; without root: "
        f"{allowed or 'unknown'} (sysctl net.ipv4.tcp_allowed_congestion_control)"
    )


def pace(connection: socket.socket, bytes_per_s: float | None) -> None:
    """Cap the rate at which a connection sends payload, in bytes/s; None lifts the cap.

    The kernel's timers do it, without a qdisc and without root. It caps the rate alone, and only what this end sends.
    """
    value = UNPACED if bytes_per_s is None else max(1, round(bytes_per_s))
    connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("=Q", value))


def pacing_rate(connection: socket.socket) -> int | None:
    """The cap in bytes/s; None if there is none."""
    (value,) = struct.unpack("=Q", connection.getsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, 8))
    return None if value == UNPACED else int(value)


def segment_bytes(connection: socket.socket) -> int:
    """Payload of a full segment of this connection."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def _duplicate(path: Path) -> socket.socket | None:
    try:
        if not str(path.readlink()).startswith("socket:"):
            return None
        descriptor = os.dup(int(path.name))
    except OSError:  # closed in the meantime
        return None
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None


def _tcp_peer(connection: socket.socket) -> str | None:
    if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.proto != socket.IPPROTO_TCP:
        return None
    try:
        address = str(connection.getpeername()[0])
    except OSError:  # listening, or not connected any more
        return None
    return address.removeprefix("::ffff:")


def _why_not(connection: socket.socket, congestion: str) -> str | None:
    """None if the congestion control was set."""
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    except OSError as error:
        return "is kept for root" if error.errno == errno.EPERM else "is not in this kernel"
    return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
