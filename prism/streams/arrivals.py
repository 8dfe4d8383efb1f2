"""When samples arrive, and how those that wait are put together into batches."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prism.errors import InputError, unknown
from prism.files import read_text
from prism.schedule import MAX_BATCH
from prism.units import check_range

if TYPE_CHECKING:
    from numpy.random import Generator

MAX_ARRIVALS = 10_000_000


@dataclass(frozen=True)
class Batching:
    """How samples that wait become a batch.

    Attributes:
        limit: samples in a batch, at most.
        wait_s: how long the first of them waits for others, at most; 0 takes what is there.
    """

    limit: int = 8
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        check_range("batch limit", self.limit, 1, MAX_BATCH)
        check_range("wait_s", self.wait_s, 0, 3600)

    def take(self, arrivals: Sequence[float], first: int, free_s: float) -> tuple[float, int]:
        """When the next batch is ready, and how many samples it takes.

        Args:
            arrivals: times in seconds, in order.
            first: index of the first sample that waits.
            free_s: when the boards are free.
        """
        full_s = arrivals[first + self.limit - 1] if first + self.limit <= len(arrivals) else math.inf
        ready_s = max(free_s, min(arrivals[first] + self.wait_s, full_s))
        return ready_s, min(bisect_right(arrivals, ready_s) - first, self.limit)


def poisson(rng: Generator, rate_hz: float, count: int) -> tuple[float, ...]:
    """`count` samples at `rate_hz` a second, memoryless."""
    check_range("rate_hz", rate_hz, 1e-6, 1e6)
    check_range("count", count, 1, MAX_ARRIVALS)
    return tuple(rng.exponential(1 / rate_hz, count).cumsum().tolist())


def bursts(rng: Generator, rate_hz: float, count: int, size: float = 8.0) -> tuple[float, ...]:
    """`count` samples at `rate_hz` on average, in bursts of `size` on average (geometric) at memoryless times."""
    check_range("burst size", size, 1, 1e6)
    starts = poisson(rng, rate_hz / size, count)
    times: list[float] = []
    for start in starts:
        times += [start] * int(rng.geometric(1 / size))
        if len(times) >= count:
            break
    return tuple(times[:count])


def read_arrivals(path: Path) -> tuple[float, ...]:
    """Recorded arrivals: a CSV file with the one column ``time_s``, in order.

    Raises:
        InputError: names file and line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines or lines[0][1] != "time_s":
        raise InputError(f"{path}: recorded arrivals begin with the line 'time_s'")
    times: list[float] = []
    for number, line in lines[1:]:
        try:
            time_s = float(line)
        except ValueError:
            raise InputError(f"{path}:{number}: {line!r} is no time in seconds") from None
        if not math.isfinite(time_s) or time_s < (times[-1] if times else 0.0):
            raise InputError(f"{path}:{number}: time_s = {line} comes before the one before it, or before 0; sort them")
        times.append(time_s)
    if not times:
        raise InputError(f"{path}: holds no arrivals")
    return tuple(times)


def arrivals_of(text: str, count: int) -> tuple[float, ...] | None:
    """Arrivals as a person names them; None for ``back-to-back``: the next batch is there when the last is done.

    Args:
        text: ``back-to-back``, ``poisson:RATE:SEED``, ``bursts:RATE:SEED`` (samples a second) or a CSV file.
        count: samples, for those that are drawn.

    Raises:
        InputError: none of these.
    """
    kind, *rest = text.split(":")
    if text == "back-to-back":
        return None
    if kind not in ("poisson", "bursts"):
        if not Path(text).exists() and not text.endswith(".csv"):
            raise unknown("arrivals", kind, ("back-to-back", "poisson", "bursts"), "arrivals")
        return read_arrivals(Path(text))
    import numpy as np

    try:
        rate_hz, seed = float(rest[0]), int(rest[1])
    except (ValueError, IndexError):
        raise InputError(f"arrivals {text!r}: write {kind}:RATE:SEED, such as {kind}:20:1") from None
    check_range("seed", seed, 0, 2**63)
    rng = np.random.default_rng(seed)
    return poisson(rng, rate_hz, count) if kind == "poisson" else bursts(rng, rate_hz, count)
