"""What the exchanges of a pass say of the link: the bandwidth at which the map has them take as long as they did."""

from __future__ import annotations

import math
from bisect import bisect_left

from prism.plan import Plan
from prism.policy.interpolate import MonotoneCurve, non_decreasing
from prism.policy.performance_map import Curve, PerformanceMap
from prism.units import BANDWIDTH_MBPS

#: Relative step over which the sensitivity to bandwidth is taken.
STEP = 1.1
#: Where communication hardly depends on bandwidth, it says nothing: its noise counts this many times at most.
LEAST_SENSITIVITY = 0.1
#: Curves that are kept.
MOST_CURVES = 4096


class Exchanges:
    """Communication time of every plan by batch and bandwidth, read backwards.

    The time counts latency, waiting, and everything else that an exchange is on this system: so does the map's, and
    what is the same in both falls out. Where the map has one bandwidth, time goes with 1 / bandwidth.

    Attributes:
        single: the one bandwidth of each plan that was measured at no other.
    """

    def __init__(self, table: PerformanceMap) -> None:
        self._table = table
        self._curves: dict[tuple[Plan, int], MonotoneCurve] = {}
        known: dict[Plan, set[float]] = {}
        for curve in table.curves:
            known.setdefault(curve.plan, set()).update(curve.bandwidth_mbps)
        self.single = {plan: next(iter(rates)) for plan, rates in known.items() if len(rates) == 1}

    def bandwidth_mbps(self, plan: Plan, batch: int, communication_s: float) -> tuple[float, float] | None:
        """The bandwidth that explains the communication time of a pass, and how many times its noise counts.

        None where it says nothing: the plan has no communication.
        """
        curve = self._curve(plan, batch)
        if curve is None or communication_s <= 0:
            return None
        x = _inverse(curve, communication_s)
        mbps = min(max(1 / x, BANDWIDTH_MBPS[0]), BANDWIDTH_MBPS[1])
        slower, faster = curve.at(x * STEP), curve.at(x / STEP)
        sensitivity = math.log(slower / faster) / (2 * math.log(STEP))
        return mbps, 1 / max(sensitivity, LEAST_SENSITIVITY)

    def beyond_s(self, plan: Plan, batch: int, mbps: float) -> float:
        """Seconds to add to the map's time where it holds one bandwidth of the plan; 0 where it holds more.

        With one, the map answers the same whatever the bandwidth; communication, at least, is not the same.
        """
        measured = self.single.get(plan)
        if measured is None:
            return 0.0
        curve = self._curve(plan, batch)
        return 0.0 if curve is None else curve.at(1 / mbps) - curve.at(1 / measured)

    def _curve(self, plan: Plan, batch: int) -> MonotoneCurve | None:
        key = plan, batch
        if key not in self._curves:
            curves = sorted(
                (curve for curve in self._table.curves if curve.plan == plan), key=lambda curve: curve.batch
            )
            if not curves or not curves[0].bandwidth_mbps:
                return None
            if len(self._curves) >= MOST_CURVES:
                self._curves.clear()
            self._curves[key] = _at_batch(curves, batch)
        return self._curves[key]


def _at_batch(curves: list[Curve], batch: int) -> MonotoneCurve:
    """Communication at a batch size over 1 / bandwidth: between two that were measured, or in proportion."""
    batches = [curve.batch for curve in curves]
    index = bisect_left(batches, batch)
    if index < len(batches) and batches[index] == batch:
        return _over_slowness(curves[index], 1.0)
    if index in (0, len(batches)):
        near = curves[min(index, len(batches) - 1)]
        return _over_slowness(near, batch / near.batch)
    low, high = curves[index - 1], curves[index]
    share = (batch - low.batch) / (high.batch - low.batch)
    below, above = _over_slowness(low, 1.0), _over_slowness(high, 1.0)
    x = sorted({*below.x, *above.x})
    return MonotoneCurve(x, [below.at(at) * (1 - share) + above.at(at) * share for at in x])


def _over_slowness(curve: Curve, times: float) -> MonotoneCurve:
    x = [1 / mbps for mbps in reversed(curve.bandwidth_mbps)]
    y = [max(seconds, 1e-9) * times for seconds in reversed(curve.communication_s)]
    y = list(non_decreasing(y, list(reversed(curve.runs))))
    if len(x) == 1:  # one bandwidth: half of it would take twice the time
        return MonotoneCurve([0.5 * x[0], x[0]], [0.5 * y[0], y[0]])
    return MonotoneCurve(x, y)


def _inverse(curve: MonotoneCurve, y: float) -> float:
    """Where the curve reaches `y`: its least x below, and on along its last slope above."""
    xs, ys = curve.x, curve.y
    if y <= ys[0]:
        return xs[0]
    low, high = xs[0], xs[-1]
    if y >= ys[-1]:
        rise = curve.at(2 * high) - ys[-1]
        return high * (1 + (y - ys[-1]) / rise) if rise > 0 else high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if curve.at(middle) < y else (low, middle)
    return high
