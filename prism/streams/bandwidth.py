"""A bandwidth trace: how the link's rate changes over time. Steps between instants, 0 for an outage."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prism.errors import InputError
from prism.files import read_text, write_text
from prism.units import BANDWIDTH_MBPS

HEADER = "time_s,bandwidth_mbps"


@dataclass(frozen=True)
class BandwidthTrace:
    """Piecewise constant: entry i holds from `time_s[i]` to the next; the last one holds for ever.

    Attributes:
        time_s: rising, the first is 0.
        bandwidth_mbps: what the link is throttled to; 0 is an outage.
        name: what it is called in reports.
    """

    time_s: tuple[float, ...]
    bandwidth_mbps: tuple[float, ...]
    name: str = "trace"

    def __post_init__(self) -> None:
        problem = _problem(self.time_s, self.bandwidth_mbps)
        if problem is not None:
            entry, what = problem
            raise InputError(f"{self.name}, entry {entry + 1}: {what}")

    def at(self, time_s: float) -> float:
        """Mbps at a time; what it begins with before 0."""
        return self.bandwidth_mbps[max(bisect_right(self.time_s, time_s) - 1, 0)]

    def next_change_s(self, time_s: float) -> float:
        """When the bandwidth changes next after `time_s`; infinity if it does not."""
        index = bisect_right(self.time_s, time_s)
        return self.time_s[index] if index < len(self.time_s) else math.inf

    def since_s(self, time_s: float) -> float:
        """Since when the bandwidth has been what it is at a time."""
        return self.time_s[max(bisect_right(self.time_s, time_s) - 1, 0)]

    @property
    def digest(self) -> str:
        """Short for its times and bandwidths: two traces are the same if and only if theirs are equal."""
        return hashlib.sha256(repr([*map(float, (*self.time_s, *self.bandwidth_mbps))]).encode()).hexdigest()[:12]

    def pieces(self) -> Iterator[tuple[float, float, float]]:
        """Begin, end and Mbps of each entry; the last one ends at infinity."""
        ends = (*self.time_s[1:], math.inf)
        yield from zip(self.time_s, ends, self.bandwidth_mbps, strict=True)


def _problem(times: tuple[float, ...], rates: tuple[float, ...]) -> tuple[int, str] | None:
    """The first entry that is wrong, counted from 0, and what to do about it."""
    if not times or len(times) != len(rates):
        return 0, f"{len(times)} times and {len(rates)} bandwidths; give one bandwidth a time, at least one"
    if times[0] != 0:
        return 0, f"a trace begins at time_s = 0, not {times[0]:g}; shift its times"
    low, high = BANDWIDTH_MBPS
    for index, (time_s, mbps) in enumerate(zip(times, rates, strict=True)):
        if not math.isfinite(time_s) or (index and time_s <= times[index - 1]):
            return index, f"time_s = {time_s:g} does not come after the one before; times must rise"
        if mbps != 0 and not low <= mbps <= high:
            return index, f"bandwidth_mbps = {mbps:g} must be 0 (an outage) or lie between {low:g} and {high:g}"
    return None


def read_trace(path: Path) -> BandwidthTrace:
    """The trace in a CSV file with the columns ``time_s,bandwidth_mbps``.

    Raises:
        InputError: names file and line of the first thing that is wrong.
    """
    lines = [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines or lines[0][1].replace(" ", "") != HEADER:
        raise InputError(f"{path}: a bandwidth trace begins with the line {HEADER!r}")
    rows = [(number, *_row(f"{path}:{number}", line)) for number, line in lines[1:]]
    if not rows:
        raise InputError(f"{path}: holds no bandwidths")
    times, rates = tuple(row[1] for row in rows), tuple(row[2] for row in rows)
    problem = _problem(times, rates)
    if problem is not None:
        raise InputError(f"{path}:{rows[problem[0]][0]}: {problem[1]}")
    return BandwidthTrace(times, rates, path.stem)


def _row(where: str, line: str) -> tuple[float, float]:
    try:
        time_s, mbps = line.split(",")
        return float(time_s), float(mbps)
    except ValueError:
        raise InputError(f"{where}: {line!r} is not a time and a bandwidth; write for example 12.5,400") from None


def write_trace(path: Path, trace: BandwidthTrace) -> None:
    """Write the trace as CSV, whole or not at all."""
    rows = zip(trace.time_s, trace.bandwidth_mbps, strict=True)
    write_text(path, "\n".join([HEADER, *(f"{time_s!r},{mbps!r}" for time_s, mbps in rows)]) + "\n")
