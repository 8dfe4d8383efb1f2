"""How many boards are worth it: latency from one board to eight, and where a further one no longer pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prism.errors import InputError
from prism.memory import memory_use
from prism.plan import Plan
from prism.profile import SystemProfile, extrapolations
from prism.scenario import Scenario
from prism.shape import TransformerShape
from prism.units import check_range
from sim.answers.passes import local_of
from sim.twin.scenarios import Scenarios
from sim.twin.simulate import Times, simulate_many

#: Boards that are tried, where no other number is asked for.
MOST_BOARDS = 8
#: Segments per partition that are tried where none are named. All of them would be: the fewest allowed win nearly
#: always, since they send the least.
_LADDER = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)


@dataclass(frozen=True)
class OnBoards:
    """The fastest plan found for a number of boards.

    Attributes:
        latency_s: from batch accepted to answer held.
        speedup: local latency over this one, above 1 where splitting pays; None where no board holds the local pass.
        efficiency: speed-up a board; likewise None.
        compression_rate: of what is exchanged; 1 where nothing is compressed.
        terminal_j, all_boards_j: energies of the terminal device and of all boards that take part; None where the
            profile knows no power for the mode.
        memory_bytes: of the board that needs most.
        extrapolated: in which ways the figures lie outside what the profile was measured on.
    """

    boards: int
    plan: Plan
    latency_s: float
    speedup: float | None
    efficiency: float | None
    compression_rate: float
    terminal_j: float | None
    all_boards_j: float | None
    memory_bytes: int
    extrapolated: tuple[str, ...]


@dataclass(frozen=True)
class BoardsWorth:
    """How many boards are worth it.

    Attributes:
        worth: the number of boards reached by going on to more of them as long as each board added saves at least the
            share `threshold` of the latency reached so far. A number that does not pay may be passed over: three
            boards may pay where two do not.
        rows: by number of boards; those for which no plan fits in memory are missing.
        left_out: numbers of boards for which no plan fits, with the reason.
        by_simpy: why SimPy carried out passes one by one; empty where the twin did all of them.
    """

    worth: int
    threshold: float
    rows: tuple[OnBoards, ...]
    left_out: dict[int, str]
    by_simpy: tuple[str, ...]


def boards_worth(
    shape: TransformerShape,
    batch: int,
    bandwidth_mbps: float,
    profile: SystemProfile,
    *,
    template: Plan | None = None,
    segments: Sequence[int] | None = None,
    max_compression_rate: float | None = None,
    most: int = MOST_BOARDS,
    threshold: float = 0.05,
) -> BoardsWorth:
    """Try one board to `most`, each with its best number of segments.

    Args:
        shape: the model.
        batch: samples in the pass.
        bandwidth_mbps: throttle of the link.
        profile: what the boards and their link cost. Their memory, costs and powers are taken to be alike.
        template: exchange, wire type and input of the plans; mode, boards and segments are what is tried.
        segments: numbers of segments per partition to try; None for a ladder of them.
        max_compression_rate: plans that compress more are left out; None for no limit. What a rate costs in accuracy
            depends on model and task.
        most: boards at most.
        threshold: share of the latency that a further board must save.

    Raises:
        InputError: a number out of range, or no plan at all that the boards' memory holds.
    """
    check_range("boards", most, 2, 64)
    check_range("threshold", threshold, 0, 1)
    base = template or Plan("full_tensor", 2)
    if max_compression_rate is not None:
        check_range("largest compression rate", max_compression_rate, 1, 1e6)
    plans = [local_of(base)]
    for boards in range(2, most + 1):
        of_boards = _plans(shape, base, boards, segments)
        plans += [plan for plan in of_boards if _admits(plan, shape, max_compression_rate)]
    plans = [plan for plan in plans if known_to(profile, plan)]
    if plans[0].mode != "local":
        raise InputError(
            f"profile {profile.name!r} has no costs of local execution; calibrate it from such runs as well"
        )
    if profile.power is not None:  # boards that are not bought do not idle
        profile = replace(profile, power=replace(profile.power, boards=1))
    times = simulate_many(Scenarios.grid(shape, plans, batch, bandwidth_mbps), profile)
    best, left_out = _best(plans, times, most)
    if not best:
        raise InputError(
            f"no board of profile {profile.name!r} holds {shape.name} at batch {batch}; use a smaller batch"
        )
    local_s = float(times.total_s[0]) if times.fits[0] else None
    rows = tuple(_row(shape, plans[index], batch, bandwidth_mbps, profile, times, index, local_s) for index in best)
    reasons = tuple(dict.fromkeys(times.by_simpy.values()))
    worth = worth_of([(row.boards, row.latency_s) for row in rows], threshold)
    return BoardsWorth(worth, threshold, rows, left_out, reasons)


def worth_of(latencies: Sequence[tuple[int, float]], threshold: float) -> int:
    """The number of boards that are worth it, by the rule in `BoardsWorth`.

    Args:
        latencies: number of boards and seconds, rising in boards.
        threshold: share of the latency reached so far that each board added must save.
    """
    worth, reached_s = latencies[0]
    for boards, latency_s in latencies[1:]:
        if 1 - latency_s / reached_s >= threshold * (boards - worth) and latency_s < reached_s:
            worth, reached_s = boards, latency_s
    return worth


def _plans(shape: TransformerShape, base: Plan, boards: int, segments: Sequence[int] | None) -> Iterator[Plan]:
    """Full tensors, and each number of segments that the partitions hold."""
    if boards > shape.tokens:
        return
    whole = replace(base, mode="full_tensor", devices=boards, segments=None, shares=None)
    yield whole
    largest = max(whole.partition(shape.tokens))
    for count in _LADDER if segments is None else segments:
        if count <= largest:
            yield replace(whole, mode="segment_means", segments=count)


def _admits(plan: Plan, shape: TransformerShape, max_compression_rate: float | None) -> bool:
    return max_compression_rate is None or plan.compression_rate(shape.tokens) <= max_compression_rate


def known_to(profile: SystemProfile, plan: Plan) -> bool:
    """Whether the profile has costs for the plan's mode."""
    computes = plan.mode in profile.compute or plan.mode in profile.work
    return computes and (plan.mode == "local" or plan.mode in profile.staging)


