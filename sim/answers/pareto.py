"""Plans that no other beats in latency, energy and compression at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prism.errors import InputError
from prism.plan import Plan
from prism.profile import SystemProfile, extrapolations
from prism.scenario import Scenario
from prism.shape import TransformerShape
from sim.answers.boards_worth import joules
from sim.twin.scenarios import Floats, Scenarios
from sim.twin.simulate import simulate_many


@dataclass(frozen=True)
class Choice:
    """One plan and what it costs.

    Attributes:
        all_boards_j: joules of the whole system for the pass; None where the profile knows no power for the mode.
        compression_rate: stands for accuracy: the more is compressed, the more a task may lose. How much depends on
            model and task, and is not predicted. 1 for local execution and full tensors, which compute the model as is.
        on_front: whether no other plan is as good in everything and better in something.
        beaten_by: label of a plan that is; None on the front.
        extrapolated: in which ways the figures lie outside what the profile was measured on.
    """

    plan: Plan
    latency_s: float
    all_boards_j: float | None
    compression_rate: float
    on_front: bool
    beaten_by: str | None
    extrapolated: tuple[str, ...]


@dataclass(frozen=True)
class Front:
    """All plans that were compared, in the order of their latency.

    Attributes:
        objectives: what was compared; energy is missing where the profile does not know the power of every mode.
        infeasible: plans that no board's memory holds.
    """

    objectives: tuple[str, ...]
    choices: tuple[Choice, ...]
    infeasible: tuple[Plan, ...]

    @property
    def best(self) -> tuple[Choice, ...]:
        """Those on the front."""
        return tuple(choice for choice in self.choices if choice.on_front)


def pareto(
    shape: TransformerShape,
    plans: Sequence[Plan],
    batch: int,
    bandwidth_mbps: float,
    profile: SystemProfile,
) -> Front:
    """Compare plans at a batch and a bandwidth.

    Raises:
        InputError: no plans, one that the model or the profile does not admit, or none that fits in memory.
    """
    if not plans:
        raise InputError("no plans to choose from; name at least one")
    plans = list(dict.fromkeys(plans))
    times = simulate_many(Scenarios.grid(shape, plans, batch, bandwidth_mbps), profile)
    fitting = [plan for plan, fits in zip(plans, times.fits, strict=True) if fits]
    if not fitting:
        raise InputError(
            f"no board of profile {profile.name!r} holds {shape.name} at batch {batch}; use a smaller batch"
        )
    latency_s, energy_j = times.total_s[times.fits], times.all_boards_j[times.fits]
    rates = np.array([plan.compression_rate(shape.tokens) for plan in fitting])
    metered = not np.isnan(energy_j).any()
    costs = np.column_stack([latency_s, energy_j, rates] if metered else [latency_s, rates])
    winners = dominators(costs)
    choices = [
        Choice(
            plan,
            float(latency_s[index]),
            joules(energy_j[index]),
            float(rates[index]),
            bool(winners[index] < 0),
            fitting[winners[index]].label if winners[index] >= 0 else None,
            extrapolations(profile, Scenario(shape, batch, bandwidth_mbps, plan)),
        )
        for index, plan in enumerate(fitting)
    ]
    return Front(
        ("latency", "energy", "compression") if metered else ("latency", "compression"),
        tuple(sorted(choices, key=lambda choice: choice.latency_s)),
        tuple(plan for plan, fits in zip(plans, times.fits, strict=True) if not fits),
    )


def dominators(costs: Floats) -> NDArray[np.intp]:
    """For each row, the index of a row that is nowhere worse and somewhere better, itself on the front; -1 if none.

    Args:
        costs: shape (points, objectives), finite, less is better. Equal rows do not dominate each other.

    Memory grows with the square of the points: a thousand of them take some MB.
    """
    no_worse: NDArray[np.bool_] = np.all(costs[:, None, :] <= costs[None, :, :], axis=2)
    better: NDArray[np.bool_] = np.any(costs[:, None, :] < costs[None, :, :], axis=2)
    dominates: NDArray[np.bool_] = no_worse & better  # [i, j]: i dominates j
    front: NDArray[np.bool_] = ~np.any(dominates, axis=0)
    from_front = dominates & front[:, None]
    return np.where(front, -1, from_front.argmax(axis=0))
