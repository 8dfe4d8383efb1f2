"""Every root of a function between two positive bounds: brackets by a scan, each root solved for within its bracket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from sim.twin.scenarios import Floats

#: How exact a root is, relative, and one of many draws.
TOLERANCE = 1e-9
DRAW_TOLERANCE = 1e-6

#: The function's values at an array of points.
Values = Callable[[Floats], Floats]
#: The same, each point with the row that it is asked of: both of the shape (points,).
RowValues = Callable[[Floats, NDArray[np.intp]], Floats]


@dataclass(frozen=True)
class Root:
    """Where a function changes its sign: to positive from there on (`rises`), or to negative."""

    x: float
    rises: bool


@dataclass(frozen=True)
class Roots:
    """All roots that a scan brackets.

    Attributes:
        found: from the least to the greatest.
        begins: whether the function is positive at the lower bound; 0 counts as positive.
        ends: likewise at the upper bound.
        monotone: +1 where the scan never falls, -1 where it never rises, 0 where it does both. A function that is
            monotone has no roots that the scan does not see; another may have pairs of them between two points.
    """

    found: tuple[Root, ...]
    begins: bool
    ends: bool
    monotone: Literal[-1, 0, 1]


def scan_points(low: float, high: float, points: int) -> Floats:
    """Points in geometric steps from `low` to `high`, both included to the bit."""
    return np.array([low, *np.geomspace(low, high, points)[1:-1], high])


def all_roots(values: Values, points: Floats) -> Roots:
    """Roots of a function by Brent's method (scipy's `brentq`) between each two of `points` where its sign changes.

    Args:
        values: finite at every point between the first and the last.
        points: positive and rising, at least two.
    """
    scanned = values(points)
    positive = scanned >= 0
    found = []
    for index in np.flatnonzero(positive[1:] != positive[:-1]).tolist():
        x = _solve(values, float(points[index]), float(points[index + 1]))
        found.append(Root(x, bool(positive[index + 1])))
    steps = np.diff(scanned)
    noise = 1e-12 * float(np.abs(scanned).max())
    monotone: Literal[-1, 0, 1] = 1 if (steps >= -noise).all() else -1 if (steps <= noise).all() else 0
    return Roots(tuple(found), bool(positive[0]), bool(positive[-1]), monotone)


def _solve(values: Values, low: float, high: float) -> float:
    """In logarithms, since bandwidths lie decades apart: x = low (high / low)^t, with both bounds to the bit."""

    def x_at(t: float) -> float:
        return low if t <= 0 else high if t >= 1 else float(low * (high / low) ** t)

    def value(t: float) -> float:
        return float(values(np.array([x_at(t)]))[0])

    return x_at(brentq(value, 0.0, 1.0, xtol=TOLERANCE))


@dataclass(frozen=True, eq=False)
class RowRoots:
    """The first root of each of many functions.

    Attributes:
        x: where it first rises to positive, shape (rows,); 0 where it is positive at the lower bound already, infinity
            where it is at none of the points.
        several: whether the scan sees more than one change of sign.
    """

    x: Floats
    several: NDArray[np.bool_]


def first_rises(values: RowValues, rows: int, points: Floats) -> RowRoots:
    """The first root of each row's function, all rows at once.

    Bisection, since `brentq` takes one function at a time and the twin answers thousands of passes in one call.
    """
    row, point = np.divmod(np.arange(rows * len(points)), len(points))
    positive = (values(points[point], row) >= 0).reshape(rows, len(points))
    changes = (positive[:, 1:] != positive[:, :-1]).sum(axis=1)
    first = positive.argmax(axis=1)
    x = np.where(positive.any(axis=1), 0.0, np.inf)
    inner = np.flatnonzero(positive.any(axis=1) & (first > 0))
    if len(inner):
        x[inner] = _bisect(values, inner, points[first[inner] - 1], points[first[inner]])
    return RowRoots(x, changes > 1)


def _bisect(values: RowValues, rows: NDArray[np.intp], low: Floats, high: Floats) -> Floats:
    """Between `low`, where a row's function is negative, and `high`, where it is not."""
    while float((high / low).max()) > 1 + DRAW_TOLERANCE:
        middle = np.sqrt(low * high)
        positive = values(middle, rows) >= 0
        low, high = np.where(positive, low, middle), np.where(positive, middle, high)
    return high
