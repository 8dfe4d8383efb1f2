"""One pass on a link that changes while it is under way, which may have to be given up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simpy import Environment

from prism.errors import InputError
from prism.memory import check_fits
from prism.profile import SystemProfile
from prism.record import RankTimes
from prism.scenario import Scenario
from sim.energy import pass_energy
from sim.jitter import Jitter
from sim.simulate import put_to_work
from sim.streams.air import Air, ChangingMedium


@dataclass(frozen=True)
class Carried:
    """How a pass went.

    Attributes:
        total_s: until the answer was held, or the pass was given up.
        answered: whether it was.
        communication_s: of the terminal device.
        terminal_j, all_boards_j: energies; None where the profile knows no powers.
    """

    total_s: float
    answered: bool
    communication_s: float
    terminal_j: float | None
    all_boards_j: float | None


def carry(
    scenario: Scenario,
    profile: SystemProfile,
    air: Air,
    start_s: float,
    *,
    give_up_s: float = math.inf,
    factor: float = 1.0,
    jitter: Jitter | None = None,
) -> Carried:
    """Simulate a pass that starts at `start_s` of the air's trace.

    Args:
        scenario: what is asked for; its bandwidth must be the air's reference.
        profile: what the boards and their link cost.
        air: the changing link.
        start_s: on the trace's time axis.
        give_up_s: seconds after which a pass that has not answered is given up.
        factor: times what the trace says that the air gives.
        jitter: varies the duration of every step and message.

    Raises:
        InfeasiblePlan: a board's memory does not hold its share of the pass.
    """
    schedule = scenario.schedule()
    check_fits(schedule, profile.board.usable_bytes, profile.board.name)
    env = Environment()
    medium = ChangingMedium(env, air, start_s, factor, profile.link.first_flow_weight)
    ranks = put_to_work(env, scenario, schedule, profile, jitter, medium=medium)
    terminal = ranks[0]
    while not terminal.end_s and env.peek() <= give_up_s and env.peek() < math.inf:
        env.step()
    answered = terminal.end_s > 0
    if answered:
        env.run()  # what other ranks have left to do
    elif give_up_s == math.inf:
        raise InputError("the link is gone for good and nobody gives the pass up; give it a time after which to")
    total_s = terminal.end_s if answered else give_up_s
    times = tuple(rank.times if rank.end_s else _cut_off(rank.times, total_s) for rank in ranks)
    energy = pass_energy(profile.power, scenario.plan.mode, times, total_s)
    return Carried(
        total_s,
        answered,
        times[0].communication_s,
        None if energy is None else energy.terminal_j,
        None if energy is None else energy.all_boards_j,
    )


def _cut_off(times: RankTimes, end_s: float) -> RankTimes:
    """The step that a rank was in when the pass was given up counts as waiting: for a link that brings nothing."""
    waiting_s = times.waiting_s + max(end_s - times.total_s, 0.0)
    return RankTimes(times.compute_s, times.staging_s, times.transfer_s, waiting_s)
