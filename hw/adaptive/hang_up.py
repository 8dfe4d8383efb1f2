"""A limit to how long boards may keep the terminal device waiting: then every connection to them is hung up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING

from hw.link.sockets import tcp_sockets

if TYPE_CHECKING:
    from typing_extensions import Self

#: GLOO on the interface `lo` knows every rank by this address, whichever the rank itself listens at.
LOOPBACK = "127.0.0.1"


class HangUp:
    """Hangs up on some boards unless its block is left in time. A context manager.

    GLOO limits how long one transfer may take and knows no deadline of a pass, which is many of them. With the
    connections gone, what waits for the boards fails at once, the same way as if they had died; they notice it too, and
    are free for the next terminal device. One wait does not: that for a message of which GLOO has a part already (seen
    with torch 2.14, on a link that became slow). `GlooGroup.deadline` ends that one.

    Args:
        after_s: seconds from the start of the block.
        addresses: IPv4 addresses of the boards.

    Attributes:
        came: whether it has hung up; the group is of no use any more then, even if the block ended well.
    """

    def __init__(self, after_s: float, addresses: Iterable[str]) -> None:
        self.came = False
        self._addresses = set(addresses)
        if any(ip_address(address).is_loopback for address in self._addresses):
            self._addresses.add(LOOPBACK)
        self._timer = threading.Timer(after_s, self._hang_up)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()

    def _hang_up(self) -> None:
        self.came = True
        with tcp_sockets(self._addresses) as connections:
            for connection in connections:
                with contextlib.suppress(OSError):  # it has ended by itself
                    connection.shutdown(socket.SHUT_RDWR)