def _best(plans: Sequence[Plan], times: Times, most: int) -> tuple[list[int], dict[int, str]]:
    """Index of the fastest plan of each number of boards; of equally fast ones the first."""
    best, left_out = [], {}
    for boards in range(1, most + 1):
        mine = [index for index, plan in enumerate(plans) if plan.devices == boards]
        fitting = [index for index in mine if times.fits[index]]
        if fitting:
            best.append(min(fitting, key=lambda index: float(times.total_s[index])))
        else:
            left_out[boards] = "no board's memory holds it" if mine else "no plan compresses so little, or is known"
    return best, left_out


def _row(
    shape: TransformerShape,
    plan: Plan,
    batch: int,
    bandwidth_mbps: float,
    profile: SystemProfile,
    times: Times,
    index: int,
    local_s: float | None,
) -> OnBoards:
    scenario = Scenario(shape, batch, bandwidth_mbps, plan)
    schedule = scenario.schedule()
    latency_s = float(times.total_s[index])
    speedup = None if local_s is None else local_s / latency_s
    return OnBoards(
        plan.devices,
        plan,
        latency_s,
        speedup,
        None if speedup is None else speedup / plan.devices,
        plan.compression_rate(shape.tokens),
        joules(times.terminal_j[index]),
        joules(times.all_boards_j[index]),
        max(memory_use(schedule, rank).total_bytes for rank in range(plan.devices)),
        extrapolations(profile, scenario),
    )


def joules(value: np.float64) -> float | None:
    """An energy of `Times`; None where there is none."""
    return None if np.isnan(value) else float(value)
