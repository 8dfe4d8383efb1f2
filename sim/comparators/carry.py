"""Carry a split out in simulated time: the same boards, engines, network and medium as Prism's own passes."""

from __future__ import annotations

from collections.abc import Iterator

from simpy import Environment

from prism.memory import InfeasiblePlan
from prism.profile import SystemProfile
from prism.record import RankTimes
from prism.schedule import Compute, Copy, Exchange, Send
from sim.comparators.split import Split, Task
from sim.exchange import BlockingExchange, PrepostedExchange
from sim.medium import Medium
from sim.messages import MessageKey, outgoing
from sim.network import Network
from sim.price import copy_s, second_per_flop
from sim.rank import Rank


def carry_out(split: Split, profile: SystemProfile, bandwidth_mbps: float) -> tuple[float, tuple[RankTimes, ...]]:
    """Seconds until the terminal device holds the answer, and where the time of each board went.

    Raises:
        InfeasiblePlan: a board's memory does not hold its part.
        InputError: the profile does not know the costs of a mode that the split is priced by.
    """
    for rank, use in enumerate(split.memory):
        if use.total_bytes > profile.board.usable_bytes:
            raise InfeasiblePlan(
                f"rank {rank} needs {use.total_bytes / 1e6:,.0f} MB, {profile.board.name} has "
                f"{profile.board.usable_bytes / 1e6:,.0f} MB to offer"
            )
    env = Environment()
    sizes = {key: nbytes for rank in range(len(split.ranks)) for key, nbytes in _messages(split, rank)}
    airtimes = {key: profile.link.airtime_s(nbytes, bandwidth_mbps) for key, nbytes in sizes.items()}
    latencies = {key: profile.link.latency_s("blocking", nbytes) for key, nbytes in sizes.items()}
    network = Network(env, airtimes, latencies, Medium(env, profile.link.first_flow_weight))
    exchange = BlockingExchange(env, network, len(split.ranks)) if split.rounds else PrepostedExchange(env, network)
    ranks = []
    for number, tasks in enumerate(split.ranks):
        seconds = [_seconds(task, split, profile) for task in tasks]
        ranks.append(Rank(env, number, [task.step for task in tasks], seconds, network, exchange, None))
    for board in ranks:
        env.process(board.run())
    env.run()
    return ranks[0].end_s, tuple(board.times for board in ranks)


def _messages(split: Split, rank: int) -> Iterator[tuple[MessageKey, int]]:
    for task in split.ranks[rank]:
        if isinstance(task.step, (Exchange, Send)):
            yield from outgoing(rank, task.step)


def _seconds(task: Task, split: Split, profile: SystemProfile) -> float:
    step = task.step
    if isinstance(step, Compute):
        return step.flops * second_per_flop(profile.compute_model(split.costs), task.block_flops)
    if isinstance(step, Copy):
        return copy_s(profile.staging_model(split.staging), step.nbytes)
    return 0.0
