"""Asking a worker who it is, without torch: for a preflight that must not fall with it."""

from __future__ import annotations

from hw.runtime.control import connect


def greet(address: str, port: int, timeout_s: float) -> dict[str, str]:
    """Versions and host of the worker that listens there.

    Raises:
        PeerLost: none does, or it did not answer.
    """
    channel = connect(address, port, f"worker at {address}", timeout_s)
    try:
        channel.send("hello")
        found = dict(channel.expect("hello_done", timeout_s, "greeting it")["versions"])
        channel.send("bye")
    finally:
        channel.close()
    return found
