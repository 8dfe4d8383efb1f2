"""What it costs to decide by one performance map where another is the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prism.errors import InputError
from prism.policy.performance_map import PerformanceMap


@dataclass(frozen=True)
class Regret:
    """How much longer the chosen plans take than the best, in percent of the best: mean and worst decision."""

    mean_pct: float
    worst_pct: float


def regret(chosen_by: PerformanceMap, truth: PerformanceMap, decisions: Iterable[tuple[int, float]]) -> Regret:
    """The regret of taking the plan that is fastest in one map, paying what another says that it takes.

    Args:
        chosen_by: what the choice is made by.
        truth: what is paid is read from it.
        decisions: pairs of batch and bandwidth in Mbps, each of the same weight.

    Raises:
        InputError: no decisions, or a plan that `truth` does not hold.
    """
    losses = []
    for batch, mbps in decisions:
        paid_s = truth.predict(chosen_by.fastest(batch, mbps), batch, mbps).total_s
        best_s = truth.predict(truth.fastest(batch, mbps), batch, mbps).total_s
        losses.append(100 * (paid_s / best_s - 1))
    if not losses:
        raise InputError("regret needs at least one decision, a batch and a bandwidth; there is none")
    return Regret(sum(losses) / len(losses), max(losses))
