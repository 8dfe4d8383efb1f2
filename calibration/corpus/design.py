"""Which case to measure next: the one after which the predictions of all cases are least uncertain.

The stages' seconds are linear in amounts, so what a case would tell of the prices is known before it is measured: its
amounts over the scale of its error. With M the sum of z z' over the cases at hand and z those of a candidate, the mean
variance of predictions falls by sum of w_p (z_p' M^-1 z)^2 / (1 + z' M^-1 z) over the cases p that are to be
predicted, w_p the squared share that the stage has of their time (I-optimal design: Fedorov 1972, *Theory of Optimal
Experiments*).
Only amounts and rough prices are needed: the first order can be made before anything has been measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.corpus.amounts import LINK, compute_amounts, link_amounts, pass_amounts
from calibration.corpus.build import CorpusCalibration
from calibration.corpus.regress import Array
from calibration.corpus.rows import slowdown
from prism.scenario import Scenario

#: Seconds of a unit of `KINDS` and of `LINK` on a modest machine (30 GFLOPS, 10 GB/s, 100 Mbps); only their proportions
#: matter, and only to which case comes first.
ROUGH_COMPUTE = np.array([1e-5, 3e-2, 6e-2, 1e-3, 1e-4, 1e-3, 1e-3, 1e-3])
ROUGH_LINK = np.array([1e-4, 1e-4, 8e-2, 2e-2])
#: Of a latency and a MB where receives are posted ahead, and the share of the air that overlaps.
ROUGH_AHEAD = np.array([1e-4, 5e-3, 0.3])
ROUGH_CACHE_MB = 1.0
ROUGH_MBPS = 100.0
#: What is known of a price beforehand: about its order of magnitude. Keeps the first steps from dividing by zero.
PRIOR = 1e-3


def measuring_order(
    scenarios: Sequence[Scenario],
    calibration: CorpusCalibration | None = None,
    measured: Sequence[Scenario] = (),
    count: int | None = None,
) -> tuple[int, ...]:
    """Indices of `scenarios` in the order in which to measure them.

    Args:
        scenarios: the candidates, which are also what is to be predicted.
        calibration: gives prices in place of the rough ones.
        measured: what has been measured already.
        count: how many to name; all by default.
    """
    stages = _stages(scenarios, calibration)
    inverses = [np.asarray(np.linalg.inv(PRIOR * np.eye(stage.rows.shape[1])), np.float64) for stage in stages]
    for number, stage in enumerate(_stages(measured, calibration) if measured else ()):
        for row in stage.rows[stage.tells]:
            inverses[number] = _with(inverses[number], row)
    left = np.ones(len(scenarios), bool)
    order: list[int] = []
    for _ in range(len(scenarios) if count is None else min(count, len(scenarios))):
        gains = np.zeros(len(scenarios))
        for stage, inverse in zip(stages, inverses, strict=True):
            gains += stage.gains(inverse)
        best = int(np.argmax(np.where(left, gains, -np.inf)))
        order.append(best)
        left[best] = False
        inverses = [
            _with(inverse, stage.rows[best]) if stage.tells[best] else inverse
            for stage, inverse in zip(stages, inverses, strict=True)
        ]
    return tuple(order)


@dataclass(frozen=True, eq=False)
class _Stage:
    """What the cases consist of in one stage, in units of its prices and over the scale of its error.

    Attributes:
        rows: shape (cases, prices).
        weights: squared share of the stage in each case's time, shape (cases,).
        tells: whether a case enters the fit of these prices, or is only predicted with them.
    """

    rows: Array
    weights: Array
    tells: NDArray[np.bool_]

    def gains(self, inverse: Array) -> Array:
        """By how much the summed variance of predictions would fall with each case measured once more."""
        spread = self.rows @ inverse
        across = spread @ self.rows.T
        own = np.einsum("ij,ij->i", spread, self.rows)
        gains = (self.weights[:, None] * across**2).sum(axis=0) / (1 + own)
        return np.asarray(np.where(self.tells, gains, 0.0))


def _with(inverse: Array, row: Array) -> Array:
    """Sherman and Morrison's formula: the inverse after one more row."""
    moved = inverse @ row
    return np.asarray(inverse - np.outer(moved, moved) / (1 + row @ moved))


def _stages(scenarios: Sequence[Scenario], calibration: CorpusCalibration | None) -> list[_Stage]:
    """Compute, the link, and what posting ahead adds: blocking cases tell the link's prices, others the rest."""
    compute_prices, link_prices, cache_mb, reference = _prices(calibration)
    compute, link, ahead, shares = [], [], [], []
    for each in scenarios:
        amounts = compute_amounts(each.shape, each.plan, each.batch, 0, cache_mb) * compute_prices
        compute_s = float(amounts.sum())
        compute.append(amounts / compute_s)
        if each.plan.mode == "local":
            link.append(np.zeros(len(LINK)))
            ahead.append(np.zeros(len(ROUGH_AHEAD)))
            shares.append((1.0, 0.0))
            continue
        of_pass = pass_amounts(each.shape, each.plan, each.batch)
        blocking = each.plan.exchange == "blocking"
        block_s = compute_s / max(of_pass.exchanges, 1) if blocking else 0.0
        parts = link_amounts(of_pass, slowdown(each, reference), block_s, ()) * link_prices
        link_s = max(float(parts.sum()), 1e-9)
        scale = np.sqrt(link_s * (link_s + compute_s))
        air_s = float(parts[1:3].sum())
        # What is shared of the air, and so the weight of the first flow, matters to half of it at most.
        handed_mb = of_pass.exchanges * max(of_pass.rounds[-1].sizes_mb)
        own = np.array([of_pass.latencies, handed_mb, air_s / 2]) * ROUGH_AHEAD
        link.append(parts / scale)
        ahead.append(np.zeros(len(ROUGH_AHEAD)) if blocking else own / scale)
        shares.append((compute_s / (link_s + compute_s), link_s / (link_s + compute_s)))
    squared = np.array(shares) ** 2
    everywhere = np.ones(len(scenarios), bool)
    told_by = np.array([each.plan.exchange == "blocking" and each.plan.mode != "local" for each in scenarios])
    return [
        _Stage(np.array(compute), squared[:, 0], everywhere),
        _Stage(np.array(link), squared[:, 1], told_by if told_by.any() else everywhere),
        _Stage(np.array(ahead), squared[:, 1], everywhere),
    ]


def _prices(calibration: CorpusCalibration | None) -> tuple[Array, Array, float | None, float]:
    if calibration is None:
        return ROUGH_COMPUTE, ROUGH_LINK, ROUGH_CACHE_MB, ROUGH_MBPS
    rough = ROUGH_LINK * np.array([1.0, 1.0, ROUGH_MBPS / calibration.reference_mbps, 1.0])
    link = np.abs(calibration.link.fit.prices[: len(LINK)])
    compute = calibration.compute.prices
    # A price that was held at zero is not known to be zero: a tenth of the rough one keeps it in view.
    return (
        np.where(compute > 0, compute, ROUGH_COMPUTE / 10),
        np.where(link > 0, link, rough / 10),
        calibration.cache_mb,
        calibration.reference_mbps,
    )
