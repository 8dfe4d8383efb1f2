"""Every root that a scan brackets, to the precision asked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.answers.roots import all_roots, first_rises, scan_points

Floats = NDArray[np.float64]
POINTS = scan_points(1.0, 1e4, 121)


def test_several_roots_are_all_found_and_named_by_their_direction() -> None:
    def values(x: Floats) -> Floats:
        return (x - 2.5) * (x - 30) * (x - 5000)

    roots = all_roots(values, POINTS)
    assert [root.x for root in roots.found] == pytest.approx([2.5, 30, 5000], rel=1e-8)
    assert [root.rises for root in roots.found] == [True, False, True]
    assert (roots.begins, roots.ends, roots.monotone) == (False, True, 0)


@pytest.mark.parametrize(("sign", "monotone"), [(1.0, 1), (-1.0, -1)])
def test_one_root_of_a_monotone_function(sign: float, monotone: int) -> None:
    roots = all_roots(lambda x: sign * np.log(x / 123.0), POINTS)
    assert [root.x for root in roots.found] == pytest.approx([123.0], rel=1e-8)
    assert roots.monotone == monotone


def test_a_root_on_a_bound_counts_as_positive_there() -> None:
    assert all_roots(lambda x: x - 1.0, POINTS).begins
    never = all_roots(lambda x: x - 2e4, POINTS)
    assert not never.found
    assert not never.ends


def test_scan_points_include_both_bounds_to_the_bit() -> None:
    points = scan_points(0.3, 777.7, 50)
    assert (points[0], points[-1]) == (0.3, 777.7)
    assert (np.diff(points) > 0).all()


def test_rows_are_solved_at_once() -> None:
    where = np.array([3.0, 4321.0, 0.5, 2e4, 77.0])

    def values(x: Floats, row: NDArray[np.intp]) -> Floats:
        dip = np.where((row == 4) & (x > 1000), -1.0, 1.0)
        return np.where(dip < 0, -1.0, np.log(x / where[row]))

    found = first_rises(values, len(where), POINTS)
    assert found.x[[0, 1, 4]] == pytest.approx([3.0, 4321.0, 77.0], rel=2e-6)
    assert found.x[2] == 0
    assert np.isinf(found.x[3])
    assert found.several.tolist() == [False, False, False, False, True]
