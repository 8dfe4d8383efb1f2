"""Energy of an interval from readings at irregular times, and how far it may be off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hw.power.meter import Reading

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class IntervalEnergy:
    """Joules over an interval.

    Attributes:
        uncertainty_j: one standard deviation, of sampling alone; the sensor's own error comes on top.
        samples: readings inside the interval.
        longest_gap_s: longest time without a reading.
    """

    energy_j: float
    uncertainty_j: float
    samples: int
    longest_gap_s: float
    rails_j: dict[str, float] = field(default_factory=dict)


def integrate(readings: Sequence[Reading], start_s: float, end_s: float) -> IntervalEnergy | None:
    """Energy from `start_s` to `end_s`, or None where the readings (in order of time) do not enclose the interval.

    Power is joined by straight lines (trapezoids). Its uncertainty has two parts. Inside, each gap d between samples
    adds (q d)^2 with q^2 half the mean squared difference of neighbouring samples: right for a load that changes
    faster than it is sampled, too large (by up to 2.4 times) for one whose steps are seen. At either edge the power
    may have stepped anywhere between the two samples around it. A counter's energy is interpolated at the edges: what
    was used in the gap around an edge may have been used at any time in it.
    """
    times_s = np.array([reading.time_s for reading in readings])
    if end_s <= start_s or len(times_s) < 2 or times_s[0] > start_s or times_s[-1] < end_s:
        return None
    first = int(np.searchsorted(times_s, start_s, side="right")) - 1
    last = int(np.searchsorted(times_s, end_s, side="left"))
    used = readings[first : last + 1]
    around_s = times_s[first : last + 1]
    samples = int(((around_s >= start_s) & (around_s <= end_s)).sum())
    longest_gap_s = float(np.diff(around_s).max())
    counted = [reading.energy_j for reading in used if reading.energy_j is not None]
    if len(counted) == len(used):
        energy_j, uncertainty_j = _count(around_s, np.array(counted), start_s, end_s)
        return IntervalEnergy(energy_j, uncertainty_j, samples, longest_gap_s)
    powers_w = np.array([reading.power_w for reading in used], dtype=float)
    knots_s = np.array([start_s, *around_s[(around_s > start_s) & (around_s < end_s)], end_s])
    rails_j = {
        rail: _trapezoids(knots_s, around_s, np.array([reading.rails_w[rail] for reading in used]))
        for rail in used[0].rails_w
        if all(rail in reading.rails_w for reading in used)
    }
    uncertainty_j = (_inside(around_s, powers_w) + _edges(around_s, powers_w)) ** 0.5
    return IntervalEnergy(_trapezoids(knots_s, around_s, powers_w), uncertainty_j, samples, longest_gap_s, rails_j)


def _trapezoids(knots_s: Array, times_s: Array, values: Array) -> float:
    at_knots = np.interp(knots_s, times_s, values)
    return float((np.diff(knots_s) * (at_knots[1:] + at_knots[:-1])).sum() / 2)


def _inside(times_s: Array, powers_w: Array) -> float:
    """Variance in J^2 of what happened between the samples."""
    return float((np.diff(powers_w) ** 2).mean() / 2 * (np.diff(times_s) ** 2).sum())


def _edges(times_s: Array, powers_w: Array) -> float:
    """Variance in J^2 of a step of power at an unknown, uniformly distributed time in the first and the last gap."""
    steps_j = np.diff(powers_w) * np.diff(times_s)
    return float(steps_j[0] ** 2 + steps_j[-1] ** 2) / 12


def _count(times_s: Array, energies_j: Array, start_s: float, end_s: float) -> tuple[float, float]:
    at_start_j, at_end_j = np.interp([start_s, end_s], times_s, energies_j)
    gaps_j = np.diff(energies_j)
    return float(at_end_j - at_start_j), float((gaps_j[0] ** 2 + gaps_j[-1] ** 2) / 12) ** 0.5
