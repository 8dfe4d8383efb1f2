"""Carry one scenario out in simulated time."""

from __future__ import annotations

from simpy import Environment

from prism.memory import check_fits
from prism.profile import SystemProfile, extrapolations
from prism.record import Measurement, Span
from prism.scenario import Scenario
from prism.schedule import Schedule
from sim.energy import pass_energy
from sim.exchange import BlockingExchange, PrepostedExchange
from sim.jitter import Jitter
from sim.network import Network
from sim.price import price
from sim.rank import Rank


def simulate(
    scenario: Scenario, profile: SystemProfile, *, jitter: Jitter | None = None, trace: bool = False
) -> Measurement:
    """Simulate one pass, block by block, and answer with its record.

    Args:
        scenario: model, batch, bandwidth and plan.
        profile: what the boards and their link cost.
        jitter: varies the duration of every step and message; None for a deterministic run.
        trace: whether to keep the spans of every rank.

    Raises:
        InfeasiblePlan: a board's memory does not hold its share of the pass.
        InputError: the plan does not fit the model, or the profile does not know the plan's mode.
    """
    schedule = scenario.schedule()
    check_fits(schedule, profile.board.usable_bytes, profile.board.name)
    spans: list[Span] | None = [] if trace else None
    ranks = _run(scenario, schedule, profile, jitter, spans)
    total_s = ranks[0].end_s
    times = tuple(rank.times for rank in ranks)
    return Measurement(
        source="simulated",
        model=scenario.shape.name,
        batch=scenario.batch,
        bandwidth_mbps=scenario.bandwidth_mbps,
        reverse_bandwidth_mbps=scenario.reverse_bandwidth_mbps,
        plan=scenario.plan,
        total_s=total_s,
        ranks=times,
        energy=pass_energy(profile.power, scenario.plan.mode, times, total_s),
        extrapolated=extrapolations(profile, scenario),
        spans=tuple(spans or ()),
        provenance={"profile": profile.name},
    )


def _run(
    scenario: Scenario,
    schedule: Schedule,
    profile: SystemProfile,
    jitter: Jitter | None,
    spans: list[Span] | None,
) -> list[Rank]:
    env = Environment()
    prices = price(scenario, schedule, profile, jitter)
    network = Network(env, prices.airtimes, prices.latency_s)
    exchange = (
        PrepostedExchange(env, network)
        if scenario.plan.exchange == "preposted"
        else BlockingExchange(env, network, len(schedule.ranks))
    )
    ranks = [
        Rank(env, rank, steps, seconds, network, exchange, spans)
        for rank, (steps, seconds) in enumerate(zip(schedule.ranks, prices.seconds, strict=True))
    ]
    for rank in ranks:  # in rank order: simultaneous events of different ranks keep it
        env.process(rank.run())
    env.run()
    return ranks
