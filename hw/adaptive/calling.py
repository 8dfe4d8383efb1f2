"""Seeing whether a worker that was lost is there again, without a batch having to wait for it."""

from __future__ import annotations

import threading

from hw.runtime.errors import PeerLost
from hw.runtime.handshake import greet
from hw.runtime.settings import Peer

#: A worker that has not greeted back within this is out of reach; how long it is left alone before the next try.
GREET_S = 0.3
PAUSE_S = 0.3


class Calling:
    """Another thread that greets a worker until it greets back.

    A connection alone would prove little: the kernel takes one for a worker that is frozen, or still busy with the
    group that was lost.

    Attributes:
        answered: whether the worker has greeted back.
    """

    def __init__(self, peer: Peer) -> None:
        self.answered = False
        self._peer = peer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join()

    def _call(self) -> None:
        while not self._over.is_set():
            self.answered = greets_back(self._peer)
            if self.answered:
                return
            self._over.wait(PAUSE_S)


def greets_back(peer: Peer) -> bool:
    """Whether a worker that waits for a terminal device is there."""
    try:
        greet(peer.address, peer.port, GREET_S)
    except PeerLost:
        return False
    return True
