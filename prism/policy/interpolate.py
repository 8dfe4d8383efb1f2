"""Between measured bandwidths: monotone curves in pure Python, made once and then read in about a microsecond.

Everything is over x = 1 / bandwidth. A pass takes a + c / bandwidth where the air is shared by nothing else, which is a
straight line over x; a curve that follows monotone points without overshoot takes care of what is not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise


def non_decreasing(values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """The non-decreasing sequence nearest to `values` by weighted least squares.

    Pool adjacent violators (Barlow et al. 1972, *Statistical Inference under Order Restrictions*): neighbours that are
    in the wrong order are replaced by their weighted mean until none is.
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, total, count = float(value), float(weight), 1
        while pools and pools[-1][0] > mean:
            before, its_weight, its_count = pools.pop()
            total += its_weight
            # Written so that it lies between the two whatever the rounding.
            mean, count = before + (mean - before) * (1 - its_weight / total), count + its_count
        pools.append((mean, total, count))
    return tuple(mean for mean, _, count in pools for _ in range(count))


class MonotoneCurve:
    """A curve through non-decreasing points: cubic between them, never outside of its two neighbours.

    Piecewise cubic Hermite with the slopes of Fritsch and Butland (1984, SIAM J. Sci. Stat. Comput. 5(2)), which is
    what `scipy.interpolate.PchipInterpolator` computes; a test holds the two equal.

    Left of its points it keeps the first value, right of them it goes on straight with the slope of the last two. Over
    x = 1 / bandwidth both are the cautious side: no faster than was ever measured, ever slower as bandwidth goes to 0.
    """

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Make the curve.

        Args:
            x: strictly increasing, at least one.
            y: non-decreasing, as many.
        """
        self.x = tuple(x)
        self.y = tuple(y)
        self._slopes = _slopes(self.x, self.y)
        steps = len(self.x) - 1
        self._beyond = (self.y[-1] - self.y[-2]) / (self.x[-1] - self.x[-2]) if steps else 0.0

    def at(self, x: float) -> float:
        """The curve's value at `x`."""
        xs, ys = self.x, self.y
        if x <= xs[0]:
            return ys[0]
        if x >= xs[-1]:
            return ys[-1] + (x - xs[-1]) * self._beyond
        index = bisect_right(xs, x)
        left, right = ys[index - 1], ys[index]
        width = xs[index] - xs[index - 1]
        u = (x - xs[index - 1]) / width
        v = 1 - u
        bend = u * v * width * (v * self._slopes[index - 1] - u * self._slopes[index])
        value = left + (right - left) * u * u * (3 - 2 * u) + bend
        # Rounding alone could leave the two neighbours' range.
        return min(max(value, left), right)


class Polyline:
    """Straight lines between points, level outside of them. For what need not be monotone: energy, spread."""

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        self._x = tuple(x)
        self._y = tuple(y)

    def at(self, x: float) -> float:
        """The value at `x`."""
        xs, ys = self._x, self._y
        if x <= xs[0]:
            return ys[0]
        if x >= xs[-1]:
            return ys[-1]
        index = bisect_right(xs, x)
        u = (x - xs[index - 1]) / (xs[index] - xs[index - 1])
        return ys[index - 1] + (ys[index] - ys[index - 1]) * u


def _slopes(x: Sequence[float], y: Sequence[float]) -> tuple[float, ...]:
    widths = [right - left for left, right in pairwise(x)]
    chords = [(high - low) / width for (low, high), width in zip(pairwise(y), widths, strict=True)]
    if len(chords) < 2:
        return (chords[0],) * 2 if chords else (0.0,)
    inner = [_inner(*widths[k - 1 : k + 1], *chords[k - 1 : k + 1]) for k in range(1, len(chords))]
    return (_end(*widths[:2], *chords[:2]), *inner, _end(*widths[:-3:-1], *chords[:-3:-1]))


def _inner(width_left: float, width_right: float, left: float, right: float) -> float:
    """Weighted harmonic mean of the two chords; 0 where one is level, so that the curve cannot overshoot."""
    if left <= 0 or right <= 0:
        return 0.0
    heavy_right, heavy_left = 2 * width_right + width_left, width_right + 2 * width_left
    return (heavy_right + heavy_left) / (heavy_right / left + heavy_left / right)


def _end(width: float, width_next: float, chord: float, chord_next: float) -> float:
    """The three-point slope at an end, kept within what stays monotone: 0 to three times its chord."""
    slope = ((2 * width + width_next) * chord - width * chord_next) / (width + width_next)
    if slope <= 0 or chord <= 0:
        return 0.0
    return min(slope, 3 * chord) if chord_next <= 0 else slope
