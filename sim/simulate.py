"""Carry one scenario out in simulated time."""

from __future__ import annotations

from simpy import Environment

from prism.memory import check_rank_fits
from prism.profile import SystemProfile, extrapolations
from prism.record import Measurement, Span
from prism.scenario import Scenario
from prism.schedule import Schedule
from sim.boards import ALIKE, BoardMix
from sim.energy import pass_energy
from sim.exchange import BlockingExchange, PrepostedExchange
from sim.jitter import Jitter
from sim.medium import Medium
from sim.network import Network
from sim.overlap import with_overlap
from sim.price import price
from sim.rank import Rank


def simulate(
    scenario: Scenario,
    profile: SystemProfile,
    *,
    jitter: Jitter | None = None,
    trace: bool = False,
    boards: BoardMix = ALIKE,
    overlap: bool = False,
) -> Measurement:
    """Simulate one pass, block by block, and answer with its record.

    Args:
        scenario: model, batch, bandwidth and plan.
        profile: what the boards and their link cost.
        jitter: varies the duration of every step and message; None for a deterministic run.
        trace: whether to keep the spans of every rank.
        boards: how boards differ from the profile's.
        overlap: whether boards attend to their own tokens while messages travel (`sim.overlap`).

    Raises:
        InfeasiblePlan: a board's memory does not hold its share of the pass.
        InputError: the plan does not fit the model, the profile does not know the plan's mode, or boards are missing.
    """
    schedule = scenario.schedule()
    boards.require(len(schedule.ranks))
    for rank in range(len(schedule.ranks)):
        board = boards.board(rank, profile)
        check_rank_fits(schedule, rank, board.usable_bytes, board.name)
    spans: list[Span] | None = [] if trace else None
    env = Environment()
    ranks = put_to_work(env, scenario, schedule, profile, jitter, spans, boards=boards, overlap=overlap)
    env.run()
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
        extrapolated=(
            *extrapolations(profile, scenario),
            *boards.extrapolations,
            *upper_bounds(scenario),
            *(["own attention during the exchange (measured: after it)"] if overlap else []),
        ),
        spans=tuple(spans or ()),
        provenance={"profile": profile.name},
    )


def upper_bounds(scenario: Scenario) -> tuple[str, ...]:
    """What is simulated as more than need be: a causal model exchanges with all boards, and its mask skips nothing."""
    if scenario.shape.causal and scenario.plan.mode != "local":
        return ("causal model: an upper bound, priced as if every token saw all others",)
    return ()


def put_to_work(
    env: Environment,
    scenario: Scenario,
    schedule: Schedule,
    profile: SystemProfile,
    jitter: Jitter | None = None,
    spans: list[Span] | None = None,
    medium: Medium | None = None,
    boards: BoardMix = ALIKE,
    overlap: bool = False,
) -> list[Rank]:
    """The ranks of a pass as processes of `env`, which has yet to run.

    Args:
        env: whose time is spent.
        scenario: what is asked for.
        schedule: the scenario's.
        profile: what the boards and their link cost.
        jitter: as for `simulate`.
        spans: what the ranks put their spans into; None to keep none.
        medium: the air, where it is another than the steady one.
        boards: as for `simulate`.
        overlap: as for `simulate`.
    """
    prices = price(scenario, schedule, profile, jitter, boards)
    medium = medium or Medium(env, profile.link.first_flow_weight)
    network = Network(env, prices.airtimes, prices.latencies, medium)
    exchange = (
        PrepostedExchange(env, network)
        if scenario.plan.exchange == "preposted"
        else BlockingExchange(env, network, len(schedule.ranks), prices.skew_s)
    )
    ranks = [
        Rank(env, rank, steps, with_overlap(schedule, rank, seconds) if overlap else seconds, network, exchange, spans)
        for rank, (steps, seconds) in enumerate(zip(schedule.ranks, prices.seconds, strict=True))
    ]
    for rank in ranks:  # in rank order: simultaneous events of different ranks keep it
        env.process(rank.run())
    return ranks
