"""How much latency scatters: independent random passes through SimPy, until a figure is known well enough.

Whether to go on is asked after every `ROUND` replications and of the first so many, in the order of their numbers. So
the answer depends on the seed and on what is asked, not on how many processes did the work, on which was done first, or
on whether the work was interrupted.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from prism.errors import InputError, unknown
from prism.memory import check_fits
from prism.plan import Plan
from prism.profile import SystemProfile, extrapolations
from prism.scenario import Scenario
from prism.units import check_range
from sim.answers.confidence import Estimated, mean_of, quantile_of, share_of
from sim.answers.journal import Journal, open_journal
from sim.answers.passes import local_of
from sim.answers.replicate import Fading, Randomness, Replicate, Replication, spread_of, steady_s
from sim.twin.scenarios import Floats

Figure = Literal["mean", "p50", "p90", "p99"]
FIGURES: tuple[Figure, ...] = get_args(Figure)

#: Replications between two looks at the precision. The first look is after two rounds: a spread estimated from fewer
#: may by chance be far too small, and end the run.
ROUND = 32
FIRST_LOOK = 2 * ROUND
MOST = 20_000
#: Replications that a process takes at once: long against handing them over, short against a round.
_CHUNK = 4


@dataclass(frozen=True)
class Precision:
    """When replications are enough.

    Attributes:
        figure: which of the latency's figures must be known.
        half_width: of its 95 % confidence interval, relative to it.
        most: replications at most.
    """

    figure: Figure = "mean"
    half_width: float = 0.01
    most: int = MOST

    def __post_init__(self) -> None:
        if self.figure not in FIGURES:
            raise unknown("figure", self.figure, FIGURES)
        check_range("precision", self.half_width, 1e-6, 1)
        check_range("replications at most", self.most, FIRST_LOOK, 10_000_000)


@dataclass(frozen=True)
class Scatter:
    """What the replications say, in seconds.

    Attributes:
        replications: how many the figures are from.
        resumed: how many of them were in the file already.
        reached: whether the precision asked for was reached.
        figures: of the latency, by name.
        sd_s: standard deviation of the latency.
        splits: share of the replications in which the split pass was the sooner.
        steady_s, steady_local_s: latency of the split and the local pass when nothing varies.
        local_mean: mean of the local passes.
    """

    plan: Plan
    replications: int
    resumed: int
    reached: bool
    precision: Precision
    figures: dict[Figure, Estimated]
    sd_s: float
    splits: Estimated
    steady_s: float
    steady_local_s: float
    local_mean: Estimated
    extrapolated: tuple[str, ...]


def run_replications(
    scenario: Scenario,
    profile: SystemProfile,
    randomness: Randomness,
    precision: Precision,
    *,
    workers: int = 1,
    journal: Path | None = None,
    after_each: Callable[[], None] = lambda: None,
) -> Scatter:
    """Replicate until the precision is reached, or the most replications are done.

    Args:
        scenario: what is asked for. Its bandwidth holds where the link does not fade.
        profile: what the boards and their link cost.
        randomness: what varies.
        precision: when to stop.
        workers: processes; 1 does the work in this one.
        journal: file that keeps finished replications; one that exists is gone on with.
        after_each: called after each replication.

    Raises:
        InfeasiblePlan: a board's memory does not hold the pass, split or local.
        InputError: a local plan, numbers out of range, or a file that is another experiment's.
    """
    if scenario.plan.mode == "local":
        raise InputError("the spread is that of a split plan beside local; choose full_tensor or segment_means")
    check_range("workers", workers, 1, 256)
    local = Scenario(scenario.shape, scenario.batch, scenario.bandwidth_mbps, local_of(scenario.plan))
    for each in (scenario, local):
        check_fits(each.schedule(), profile.board.usable_bytes, profile.board.name)
    task = Replicate(scenario, profile, randomness)
    with open_journal(journal, spread_of(scenario, profile, randomness)) as kept, _processes(workers) as carry_out:
        before = set(kept.done)
        samples, reached = _until_precise(kept, precision, lambda missing: carry_out(task, missing), after_each)
    resumed = len(before & {each.index for each in samples})
    return _scatter(task, samples, resumed, reached, precision)


def _until_precise(
    kept: Journal,
    precision: Precision,
    carry_out: Callable[[list[int]], Iterable[Replication]],
    after_each: Callable[[], None],
) -> tuple[list[Replication], bool]:
    """The replications that the answer is made from, and whether they are enough."""
    count = FIRST_LOOK
    while True:
        for done in carry_out([index for index in range(count) if index not in kept.done]):
            kept.add([done])
            after_each()
        samples = [kept.done[index] for index in range(count)]
        latencies = np.array([each.total_s for each in samples])
        if figure_of(latencies, precision.figure).half_width <= precision.half_width:
            return samples, True
        if count >= precision.most:
            return samples, False
        count = min(count + ROUND, precision.most)


def figure_of(latencies: Floats, figure: Figure) -> Estimated:
    """Mean or quantile of the samples, with its interval."""
    return mean_of(latencies) if figure == "mean" else quantile_of(latencies, int(figure[1:]) / 100)


@contextmanager
def _processes(workers: int) -> Iterator[Callable[[Replicate, list[int]], Iterable[Replication]]]:
    """What carries replications out, and answers in the order of their numbers.

    The standard library's processes: a replication is some milliseconds of pure Python, shares nothing, and takes and
    gives a few numbers, so there is nothing for a larger library to do better. They are started afresh (`spawn`),
    since a copy of a process with threads may hang.
    """
    if workers == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_end_with_parent) as pool:
        try:
            yield lambda task, missing: pool.map(task, missing, chunksize=_CHUNK)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """In a worker: end when the process that gave the work is gone, however it went. The pool alone would wait on."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _scatter(task: Replicate, samples: list[Replication], resumed: int, reached: bool, precision: Precision) -> Scatter:
    scenario, profile = task.scenario, task.profile
    latencies = np.array([each.total_s for each in samples])
    locals_ = np.array([each.local_s for each in samples])
    return Scatter(
        scenario.plan,
        len(samples),
        resumed,
        reached,
        precision,
        {figure: figure_of(latencies, figure) for figure in FIGURES},
        float(np.std(latencies, ddof=1)),
        share_of(int((latencies < locals_).sum()), len(samples)),
        *steady_s(scenario, profile),
        mean_of(locals_),
        _extrapolated(scenario, profile, task.randomness.fading),
    )


def _extrapolated(scenario: Scenario, profile: SystemProfile, fading: Fading | None) -> tuple[str, ...]:
    """In which ways the link at its best, or at its worst, lies outside what the profile was measured on."""
    ends = [scenario.bandwidth_mbps] if fading is None else [fading.high_mbps, fading.low_mbps]
    cases = [replace(scenario, bandwidth_mbps=mbps) for mbps in ends]
    return tuple(dict.fromkeys(reason for case in cases for reason in extrapolations(profile, case)))
