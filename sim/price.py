"""The duration of each step of a schedule, alone, on boards and a link that a profile describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prism.cost import CostModel
from prism.profile import SystemProfile
from prism.scenario import Scenario
from prism.schedule import TERMINAL, Compute, Copy, Exchange, Schedule, Send, Step
from prism.units import BYTES_PER_MB, FLOPS_PER_GFLOP
from prism.work import work_of
from sim.boards import ALIKE, BoardMix
from sim.jitter import Jitter
from sim.messages import MessageKey, outgoing

if TYPE_CHECKING:
    from prism.cost import Number


@dataclass(frozen=True)
class Prices:
    """What a pass's steps cost before boards wait for each other and flows share the medium.

    Attributes:
        seconds: duration of each compute and copy step, by rank and position; 0 for other steps.
        airtimes: seconds that each message would occupy the medium alone.
        latencies: seconds that pass before each message takes the air.
        skew_s: what ranks wait in a blocking exchange because blocks do not take equally long on all of them.
    """

    seconds: tuple[tuple[float, ...], ...]
    airtimes: dict[MessageKey, float]
    latencies: dict[MessageKey, float]
    skew_s: float = 0.0


def second_per_flop(model: CostModel, block_flops: Number) -> Number:
    """Seconds that a FLOP takes in a block of `block_flops`, and in the steps outside the blocks as well.

    A number, or an array of them, one a scenario; so are the other rules of price below.
    """
    return model.seconds(block_flops / FLOPS_PER_GFLOP) / block_flops


def copy_s(model: CostModel, nbytes: Number) -> Number:
    """Seconds of one copy of `nbytes` between accelerator and host, in either direction."""
    return model.seconds(nbytes / BYTES_PER_MB)


def rate_to(receiver: int, forward: Number, reverse: Number) -> Number:
    """The rate, of the two directions', at which messages go to `receiver`."""
    return reverse if receiver == TERMINAL else forward


def price(
    scenario: Scenario,
    schedule: Schedule,
    profile: SystemProfile,
    jitter: Jitter | None = None,
    boards: BoardMix = ALIKE,
) -> Prices:
    """Price every step. Jitter is drawn rank by rank in the order of steps, then message by message likewise."""
    ranks = range(len(schedule.ranks))
    seconds = tuple(_rank_seconds(schedule, rank, profile, boards.speed(rank)) for rank in ranks)
    airtimes, latencies = _messages(scenario, schedule, profile)
    if jitter is not None:
        seconds = tuple(tuple(jitter(duration) if duration else 0.0 for duration in rank) for rank in seconds)
        airtimes = {key: jitter(airtime_s) for key, airtime_s in airtimes.items()}
    return Prices(seconds, airtimes, latencies, _skew_s(schedule, seconds, profile.skew))


def _skew_s(schedule: Schedule, seconds: tuple[tuple[float, ...], ...], skew: float) -> float:
    """The share `skew` of the longest rank's block."""
    if not skew:
        return 0.0
    blocks = (
        duration
        for steps, durations in zip(schedule.ranks, seconds, strict=True)
        for step, duration in zip(steps, durations, strict=True)
        if isinstance(step, Compute) and step.name == "block"
    )
    return skew * max(blocks)


def _messages(
    scenario: Scenario, schedule: Schedule, profile: SystemProfile
) -> tuple[dict[MessageKey, float], dict[MessageKey, float]]:
    """Airtime and latency of every message."""
    forward = scenario.bandwidth_mbps
    reverse = scenario.reverse_bandwidth_mbps or forward
    known: dict[tuple[float, int], tuple[float, float]] = {}
    airtimes: dict[MessageKey, float] = {}
    latencies: dict[MessageKey, float] = {}
    for rank, steps in enumerate(schedule.ranks):
        for step in steps:
            if not isinstance(step, (Exchange, Send)):
                continue
            for key, nbytes in outgoing(rank, step):
                rate = rate_to(key[1], forward, reverse)
                price = known.get((rate, nbytes))
                if price is None:
                    latency_s = profile.link.latency_s(scenario.plan.exchange, nbytes)
                    known[rate, nbytes] = price = profile.link.airtime_s(nbytes, rate), latency_s
                airtimes[key], latencies[key] = price
    return airtimes, latencies


def _rank_seconds(schedule: Schedule, rank: int, profile: SystemProfile, speed: float) -> tuple[float, ...]:
    mode = schedule.plan.mode
    steps = schedule.ranks[rank]
    compute_s = _compute_pricer(schedule, rank, profile)
    copies: dict[int, float] = {}

    def seconds(step: Step) -> float:
        if isinstance(step, Compute):
            return compute_s(step) / speed
        if not isinstance(step, Copy):
            return 0.0
        duration = copies.get(step.nbytes)
        if duration is None:
            copies[step.nbytes] = duration = copy_s(profile.staging_model(mode), step.nbytes)
        return duration

    return tuple(map(seconds, steps))


def _compute_pricer(schedule: Schedule, rank: int, profile: SystemProfile) -> Callable[[Compute], float]:
    """What prices a rank's compute steps: their own amounts of work, or the FLOP rate of its blocks for all of them."""
    mode = schedule.plan.mode
    work = profile.work.get(mode)
    if work is None:
        steps = schedule.ranks[rank]
        block_flops = next(step.flops for step in steps if isinstance(step, Compute) and step.name == "block")
        flop_s = second_per_flop(profile.compute_model(mode), block_flops)
        return lambda step: step.flops * flop_s
    known: dict[tuple[str, int], float] = {}

    def seconds(step: Compute) -> float:
        price = known.get((step.name, step.flops))
        if price is None:
            known[step.name, step.flops] = price = work.seconds(work_of(schedule, rank, step))
        return price

    return seconds
