"""The two ways in which ranks exchange before a block.

`blocking`: receives are posted after compute, so no flow of a round starts before its last rank is there.
`preposted`: receives are posted a block ahead, so a flow starts as soon as its sender has computed; in the first round
also, as soon as the ranks before it have been heard (`prism.schedule.gives_way_to`).

Either way a rank goes on when everything it receives has arrived; its own sends are in the kernel's hands.
"""

from __future__ import annotations

from functools import partial

from simpy import Environment

from prism.schedule import Exchange, Post
from sim.messages import incoming, outgoing
from sim.network import Arrival, Network


class BlockingExchange:
    """Holds the flows of each round back until every rank has arrived at it.

    Ranks that compute alike on average do not do so in each block. `skew_s` is how much later the last one is, on
    average, than it would be if they did.
    """

    def __init__(self, env: Environment, network: Network, ranks: int, skew_s: float = 0.0) -> None:
        self._env = env
        self._skew_s = skew_s
        self._network = network
        self._ranks = ranks
        self._rounds: dict[int, list[tuple[int, Exchange, Arrival]]] = {}

    def begin(self, rank: int, step: Exchange) -> Arrival:
        """Rank `rank` offers what it has computed and posts its receives; the arrival is of all that it receives."""
        arrival = Arrival(self._env, len(step.receives))
        arrived = self._rounds.setdefault(step.block, [])
        arrived.append((rank, step, arrival))
        if len(arrived) == self._ranks:
            complete = self._rounds.pop(step.block)
            if self._skew_s:
                self._env.timeout(self._skew_s).callbacks.append(lambda _: self._start(complete))
            else:
                self._start(complete)
        return arrival

    def _start(self, arrived: list[tuple[int, Exchange, Arrival]]) -> None:
        for receiver, step, arrival in arrived:
            self._network.expect(incoming(receiver, step), arrival)
        self._network.offer([key for sender, step, _ in arrived for key, _ in outgoing(sender, step)])

    def post(self, rank: int, step: Post) -> None:
        """Never called: a schedule with blocking exchange has no such step."""
        raise AssertionError(f"rank {rank} posts the receives of block {step.block} ahead of a blocking exchange")


class PrepostedExchange:
    """Receives are posted by steps of their own; a rank that arrives at a round sends at once, or after others."""

    def __init__(self, env: Environment, network: Network) -> None:
        self._env = env
        self._network = network
        self._posted: dict[tuple[int, int], Arrival] = {}

    def post(self, rank: int, step: Post) -> None:
        """Post the receives of the round before block `step.block`."""
        self._posted[rank, step.block] = arrival = Arrival(self._env, len(step.receives))
        self._network.expect(incoming(rank, step), arrival)

    def begin(self, rank: int, step: Exchange) -> Arrival:
        """Rank `rank` offers what it has computed; the arrival is of the receives it posted before."""
        arrival = self._posted.pop((rank, step.block))
        arrival.after(step.after, partial(self._network.offer, [key for key, _ in outgoing(rank, step)]))
        return arrival
