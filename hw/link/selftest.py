"""Times messages through a link and refuses it if they do not take as long as its rate says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hw.link.verdict import DIRECTIONS, FIT_BYTES, JUDGED_BYTES, Direction, Sample, SelfTest, judge
from hw.link.wire import SEGMENT_BYTES, acknowledgement_bytes, frame_bytes

IDLE_S = 0.05
REPEATS = 15
PATIENCE = 3
"""Where noise may be the reason for a refusal, this many times the repeats are made before it is final."""

NOISE = 0.15
"""A ratio farther than this from 1 is no noise."""


PLAN: tuple[tuple[Direction, int], ...] = tuple(
    (direction, size) for size in (*FIT_BYTES, *JUDGED_BYTES) for direction in DIRECTIONS
)
"""What one round sends. Sizes and directions alternate, so that what disturbs the machine for a while hits them all."""


class Link(Protocol):
    """One end of a connection over the link under test, with a peer that answers at the other."""

    def send(self, to_server: int, to_client: int, idle_s: float) -> float:
        """Wait `idle_s`, move that many bytes each way at once, and return the seconds it took."""
        ...


def self_test(
    link: Link,
    rate_mbps: float,
    *,
    half_duplex: bool,
    wire_counter: Callable[[], float] | None = None,
    segment_bytes: int = SEGMENT_BYTES,
    provenance: dict[str, str] | None = None,
    repeats: int = REPEATS,
    progress: Callable[[], None] | None = None,
) -> SelfTest:
    """Send 30, 60 and 300 KB each way and both ways at once, each after 50 ms idle, and judge the medians.

    Args:
        link: what to send through.
        rate_mbps: what it is throttled to, in Mbps of Ethernet frames.
        half_duplex: both directions share the rate; else each has it for itself.
        wire_counter: bytes that have passed the throttle so far, if it counts them; without, they are reckoned.
        segment_bytes: payload of a full segment, for reckoning.
        provenance: how the link was made, kept with the verdict.
        repeats: messages of each size and direction; noise makes it up to three times as many.
        progress: called after each message; there are `repeats * len(PLAN)` unless noise asks for more.

    Returns:
        The verdict; `refusal` is None for a link that does what its rate says.
    """
    samples: list[Sample] = []
    for round_ in range(repeats * PATIENCE):
        if round_ == repeats:
            verdict = judge(samples, rate_mbps)
            if verdict.ok or verdict.worst > NOISE:
                break
        for direction, size in PLAN:
            before = wire_counter() if wire_counter else 0.0
            seconds = link.send(
                size if direction != "reverse" else 0, size if direction != "forward" else 0, idle_s=IDLE_S
            )
            wire = wire_counter() - before if wire_counter else _reckoned(direction, size, half_duplex, segment_bytes)
            samples.append(Sample(direction, size, wire, seconds))
            if progress:
                progress()
    return judge(samples, rate_mbps, provenance=provenance, wire_bytes_counted=wire_counter is not None)


def _reckoned(direction: Direction, size: int, half_duplex: bool, segment_bytes: int) -> float:
    """Wire bytes that the slower way has to carry; a full-duplex link carries acknowledgements on the other way."""
    if not half_duplex:
        return frame_bytes(size, segment_bytes)
    return (frame_bytes(size, segment_bytes) + acknowledgement_bytes(size, segment_bytes)) * (
        2 if direction == "both" else 1
    )
