"""Simulate many scenarios: by the twin where it answers as SimPy does, one by one through SimPy elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prism.cost import inside
from prism.memory import InfeasiblePlan
from prism.plan import Plan
from prism.profile import SystemProfile, judges, plan_extrapolations
from sim.energy import boards_j
from sim.simulate import simulate
from sim.twin.board import StageTimes
from sim.twin.carry import carry_out
from sim.twin.coverage import covers
from sim.twin.outline import Structure, outline, structure
from sim.twin.prices import Prices, along
from sim.twin.scenarios import Floats, Scenarios

#: Scenarios that are carried out together: few enough for a processor's cache to hold their arrays.
CHUNK = 16384

#: Which scenarios: all of a stretch, or those with these indices.
Where = slice | NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Times:
    """What `sim.simulate.simulate` says of each scenario, as arrays of the shape (scenarios,).

    Attributes:
        total_s: on the terminal device's clock, from batch accepted to answer held; NaN where the plan does not fit.
        ranks: times of each rank, terminal device first; NaN for ranks that a scenario's plan does not have.
        terminal_j: energy of the terminal device in joules; NaN where the profile knows no power for the mode.
        all_boards_j: likewise of every board of the system.
        fits: whether the boards' memory holds the pass.
        extrapolated: whether it lies outside what the profile was measured on; `prism.profile.extrapolations` says how.
        by_simpy: plans whose scenarios went to SimPy one by one, with the reason.
    """

    total_s: Floats
    ranks: tuple[StageTimes, ...]
    terminal_j: Floats
    all_boards_j: Floats
    fits: NDArray[np.bool_]
    extrapolated: NDArray[np.bool_]
    by_simpy: Mapping[Plan, str]

    @property
    def terminal(self) -> StageTimes:
        return self.ranks[0]


def simulate_many(scenarios: Scenarios, profile: SystemProfile) -> Times:
    """Simulate one pass of each scenario.

    Equal to `sim.simulate.simulate` within 1e-9, relative: the twin adds the same terms in another order.

    Raises:
        InputError: a plan does not fit the model, or the profile does not know a plan's mode.
    """
    reasons = {plan: covers(plan) or _beyond(profile, plan) for plan in scenarios.plans}
    times = _empty(scenarios, {plan: reason for plan, reason in reasons.items() if reason is not None})
    for plans, where in _groups(scenarios):
        if scenarios.plans[plans[0]] in times.by_simpy:
            _through_simpy(scenarios, profile, where, times)
            continue
        common = structure(scenarios.shape, tuple(scenarios.plans[plan] for plan in plans))
        # Plan numbers within the group; those of other groups are never asked for.
        local = np.zeros(len(scenarios.plans), np.intp)
        local[plans] = np.arange(len(plans))
        outside = np.array(
            [bool(plan_extrapolations(profile, scenarios.shape, scenarios.plans[plan])) for plan in plans]
        )
        for chunk in _chunks(where, len(scenarios)):
            _through_twin(scenarios, profile, common, local, outside, chunk, times)
    return times


def _beyond(profile: SystemProfile, plan: Plan) -> str | None:
    """Why SimPy must carry a plan out: what the profile says of the machine that the twin does not know of."""
    if plan.mode in profile.work:
        return "work: the profile prices compute steps by more than their FLOPs"
    if profile.skew and plan.mode != "local":
        return "skew: the profile lets ranks wait for each other at every exchange"
    if profile.link.first_flow_weight != 1 and plan.mode != "local":
        return "queue: the profile gives the first flow on the air the larger share of it"
    if profile.link.preposted_mb_s and plan.exchange == "preposted":
        return "latency: the profile lets it grow with the size of messages whose receives are posted ahead"
    return None


def _groups(scenarios: Scenarios) -> Iterator[tuple[list[int], Where]]:
    """Plans that are carried out together, by number, and their scenarios."""
    forms: dict[object, list[int]] = {}
    for number in np.unique(scenarios.plan).tolist():
        forms.setdefault(outline(scenarios.shape, scenarios.plans[number]).form, []).append(number)
    if len(forms) == 1:
        yield next(iter(forms.values())), slice(None)
        return
    group_of = np.zeros(len(scenarios.plans), np.intp)
    for group, numbers in enumerate(forms.values()):
        group_of[numbers] = group
    groups = group_of[scenarios.plan]
    for group, numbers in enumerate(forms.values()):
        yield numbers, np.flatnonzero(groups == group)


def _chunks(where: Where, count: int) -> Iterator[Where]:
    if isinstance(where, slice):
        yield from (slice(start, start + CHUNK) for start in range(0, count, CHUNK))
    else:
        yield from (where[start : start + CHUNK] for start in range(0, len(where), CHUNK))


def _empty(scenarios: Scenarios, by_simpy: Mapping[Plan, str]) -> Times:
    count = len(scenarios)
    boards = max(plan.devices for plan in scenarios.plans)

    def unknown() -> Floats:
        return np.full(count, np.nan)

    ranks = tuple(StageTimes(unknown(), unknown(), unknown(), unknown()) for _ in range(boards))
    fits, extrapolated = np.ones(count, bool), np.zeros(count, bool)
    return Times(unknown(), ranks, unknown(), unknown(), fits, extrapolated, by_simpy)


def _through_twin(
    scenarios: Scenarios,
    profile: SystemProfile,
    common: Structure,
    local: NDArray[np.intp],
    outside: NDArray[np.bool_],
    where: Where,
    times: Times,
) -> None:
    plan, batch, forward = local[scenarios.plan[where]], scenarios.batch[where], scenarios.bandwidth_mbps[where]
    reverse = None if scenarios.reverse_bandwidth_mbps is None else scenarios.reverse_bandwidth_mbps[where]
    boards = carry_out(common, Prices(common, profile, plan, batch, forward, reverse))
    times.total_s[where] = total_s = boards[0].now_s
    ranks = [board.times for board in boards]
    for kept, found in zip(times.ranks, ranks, strict=False):
        _keep(kept, found, where)
    mode = common.plan.mode
    if profile.power is not None and mode in profile.power.by_mode:
        joules = boards_j(profile.power, mode, ranks, total_s)
        times.terminal_j[where] = joules[0]
        times.all_boards_j[where] = sum(joules)
    samples = batch.astype(np.float64)
    times.extrapolated[where] = outside[plan] | _outside(profile, common, plan, samples, (forward, reverse))
    _refuse(profile, common, plan, samples, where, times)


def _keep(kept: StageTimes, found: StageTimes, where: Where) -> None:
    kept.compute_s[where] = found.compute_s
    kept.staging_s[where] = found.staging_s
    kept.transfer_s[where] = found.transfer_s
    kept.waiting_s[where] = found.waiting_s


def _outside(
    profile: SystemProfile,
    common: Structure,
    plan: NDArray[np.intp],
    batch: Floats,
    bandwidths: tuple[Floats, Floats | None],
) -> NDArray[np.bool_]:
    """Whether batch, bandwidth or the size of a repeated step lies outside the measured range."""
    valid, mode = profile.validity, common.plan.mode
    within = inside(valid.batch, batch)
    if mode != "local":
        for bandwidth_mbps in bandwidths:
            if bandwidth_mbps is not None:
                within &= inside(valid.bandwidth_mbps, bandwidth_mbps)
    known = judges(profile, mode)
    for judge, sizes in common.extremes.items():
        model, unit = known[judge]
        for growth in sizes:
            within &= model.covers(along((np.zeros_like(growth), growth), plan, batch) / unit)
    return ~within


def _refuse(
    profile: SystemProfile,
    common: Structure,
    plan: NDArray[np.intp],
    batch: Floats,
    where: Where,
    times: Times,
) -> None:
    """Take back the times of passes that a board's memory does not hold."""
    fits = np.ones(len(batch), bool)
    for line in common.memory:
        fits &= along(line, plan, batch) <= profile.board.usable_bytes
    if fits.all():
        return
    times.fits[where] = fits
    for rank in times.ranks:
        for stage in (rank.compute_s, rank.staging_s, rank.transfer_s, rank.waiting_s):
            stage[where] = np.where(fits, stage[where], np.nan)
    for values in (times.total_s, times.terminal_j, times.all_boards_j):
        values[where] = np.where(fits, values[where], np.nan)
    times.extrapolated[where] &= fits


def _through_simpy(scenarios: Scenarios, profile: SystemProfile, where: Where, times: Times) -> None:
    for index in np.arange(len(scenarios))[where].tolist():
        try:
            result = simulate(scenarios.scenario(index), profile)
        except InfeasiblePlan:
            times.fits[index] = False
            continue
        times.total_s[index] = result.total_s
        for kept, found in zip(times.ranks, result.ranks, strict=False):
            kept.compute_s[index], kept.staging_s[index] = found.compute_s, found.staging_s
            kept.transfer_s[index], kept.waiting_s[index] = found.transfer_s, found.waiting_s
        if result.energy is not None:
            times.terminal_j[index], times.all_boards_j[index] = result.energy.terminal_j, result.energy.all_boards_j
        times.extrapolated[index] = bool(result.extrapolated)
