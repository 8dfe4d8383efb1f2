"""Two processes, one TCP connection, timed messages: what the self-test sends through a link.

`python -m hw.link.probe serve ADDRESS` prints its port; `... drive ADDRESS PORT` reads requests as JSON lines and
prints each one's time. `Probe` works on any connected socket as well, such as one between two boards.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time

from hw.link.pacing import PacedSockets
from hw.link.sockets import LOSS_BASED, segment_bytes, set_congestion_control

_REQUEST = struct.Struct("!II")
_DONE = b"k"
MAX_BYTES = 4_000_000
CONNECT_TIMEOUT_S = 5.0


class Probe:
    """One end of a connection. Its buffers are made once: what is timed is the link, not the memory.

    Args:
        connection: a connected TCP socket; it stays the caller's.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._outgoing = bytearray(_REQUEST.size + MAX_BYTES)
        self._scratch = bytearray(MAX_BYTES)
        for buffer in (self._outgoing, self._scratch):
            buffer[:] = b"x" * len(buffer)  # touch every page

    def request(self, to_server: int, to_client: int) -> float:
        """Move that many bytes each way at once; seconds until all have arrived and are confirmed.

        Raises:
            ConnectionError: the other end is gone.
        """
        _REQUEST.pack_into(self._outgoing, 0, to_server, to_client)
        message = memoryview(self._outgoing)[: _REQUEST.size + to_server]
        start = time.perf_counter()
        self._transfer(message, to_client + len(_DONE))
        return time.perf_counter() - start

    def serve(self) -> None:
        """Answer the other end's requests until it closes."""
        while True:
            try:
                head = self._connection.recv(_REQUEST.size, socket.MSG_WAITALL)
            except ConnectionError:
                return
            if len(head) < _REQUEST.size:
                return
            to_server, to_client = _REQUEST.unpack(head)
            self._transfer(memoryview(self._outgoing)[:to_client], to_server)
            self._connection.sendall(_DONE)

    def _transfer(self, outgoing: memoryview, incoming: int) -> None:
        """Send and receive on one thread, neither waiting for the other, until all is sent; then receive the rest."""
        connection = self._connection
        connection.setblocking(False)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
                while outgoing:
                    for _, events in selector.select():
                        if events & selectors.EVENT_WRITE:
                            outgoing = outgoing[connection.send(outgoing) :]
                        if events & selectors.EVENT_READ and incoming:
                            incoming -= self._receive(incoming)
        finally:
            connection.setblocking(True)
        while incoming:
            incoming -= self._receive(incoming)

    def _receive(self, most: int) -> int:
        got = self._connection.recv_into(self._scratch, min(most, MAX_BYTES))
        if not got:
            raise ConnectionError("the other end of the probe closed its connection")
        return got


def prepare(connection: socket.socket) -> None:
    """No waiting for more to send, and a congestion control that does not probe by itself."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    set_congestion_control(connection, *LOSS_BASED)


def _serve_one(address: str, pace_mbps: float | None) -> None:
    with socket.create_server((address, 0)) as listening:
        _say({"port": listening.getsockname()[1]})
        connection, _ = listening.accept()
        with connection:
            prepare(connection)
            if pace_mbps is not None:
                PacedSockets([connection.getpeername()[0]]).set_bandwidth(pace_mbps)
            Probe(connection).serve()


def _drive(address: str, port: int, pace_mbps: float | None) -> None:
    with socket.create_connection((address, port), timeout=CONNECT_TIMEOUT_S) as connection:
        prepare(connection)
        if pace_mbps is not None:
            PacedSockets([address]).set_bandwidth(pace_mbps)
        probe = Probe(connection)
        _say({"segment_bytes": segment_bytes(connection)})
        for line in sys.stdin:
            asked = json.loads(line)
            time.sleep(asked["idle_s"])
            _say({"seconds": probe.request(asked["to_server"], asked["to_client"])})


def _say(message: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """`serve ADDRESS [--pace MBPS]` or `drive ADDRESS PORT [--pace MBPS]`."""
    pace_mbps = None
    if "--pace" in arguments:
        place = arguments.index("--pace")
        pace_mbps = float(arguments[place + 1])
        del arguments[place : place + 2]
    if arguments[0] == "serve":
        _serve_one(arguments[1], pace_mbps)
    else:
        _drive(arguments[1], int(arguments[2]), pace_mbps)


if __name__ == "__main__":
    main(sys.argv[1:])
