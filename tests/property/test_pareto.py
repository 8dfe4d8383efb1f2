"""Nothing on a front dominates anything else on it, and whatever is left out is dominated by something on it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prism.plan import Plan
from sim.answers.pareto import dominators, pareto
from tests.helpers.systems import SMALL, Cost, system, three_powers

costs = st.integers(1, 4).flatmap(
    lambda objectives: st.integers(1, 30).flatmap(
        # Few distinct values: ties are what goes wrong.
        lambda points: arrays(np.float64, (points, objectives), elements=st.integers(0, 5).map(float))
    )
)


def dominates(
    one: np.ndarray[tuple[int], np.dtype[np.float64]], other: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> bool:
    return bool((one <= other).all() and (one < other).any())


@given(costs)
def test_the_front_is_what_nothing_dominates(points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    winners = dominators(points)
    front = np.flatnonzero(winners < 0)
    assert len(front) >= 1
    for one in front:
        assert not any(dominates(points[other], points[one]) for other in range(len(points)))
    for left_out in np.flatnonzero(winners >= 0):
        winner = winners[left_out]
        assert winner in front
        assert dominates(points[winner], points[left_out])


@given(st.sets(st.integers(1, 5), min_size=1), st.booleans(), st.floats(5.0, 1000.0))
def test_a_front_of_plans(segments: set[int], metered: bool, mbps: float) -> None:
    profile = system(Cost(1e-3, 10.0), Cost(1e-4), Cost(1e-4, 5.0), power=three_powers(2) if metered else None)
    plans = [Plan(), Plan("full_tensor", 2), *(Plan("segment_means", 2, count) for count in sorted(segments))]
    front = pareto(SMALL, plans, 2, mbps, profile)
    assert front.objectives == (("latency", "energy", "compression") if metered else ("latency", "compression"))
    assert {choice.plan for choice in front.choices} == set(plans)
    assert [choice.latency_s for choice in front.choices] == sorted(choice.latency_s for choice in front.choices)
    rows = np.array(
        [[choice.latency_s, choice.all_boards_j or 0.0, choice.compression_rate] for choice in front.choices]
    )
    for index, choice in enumerate(front.choices):
        beaten = any(dominates(other, rows[index]) for other in rows)
        assert choice.on_front == (not beaten) == (choice.beaten_by is None)
