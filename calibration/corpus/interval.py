"""How far the prediction of a case's median may be off.

With T the latency, C and S the compute and staging of the rank that the pass waits for, y what the link adds to them,
g the derivatives of T by the prices of a stage, V their covariance and s the scatter of the cases round the fit::

    variance of T = g'Vg of compute, staging and link       what the fit does not know
                  + (s_c C)^2 + (s_s S)^2 + s_l^2 y T       what cases differ by that consist of the same amounts

The scatter contains the noise of a median. The interval is T exp(+- k sd / T) with k from the training cases: the
0.9-quantile of their own standardised errors, which a normal law would put at 1.645.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.corpus.amounts import compute_amounts, link_amounts, pass_amounts, staging_amounts
from calibration.corpus.build import CorpusCalibration
from calibration.corpus.cases import Case
from calibration.corpus.overlap import OverlapFit, passes_of, totals_s
from calibration.corpus.regress import Array
from calibration.corpus.rows import slowdown
from prism.scenario import Scenario

COVERAGE = 0.9
#: Of a normal law; the least k, so that a handful of lucky training cases does not promise too much.
NORMAL_QUANTILE = 1.645


@dataclass(frozen=True)
class Estimate:
    """A pass in closed form, without simulating it, and how uncertain it is.

    Attributes:
        total_s: latency of the terminal device.
        sd: standard deviation of its logarithm.
    """

    total_s: float
    sd: float


def estimate(scenarios: Sequence[Scenario], calibration: CorpusCalibration) -> list[Estimate]:
    """Totals and their standard deviations, to first order in the errors of prices."""
    works = [_own_work(scenario, calibration) for scenario in scenarios]
    overlapping = [index for index, scenario in enumerate(scenarios) if _overlaps(scenario, calibration)]
    links: dict[int, tuple[float, float]] = {}
    if overlapping:
        found = _preposted([scenarios[i] for i in overlapping], [works[i] for i in overlapping], calibration)
        links = dict(zip(overlapping, found, strict=True))
    estimates = []
    for index, (scenario, work) in enumerate(zip(scenarios, works, strict=True)):
        link_s, link_variance = links[index] if index in links else _blocking(scenario, work, calibration)
        total_s = float(work.busy_s.max()) + link_s
        scatter = _link_scatter(scenario, calibration)
        variance = work.variance + link_variance + scatter**2 * max(link_s, 0.0) * total_s
        estimates.append(Estimate(total_s, float(np.sqrt(variance)) / total_s))
    return estimates


def interval_factor(cases: Sequence[Case], calibration: CorpusCalibration) -> float:
    """The k of the interval, from the cases that the calibration was fitted to."""
    expected = estimate([case.scenario for case in cases], calibration)
    errors = [abs(np.log(case.total_s / each.total_s)) / each.sd for case, each in zip(cases, expected, strict=True)]
    rank = min(1.0, COVERAGE * (1 + 1 / len(errors)))
    return float(max(np.quantile(errors, rank), NORMAL_QUANTILE))


@dataclass(frozen=True, eq=False)
class _OwnWork:
    """Compute and staging of each rank, compute of the slowest, and the variance of that one's seconds."""

    busy_s: Array
    compute_s: float
    variance: float


def _own_work(scenario: Scenario, calibration: CorpusCalibration) -> _OwnWork:
    shape, plan, batch = scenario.shape, scenario.plan, scenario.batch
    compute, staging = calibration.compute, calibration.staging
    ranks = range(plan.devices)
    amounts = [compute_amounts(shape, plan, batch, rank, calibration.cache_mb) for rank in ranks]
    compute_s = np.array([float(each @ compute.prices) for each in amounts])
    of_pass = pass_amounts(shape, plan, batch)
    copies = [staging_amounts(of_pass, rank) for rank in ranks]
    staging_s = np.array([0.0 if staging is None else float(each @ staging.prices) for each in copies])
    busy_s = compute_s + staging_s
    slowest = int(np.argmax(busy_s))
    variance = float(compute.variance(amounts[slowest])) + (compute.scatter * float(compute_s[slowest])) ** 2
    if staging is not None:
        variance += float(staging.variance(copies[slowest])) + (staging.scatter * float(staging_s[slowest])) ** 2
    return _OwnWork(busy_s, float(compute_s[slowest]), variance)


def _overlaps(scenario: Scenario, calibration: CorpusCalibration) -> bool:
    plan = scenario.plan
    return plan.exchange == "preposted" and plan.devices == 2 and calibration.link.preposted is not None


def _link_scatter(scenario: Scenario, calibration: CorpusCalibration) -> float:
    overlap = calibration.link.preposted
    if overlap is not None and scenario.plan.exchange == "preposted":
        return overlap.scatter
    return calibration.link.fit.scatter


def _blocking(scenario: Scenario, work: _OwnWork, calibration: CorpusCalibration) -> tuple[float, float]:
    """Seconds of the link beyond the busiest rank's work, and their variance."""
    if scenario.plan.mode == "local":
        return 0.0, 0.0
    amounts = _air(scenario, calibration, work.compute_s)
    fit = calibration.link.fit
    return float(amounts @ fit.prices), float(fit.variance(amounts))


def _preposted(
    scenarios: Sequence[Scenario], works: Sequence[_OwnWork], calibration: CorpusCalibration
) -> list[tuple[float, float]]:
    """The same where receives are posted ahead; derivatives by differences."""
    link = calibration.link
    overlap = link.preposted
    assert isinstance(overlap, OverlapFit)
    passes = passes_of(scenarios, calibration.reference_mbps)
    busy = np.array([work.busy_s for work in works])
    total_s = totals_s(passes, busy, link.air, overlap.values)
    steps = np.maximum(np.sqrt(np.diag(overlap.covariance)), 1e-9)
    moved = [totals_s(passes, busy, link.air, overlap.values + step) for step in np.diag(steps)]
    gradients = (np.stack(moved, axis=1) - total_s[:, None]) / steps
    own = np.einsum("ci,ij,cj->c", gradients, overlap.covariance, gradients)
    links = []
    for index, scenario in enumerate(scenarios):
        amounts = _air(scenario, calibration, 0.0)
        amounts[0] = 0.0  # the latency is its own
        variance = float(own[index]) + float(link.fit.variance(amounts))
        links.append((float(total_s[index] - busy[index].max()), variance))
    return links


def _air(scenario: Scenario, calibration: CorpusCalibration, compute_s: float) -> Array:
    of_pass = pass_amounts(scenario.shape, scenario.plan, scenario.batch)
    slow = slowdown(scenario, calibration.reference_mbps)
    return link_amounts(of_pass, slow, compute_s / max(of_pass.exchanges, 1), calibration.link.knots_mb)
