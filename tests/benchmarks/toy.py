"""The least SimPy that has the shape of a pass: two boards, twelve blocks, and nothing written down.

Compute, copy out, exchange when both are there, copy in. No medium, no messages, no energy, no record: what is left is
the cost of SimPy itself, so the ratio to it says what the real model adds.
"""

from __future__ import annotations

from collections.abc import Generator

from simpy import Environment, Event

BLOCKS = 12


class Rendezvous:
    """Both flows start when the second board arrives and share the medium, so they end together."""

    def __init__(self, env: Environment, transfer_s: float) -> None:
        self._env = env
        self._transfer_s = transfer_s
        self._done: Event | None = None

    def arrive(self) -> Event:
        if self._done is None:
            self._done = done = self._env.event()
            return done
        done, self._done = self._done, None
        transfer = self._env.timeout(2 * self._transfer_s)
        transfer.callbacks.append(done.trigger)
        return done


def board(env: Environment, exchange: Rendezvous, compute_s: float, copy_s: float) -> Generator[Event, None, None]:
    for _ in range(BLOCKS):
        yield env.timeout(copy_s)
        yield exchange.arrive()
        yield env.timeout(copy_s)
        yield env.timeout(compute_s)


def toy(env: Environment, compute_s: float, copy_s: float, transfer_s: float) -> float:
    """Simulate one pass and answer with its length."""
    exchange = Rendezvous(env, transfer_s)
    for _ in range(2):
        env.process(board(env, exchange, compute_s, copy_s))
    env.run()
    return float(env.now)
