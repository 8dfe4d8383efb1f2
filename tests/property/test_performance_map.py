"""Invariants of the performance map, whatever was measured."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from prism.files import parse_json
from prism.plan import Plan
from prism.policy.build_map import build_map
from prism.policy.interpolate import MonotoneCurve, non_decreasing
from prism.policy.performance_map import PerformanceMap, map_json
from prism.record import Measurement, RankTimes

SPLIT = Plan("segment_means", 2, 10)
NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
times = st.floats(1e-4, 1e3)
bandwidths = st.floats(1.0, 10_000.0)
points = st.lists(st.tuples(st.integers(1, 64), bandwidths, times), min_size=1, max_size=12)


def map_of(values: list[tuple[int, float, float]]) -> PerformanceMap:
    runs = [
        Measurement("measured", "vit_base_patch16_224", batch, mbps, SPLIT, total_s, (RankTimes(total_s, 0, 0, 0),))
        for batch, mbps, total_s in values
    ]
    return build_map(runs, {"board": "x"}, NOON)


@given(points, st.integers(1, 100), bandwidths, bandwidths)
def test_time_never_rises_with_bandwidth_and_is_never_nothing(
    values: list[tuple[int, float, float]], batch: int, one: float, other: float
) -> None:
    table = map_of(values)
    slow, fast = (table.predict(SPLIT, batch, mbps).total_s for mbps in sorted((one, other)))
    inside = min(table.batches) <= batch <= max(table.batches)
    # Outside of the measured batches a line through two curves may tilt; between two it cannot.
    assert not inside or fast <= slow * (1 + 1e-9)
    assert 0 < fast < math.inf


@given(points)
def test_predictions_lie_within_what_was_measured_at_their_batch(values: list[tuple[int, float, float]]) -> None:
    table = map_of(values)
    for curve in table.curves:
        for mbps in curve.bandwidth_mbps:
            got = table.predict(SPLIT, curve.batch, mbps)
            assert min(curve.total_s) * (1 - 1e-12) <= got.total_s <= max(curve.total_s) * (1 + 1e-12)
            assert got.extrapolated == ()


@given(points, st.randoms(use_true_random=False))
def test_the_order_of_runs_is_of_no_matter_and_a_map_comes_back_as_it_was(
    values: list[tuple[int, float, float]], random: object
) -> None:
    table = map_of(values)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert map_of(shuffled) == table
    assert parse_json(PerformanceMap, map_json(table), "here") == table


@given(st.lists(st.tuples(times, st.integers(1, 50)), min_size=1, max_size=12))
def test_levelling_is_monotone_keeps_the_weighted_mean_and_leaves_monotone_values_alone(
    pairs: list[tuple[float, int]],
) -> None:
    values, weights = zip(*pairs, strict=True)
    level = non_decreasing(values, weights)
    assert all(left <= right for left, right in pairwise(level))
    assert math.fsum(a * w for a, w in zip(level, weights, strict=True)) == pytest.approx(
        math.fsum(a * w for a, w in zip(values, weights, strict=True))
    )
    assert non_decreasing(sorted(values), weights) == tuple(sorted(values))
    assert non_decreasing(level, weights) == level


@given(st.lists(st.tuples(st.floats(0.01, 10.0), st.just(0.0) | st.floats(1e-3, 10.0)), min_size=2, max_size=9))
def test_the_curve_is_scipys(steps: list[tuple[float, float]]) -> None:
    x, y = [0.0], [1.0]
    for width, rise in steps:
        x.append(x[-1] + width)
        y.append(y[-1] + rise)
    curve, other = MonotoneCurve(x, y), PchipInterpolator(x, y)
    for k in range(41):
        at = x[-1] * k / 40
        assert curve.at(at) == pytest.approx(float(other(at)), rel=1e-9, abs=1e-9)
