"""A corpus as rows of amounts and seconds, one set for each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.corpus.amounts import (
    STAGING,
    PassAmounts,
    compute_amounts,
    link_amounts,
    pass_amounts,
    staging_amounts,
)
from calibration.corpus.cases import Case
from calibration.corpus.regress import Array
from prism.scenario import Scenario
from prism.work import KINDS


@dataclass(frozen=True, eq=False)
class Rows:
    """Amounts of shape (rows, names), and seconds and scales of shape (rows,). `case` is each row's, by index."""

    amounts: Array
    seconds: Array
    scales: Array
    case: tuple[int, ...]


def amounts_of(case: Case) -> PassAmounts:
    """What the pass of a case consists of."""
    scenario = case.scenario
    return pass_amounts(scenario.shape, scenario.plan, scenario.batch)


def compute_rows(cases: Sequence[Case], cache_mb: float | None) -> Rows:
    """One row for each rank of each case."""
    amounts, seconds, numbers = [], [], []
    for number, case in enumerate(cases):
        scenario = case.scenario
        for rank, times in enumerate(case.ranks):
            amounts.append(compute_amounts(scenario.shape, scenario.plan, scenario.batch, rank, cache_mb))
            seconds.append(times.compute_s)
            numbers.append(number)
    return _rows(amounts, seconds, numbers, len(KINDS))


def staging_rows(cases: Sequence[Case]) -> Rows:
    """One row for each rank of each case that copies anything."""
    amounts, seconds, numbers = [], [], []
    for number, case in enumerate(cases):
        of_pass = amounts_of(case)
        for rank, times in enumerate(case.ranks):
            if of_pass.copies_mb[rank] and times.staging_s > 0:
                amounts.append(staging_amounts(of_pass, rank))
                seconds.append(times.staging_s)
                numbers.append(number)
    return _rows(amounts, seconds, numbers, len(STAGING))


def busy_s(case: Case) -> Array:
    """Compute and staging of each rank together."""
    return np.array([times.compute_s + times.staging_s for times in case.ranks])


def link_seconds(case: Case) -> float:
    """What the pass took beyond the ranks' own work: see `calibration.corpus.amounts`."""
    busy = busy_s(case)
    own_s = busy.mean() if case.key.plan.exchange == "preposted" else busy.max()
    return float(case.total_s - own_s)


def slowdown(scenario: Scenario, reference_mbps: float) -> float:
    """Airtime over that at the reference bandwidth: the mean of both directions, which carry alike."""
    reverse = scenario.reverse_bandwidth_mbps or scenario.bandwidth_mbps
    return reference_mbps * (1 / scenario.bandwidth_mbps + 1 / reverse) / 2


def link_rows(cases: Sequence[Case], reference_mbps: float, knots_mb: tuple[float, ...] = ()) -> Rows:
    """One row a case, as if every exchange were a blocking one.

    An error of the link's seconds grows with them and, since they are what is left of the whole pass, with that too:
    the scale is the geometric mean of both.
    """
    amounts = []
    for case in cases:
        of_pass = amounts_of(case)
        block_s = max(times.compute_s for times in case.ranks) / max(of_pass.exchanges, 1)
        amounts.append(link_amounts(of_pass, slowdown(case.scenario, reference_mbps), block_s, knots_mb))
    seconds = np.array([link_seconds(case) for case in cases])
    totals = np.array([case.total_s for case in cases])
    scales = np.sqrt(np.maximum(seconds, 1e-3 * totals) * totals)
    return Rows(np.array(amounts), seconds, scales, tuple(range(len(cases))))


def _rows(amounts: list[Array], seconds: list[float], numbers: list[int], width: int) -> Rows:
    array = np.array(seconds)
    return Rows(np.array(amounts).reshape(len(amounts), width), array, array, tuple(numbers))
