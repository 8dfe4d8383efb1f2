"""Bandwidth traces by name and seed. All are made up; none is a recording of a radio."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prism.errors import InputError, unknown
from prism.streams.bandwidth import BandwidthTrace, read_trace
from prism.units import BANDWIDTH_MBPS, check_range

if TYPE_CHECKING:
    from numpy.random import Generator

#: How often a bandwidth that moves gradually is set anew.
RESOLUTION_S = 1.0


@dataclass(frozen=True)
class Span:
    """What a made-up trace covers.

    Attributes:
        duration_s: how long it goes on; its last bandwidth holds for ever.
        low_mbps, high_mbps: a poor and a good link.
        dwell_s: how long it stays as it is, on average.
    """

    duration_s: float = 240.0
    low_mbps: float = 25.0
    high_mbps: float = 400.0
    dwell_s: float = 40.0

    def __post_init__(self) -> None:
        check_range("duration_s", self.duration_s, 1, 1e6)
        check_range("dwell_s", self.dwell_s, 0.1, 1e6)
        check_range("low_mbps", self.low_mbps, *BANDWIDTH_MBPS)
        check_range("high_mbps", self.high_mbps, self.low_mbps, BANDWIDTH_MBPS[1])


def steps(rng: Generator, span: Span) -> BandwidthTrace:
    """Between poor and good in steps; each stays between half and one and a half times the mean."""
    times, rates = [], []
    time_s, good = 0.0, bool(rng.integers(2))
    while time_s < span.duration_s:
        times.append(time_s)
        rates.append(_around(rng, span.high_mbps if good else span.low_mbps, 0.15))
        time_s += span.dwell_s * float(rng.uniform(0.5, 1.5))
        good = not good
    return BandwidthTrace(tuple(times), tuple(rates), "steps")


def ramps(rng: Generator, span: Span) -> BandwidthTrace:
    """Gradually from poor to good and back, geometrically, as when walking away and coming back."""
    legs = max(2, round(span.duration_s / span.dwell_s))
    turns = [_around(rng, span.high_mbps if leg % 2 else span.low_mbps, 0.15) for leg in range(legs + 1)]
    if rng.integers(2):
        turns.reverse()
    times = [index * RESOLUTION_S for index in range(int(span.duration_s / RESOLUTION_S))]
    rates = []
    for time_s in times:
        leg, share = divmod(time_s * legs / span.duration_s, 1.0)
        low, high = turns[int(leg)], turns[int(leg) + 1]
        rates.append(low * (high / low) ** share)
    return BandwidthTrace(tuple(times), tuple(rates), "ramps")


def fades(rng: Generator, span: Span) -> BandwidthTrace:
    """A Markov chain of four states, poor to good: to a neighbour each time, after a memoryless stay."""
    levels = [span.low_mbps * (span.high_mbps / span.low_mbps) ** (level / 3) for level in range(4)]
    level = int(rng.integers(4))
    times, rates, time_s = [], [], 0.0
    while time_s < span.duration_s:
        times.append(time_s)
        rates.append(levels[level])
        time_s += max(RESOLUTION_S, float(rng.exponential(span.dwell_s / 2)))
        up = level == 0 or (level < 3 and bool(rng.integers(2)))
        level += 1 if up else -1
    return BandwidthTrace(tuple(times), tuple(rates), "fades")


def outages(rng: Generator, span: Span) -> BandwidthTrace:
    """A good link that is gone now and then, for a tenth to a half of the mean stay."""
    good_mbps = _around(rng, span.high_mbps, 0.15)
    times, rates, time_s = [0.0], [good_mbps], 0.0
    while True:
        time_s += max(1.0, float(rng.uniform(0.5, 1.5)) * span.dwell_s)
        gone_s = float(rng.uniform(0.1, 0.5)) * span.dwell_s
        if time_s + gone_s >= span.duration_s:
            return BandwidthTrace(tuple(times), tuple(rates), "outages")
        times += [time_s, time_s + gone_s]
        rates += [0.0, good_mbps]
        time_s += gone_s


def walk(rng: Generator, span: Span) -> BandwidthTrace:
    """A random walk of the logarithm between poor and good, drawn back to their middle: a stand-in for records."""
    low, high = math.log(span.low_mbps), math.log(span.high_mbps)
    middle, pull = (low + high) / 2, RESOLUTION_S / span.dwell_s
    spread = (high - low) / 3 * math.sqrt(2 * pull)
    times = [index * RESOLUTION_S for index in range(int(span.duration_s / RESOLUTION_S))]
    rates, value = [], float(rng.uniform(low, high))
    for _ in times:
        rates.append(math.exp(value))
        value += pull * (middle - value) + spread * float(rng.standard_normal())
        value = min(max(value, low), high)
    return BandwidthTrace(tuple(times), tuple(rates), "walk")


def steady(mbps: float) -> BandwidthTrace:
    """One rate for ever."""
    return BandwidthTrace((0.0,), (mbps,), f"steady {mbps:g} Mbps")


KINDS: dict[str, Callable[[Generator, Span], BandwidthTrace]] = {
    "steps": steps,
    "ramps": ramps,
    "fades": fades,
    "outages": outages,
    "walk": walk,
}


def _around(rng: Generator, mbps: float, spread: float) -> float:
    return mbps * math.exp(float(rng.uniform(-spread, spread)))


def trace_of(text: str, span: Span | None = None) -> BandwidthTrace:
    """A trace as a person names it: ``steady:400``, ``phases:400,50,200:60``, ``fades:7``, or a file.

    Args:
        text: ``steady:MBPS``, ``phases:MBPS,...:SECONDS``, ``KIND:SEED`` or the path of a CSV file.
        span: of the kinds with a seed.

    Raises:
        InputError: no such kind, no number where one belongs, or a file that cannot be used.
    """
    kind, _, rest = text.partition(":")
    if kind == "steady":
        return steady(_number(text, rest))
    if kind == "phases":
        return _phases(text, *rest.partition(":")[::2])
    if kind in KINDS:
        import numpy as np

        seed = _number(text, rest)
        check_range("seed", seed, 0, 2**63)
        made = KINDS[kind](np.random.default_rng(int(seed)), span or Span())
        return BandwidthTrace(made.time_s, made.bandwidth_mbps, text)
    if not Path(text).exists() and not text.endswith(".csv"):
        raise unknown("trace", kind, ["steady", "phases", *KINDS], "trace") from None
    return read_trace(Path(text))


def _phases(text: str, rates: str, seconds: str) -> BandwidthTrace:
    each_s = _number(text, seconds)
    check_range("seconds of a phase", each_s, 0.01, 1e6)
    values = tuple(_number(text, rate) for rate in rates.split(","))
    return BandwidthTrace(tuple(each_s * index for index in range(len(values))), values, text)


def _number(text: str, part: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise InputError(
            f"trace {text!r}: {part!r} is no number; write for example steady:400, phases:400,50,200:60 or fades:7"
        ) from None
