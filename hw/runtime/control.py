"""The control channel: JSON messages over a TCP connection of its own, beside GLOO's.

It carries plans, versions, clock readings and records. Waiting for work happens here, where no timeout runs; GLOO's
timeouts therefore count inside a pass only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import struct
import time
from typing import Any

from hw.runtime.errors import PeerLost
from prism.errors import InputError

DEFAULT_PORT = 29_600
RETRY_S = 0.1
_LENGTH = struct.Struct("!I")
_MAX_BYTES = 64 * 2**20
#: A board that loses its power while nothing is asked of it is noticed after 30 s and three more tries.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Channel:
    """One end of a control connection. `name` is what errors call the board at the other end."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            self._connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self.name = name

    def send(self, kind: str, *, size: int | None = None, **fields: Any) -> int:
        """Send a message and return its bytes on the wire; `size` pads it to that many.

        Raises:
            PeerLost: the connection is gone.
        """
        body = json.dumps({"kind": kind, **fields}).encode()
        if size is not None:
            if len(body) > size - _LENGTH.size:
                raise ValueError(f"a {kind} message of {len(body)} bytes does not fit {size}")
            body = body.ljust(size - _LENGTH.size)
        try:
            self._connection.sendall(_LENGTH.pack(len(body)) + body)
        except OSError as error:
            raise self._lost(f"sending {kind!r}", error) from error
        return _LENGTH.size + len(body)

    def receive(self, timeout_s: float | None, doing: str = "waiting for work") -> dict[str, Any]:
        """The next message; waits for ever if `timeout_s` is None.

        Raises:
            PeerLost: the connection is gone, or nothing came in time. The message says what it was `doing`.
        """
        try:
            self._connection.settimeout(timeout_s)
            (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
            if length > _MAX_BYTES:
                raise PeerLost(f"{self.name} sent what is no control message; is the port right?")
            message: dict[str, Any] = json.loads(self._exactly(length))
        except TimeoutError as error:
            raise PeerLost(
                f"{self.name} did not answer within {timeout_s:g} s while {doing}; see whether it is frozen, cut off, "
                "or serving another terminal device"
            ) from error
        except (OSError, ValueError) as error:
            raise self._lost(doing, error) from error
        finally:
            with contextlib.suppress(OSError):
                self._connection.settimeout(None)
        return message

    def expect(self, kind: str, timeout_s: float | None, doing: str) -> dict[str, Any]:
        """The next message, which must be of `kind`.

        Raises:
            PeerLost: as `receive`, or the other board reports a failure of its own.
        """
        message = self.receive(timeout_s, doing)
        if message.get("kind") == "failed":
            raise PeerLost(f"{self.name} failed while {doing}: {message['reason']}")
        if message.get("kind") != kind:
            raise PeerLost(f"{self.name} answered {message.get('kind')!r} instead of {kind!r} while {doing}")
        return message

    def close(self) -> None:
        self._connection.close()

    def _exactly(self, count: int) -> bytes:
        chunks = bytearray()
        while len(chunks) < count:
            chunk = self._connection.recv(count - len(chunks))
            if not chunk:
                raise ConnectionResetError("connection closed")
            chunks += chunk
        return bytes(chunks)

    def _lost(self, doing: str, error: Exception) -> PeerLost:
        return PeerLost(f"{self.name} is gone ({error}) while {doing}; start `prism worker` there again")


def connect(address: str, port: int, name: str, timeout_s: float) -> Channel:
    """Connect to a worker, which may yet be starting.

    Raises:
        PeerLost: within the timeout nothing listened there, or nothing answered.
    """
    deadline_s = time.monotonic() + timeout_s
    try:
        while True:
            connection = _connection(address, port, timeout_s, last_try=time.monotonic() >= deadline_s)
            if connection is not None:
                return Channel(connection, name)
            time.sleep(RETRY_S)
    except OSError as error:
        raise PeerLost(
            f"{name} cannot be reached at {address}:{port} ({_why_unreachable(error, timeout_s)}); start `prism "
            "worker` there, and see that no firewall is between"
        ) from error


def _connection(address: str, port: int, timeout_s: float, *, last_try: bool) -> socket.socket | None:
    """None where nothing listens yet and there is time to try again."""
    try:
        return socket.create_connection((address, port), timeout=timeout_s)
    except ConnectionRefusedError:
        if last_try:
            raise
        return None


def _why_unreachable(error: OSError, timeout_s: float) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listened there for {timeout_s:g} s"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return error.strerror or str(error)


def listen(address: str, port: int) -> socket.socket:
    """A socket that waits for a terminal device at `address`; port 0 takes any that is free.

    Raises:
        InputError: the address is not this machine's, or the port is taken.
    """
    try:
        return socket.create_server((address, port), backlog=1)
    except OSError as error:
        remedy = {
            errno.EADDRINUSE: "another worker runs there already; stop it or choose another --port",
            errno.EADDRNOTAVAIL: "no interface of this machine has that address; `ip -brief address` lists them",
        }.get(error.errno or 0, "choose another --address or --port")
        raise InputError(f"cannot listen on {address}:{port} ({error.strerror or error}): {remedy}") from None
