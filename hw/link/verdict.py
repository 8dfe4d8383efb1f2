"""Does a link do what its rate says? Judged from timed messages alone, so that it can be judged again from a record.

The time of a message is `fixed + wire bytes / rate`. The fixed cost of each direction is measured: the median of what
small messages take beyond their bytes. It may be negative, since a bucket's burst passes unshaped in every message. 30,
60 and 300 KB then have to follow from it; with a burst that is too large they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from prism.units import BITS_PER_MEGABIT, air_seconds

Direction = Literal["forward", "reverse", "both"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "reverse", "both")

FIT_BYTES = (10_000, 12_000, 14_000)
"""Small messages, yet long enough on the air to hide the processor's share as larger ones do: below 10 KB they do not.
Above 14 KB a burst of 16 KB would bend the fit and pass."""

JUDGED_BYTES = (30_000, 60_000, 300_000)
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """One message, after an idle time.

    Attributes:
        direction: towards the server, from it, or one message each way at once.
        payload_bytes: of one message.
        wire_bytes: what passed the throttle meanwhile, headers, acknowledgements and both directions included.
        seconds: from the first byte given to the socket until the last one was confirmed.
    """

    direction: Direction
    payload_bytes: int
    wire_bytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One direction and size: medians over `repeats` messages, the middle half of them, and what was expected."""

    direction: Direction
    payload_bytes: int
    wire_bytes: float
    repeats: int
    measured_s: float
    quartiles_s: tuple[float, float]
    expected_s: float

    @property
    def ratio(self) -> float:
        """Measured over expected; 1 is a link that does what its rate says."""
        return self.measured_s / self.expected_s


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The verdict on a link and every figure it rests on.

    Attributes:
        rate_mbps: of Ethernet frames.
        fixed_s: by direction; negative where a burst outweighs the cost of sending.
        payload_efficiency: payload over wire bytes at the largest size, one direction.
        figures: the judged sizes.
        tolerance: largest allowed distance of a ratio from 1.
        wire_bytes_counted: counted at the throttle; otherwise reckoned from headers.
        provenance: how the link was made.
        refusal: why the link is refused, one line; None if it is not.
    """

    rate_mbps: float
    fixed_s: dict[str, float]
    payload_efficiency: float
    figures: tuple[Figure, ...]
    tolerance: float
    wire_bytes_counted: bool
    provenance: dict[str, str]
    refusal: str | None

    @property
    def ok(self) -> bool:
        return self.refusal is None

    @property
    def worst(self) -> float:
        """Distance from 1 of the ratio that is farthest from it."""
        return max(abs(figure.ratio - 1) for figure in self.figures)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = [asdict(figure) | {"ratio": figure.ratio} for figure in self.figures]
        return asdict(self) | {"ok": self.ok, "figures": figures}


def judge(
    samples: Iterable[Sample],
    rate_mbps: float,
    *,
    provenance: dict[str, str] | None = None,
    wire_bytes_counted: bool = True,
    tolerance: float = TOLERANCE,
) -> SelfTest:
    """Fit the fixed cost to the messages of `FIT_BYTES` and hold the larger ones against it.

    Raises:
        ValueError: a direction has no small messages, or there is none to judge.
    """
    groups: dict[tuple[Direction, int], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.direction, sample.payload_bytes), []).append(sample)
    directions = [name for name in DIRECTIONS if any(direction == name for direction, _ in groups)]
    fixed = {name: _fixed(groups, name, rate_mbps) for name in directions}
    figures = tuple(
        _figure(group, rate_mbps, fixed[direction])
        for (direction, size), group in sorted(groups.items(), key=lambda item: (DIRECTIONS.index(item[0][0]), item[0]))
        if size not in FIT_BYTES
    )
    if not figures:
        raise ValueError("no message to judge")
    largest = max((figure for figure in figures if figure.direction != "both"), key=lambda one: one.payload_bytes)
    return SelfTest(
        rate_mbps=rate_mbps,
        fixed_s={str(name): value for name, value in fixed.items()},
        payload_efficiency=largest.payload_bytes / largest.wire_bytes,
        figures=figures,
        tolerance=tolerance,
        wire_bytes_counted=wire_bytes_counted,
        provenance=dict(provenance or {}),
        refusal=_refusal(figures, rate_mbps, tolerance),
    )


def _fixed(groups: dict[tuple[Direction, int], list[Sample]], direction: Direction, rate_mbps: float) -> float:
    small = [
        median(sample.seconds - air_seconds(sample.wire_bytes, rate_mbps) for sample in group)
        for (name, size), group in groups.items()
        if name == direction and size in FIT_BYTES
    ]
    if not small:
        raise ValueError(f"no small message {direction} to fit the fixed cost to")
    return median(small)


def _figure(group: Sequence[Sample], rate_mbps: float, fixed_s: float) -> Figure:
    seconds = sorted(sample.seconds for sample in group)
    wire_bytes = median(sample.wire_bytes for sample in group)
    last = len(seconds) - 1
    return Figure(
        direction=group[0].direction,
        payload_bytes=group[0].payload_bytes,
        wire_bytes=wire_bytes,
        repeats=len(seconds),
        measured_s=median(seconds),
        quartiles_s=(seconds[last // 4], seconds[-1 - last // 4]),
        expected_s=air_seconds(wire_bytes, rate_mbps) + fixed_s,
    )


def _refusal(figures: Sequence[Figure], rate_mbps: float, tolerance: float) -> str | None:
    off = [figure for figure in figures if not abs(figure.ratio - 1) <= tolerance]
    if not off:
        return None
    worst = max(off, key=lambda figure: abs(figure.ratio - 1))
    fast = worst.ratio < 1
    unshaped = (worst.expected_s - worst.measured_s) * rate_mbps * BITS_PER_MEGABIT / 8
    why = (
        f"about {unshaped / 1e3:.0f} KB pass unshaped: make the burst smaller, or the segments TCP sends (gso_max_size)"
        if fast
        else "the link or this machine does not reach the rate: lower it, or stop what else runs here"
    )
    return (
        f"link refused: {len(off)} of {len(figures)} figures are more than {tolerance:.0%} off; worst: "
        f"{worst.payload_bytes / 1e3:g} KB {worst.direction} took {worst.measured_s * 1e3:.2f} ms instead of "
        f"{worst.expected_s * 1e3:.2f} ms at {rate_mbps:g} Mbps; {why}"
    )
