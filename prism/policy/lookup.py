"""Answers of a performance map: knots made once, then pure Python, since a decision may take 100 us on a board."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prism.policy.interpolate import MonotoneCurve, Polyline, non_decreasing

if TYPE_CHECKING:
    from prism.policy.performance_map import Curve


@dataclass(frozen=True)
class Prediction:
    """What a pass is expected to cost.

    Attributes:
        total_s: seconds.
        spread_s: median absolute deviation of single passes, in seconds; None where the map cannot tell.
        terminal_j, all_boards_j: joules of a pass; None where none was measured.
        extrapolated: each way in which it was not measured; empty inside of what was.
    """

    total_s: float
    spread_s: float | None
    terminal_j: float | None
    all_boards_j: float | None
    extrapolated: tuple[str, ...] = ()


class PlanCurves:
    """All batch sizes of one plan. Time is taken to be affine in the batch between two that were measured.

    That is what a fixed cost and one that grows with the work give; the published tables follow it.
    """

    def __init__(self, curves: Sequence[Curve]) -> None:
        """Take the curves of one plan, at least one, each at another batch size."""
        ordered = sorted(curves, key=lambda curve: curve.batch)
        self._batches = [curve.batch for curve in ordered]
        self._at = [BatchCurve(curve) for curve in ordered]
        first, last = self._batches[0], self._batches[-1]
        self._range = f"{first}" if first == last else f"{first} to {last}"

    def predict(self, batch: int, bandwidth_mbps: float) -> Prediction:
        batches = self._batches
        index = bisect_left(batches, batch)
        if index < len(batches) and batches[index] == batch:
            return self._at[index].predict(bandwidth_mbps)
        if 0 < index < len(batches):
            low, high = batches[index - 1], batches[index]
            share = (batch - low) / (high - low)
            below, above = self._at[index - 1].predict(bandwidth_mbps), self._at[index].predict(bandwidth_mbps)
            return _between(below, above, share, above.total_s, below.total_s)
        return self._outside(batch, bandwidth_mbps)

    def _outside(self, batch: int, bandwidth_mbps: float) -> Prediction:
        """On along the line through the two nearest batch sizes, between doing nothing more and all the more.

        A pass of k times the batch takes at least as long and at most k times as long.
        """
        batches = self._batches
        near, far = (0, 1) if batch < batches[0] else (-1, -2)
        edge = self._at[near].predict(bandwidth_mbps)
        times = batch / batches[near]
        limits = edge.total_s, edge.total_s * times
        note = f"batch {batch} (measured: {self._range})"
        if len(batches) == 1:
            # The cautious one of the two limits: the same time for less work, time a sample for more.
            guess = Prediction(max(limits), edge.spread_s, edge.terminal_j, edge.all_boards_j, edge.extrapolated)
            return _noted(guess, note)
        inner = self._at[far].predict(bandwidth_mbps)
        share = (batch - batches[near]) / (batches[far] - batches[near])
        return _noted(_between(edge, inner, share, *limits), note)


class BatchCurve:
    """One plan at one batch size, over bandwidth."""

    def __init__(self, curve: Curve) -> None:
        # Falling bandwidth is rising 1 / bandwidth. Time that falls with it is noise: a slower network helps nobody.
        order = range(len(curve.total_s))[::-1]
        self._local = not curve.bandwidth_mbps
        x = [0.0] if self._local else [1 / curve.bandwidth_mbps[i] for i in order]
        self._total = MonotoneCurve(
            x, non_decreasing([curve.total_s[i] for i in order], [curve.runs[i] for i in order])
        )
        self._spread = _known(x, [curve.spread_s[i] for i in order])
        self._terminal = _known(x, [curve.terminal_j[i] for i in order])
        self._all = _known(x, [curve.all_boards_j[i] for i in order])
        self._x = x
        self._notes = [curve.extrapolated[i] for i in order]
        self._noted = any(self._notes)
        low, high = (curve.bandwidth_mbps[0], curve.bandwidth_mbps[-1]) if not self._local else (0.0, 0.0)
        self._low_mbps, self._high_mbps = low, high
        self._range = f"{low:g}" if low == high else f"{low:g} to {high:g}"

    def predict(self, bandwidth_mbps: float) -> Prediction:
        x = 1 / bandwidth_mbps
        notes: tuple[str, ...] = ()
        if self._noted:
            notes = self._notes_at(x)
        if not self._local and not self._low_mbps <= bandwidth_mbps <= self._high_mbps:
            notes = (*notes, f"bandwidth {bandwidth_mbps:g} Mbps (measured: {self._range})")
        return Prediction(
            self._total.at(x),
            None if self._spread is None else self._spread.at(x),
            None if self._terminal is None else self._terminal.at(x),
            None if self._all is None else self._all.at(x),
            notes,
        )

    def _notes_at(self, x: float) -> tuple[str, ...]:
        """Those of the point at `x`, or of both that it lies between."""
        right = min(bisect_left(self._x, x), len(self._x) - 1)
        left = right if x >= self._x[right] else max(right - 1, 0)
        return tuple(dict.fromkeys((*self._notes[left], *self._notes[right])))


def _known(x: Sequence[float], values: Sequence[float | None]) -> Polyline | None:
    """A line through the values that there are."""
    pairs = [(at, value) for at, value in zip(x, values, strict=True) if value is not None]
    return Polyline(*zip(*pairs, strict=True)) if pairs else None


def _between(low: Prediction, high: Prediction, share: float, limit: float, other_limit: float) -> Prediction:
    """`share` of the way from `low` to `high`, beyond them too, with the time between two limits in either order."""
    total = low.total_s + (high.total_s - low.total_s) * share
    inside = min(max(share, 0.0), 1.0)
    return Prediction(
        min(max(total, min(limit, other_limit)), max(limit, other_limit)),
        _part(low.spread_s, high.spread_s, inside),
        _part(low.terminal_j, high.terminal_j, share),
        _part(low.all_boards_j, high.all_boards_j, share),
        tuple(dict.fromkeys((*low.extrapolated, *high.extrapolated))),
    )


def _part(low: float | None, high: float | None, share: float) -> float | None:
    return None if low is None or high is None else max(low + (high - low) * share, 0.0)


def _noted(prediction: Prediction, note: str) -> Prediction:
    return Prediction(
        prediction.total_s,
        prediction.spread_s,
        prediction.terminal_j,
        prediction.all_boards_j,
        (*prediction.extrapolated, note),
    )
