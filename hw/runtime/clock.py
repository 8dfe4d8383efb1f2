"""Another board's clock told in ours: offset and drift from ping-pong, with an uncertainty.

Of several round trips the shortest is the least disturbed: the other clock was read within its two ends, so the offset
is known to half its length (Cristian 1989). One estimate before and one after a span of work give the drift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ClockReading:
    """Our clock and the other's at the same moment, to within `uncertainty_s`; all in seconds."""

    ours_s: float
    theirs_s: float
    uncertainty_s: float


@dataclass(frozen=True)
class ClockAlignment:
    """A straight line from the other board's clock to ours, through one reading before some work and one after it.

    Between the readings it is off by no more than they are. The slope is the drift.
    """

    before: ClockReading
    after: ClockReading

    @property
    def rate(self) -> float:
        """Our seconds per second of theirs."""
        theirs = self.after.theirs_s - self.before.theirs_s
        return (self.after.ours_s - self.before.ours_s) / theirs if theirs > 0 else 1.0

    @property
    def uncertainty_s(self) -> float:
        """Largest error of a time between the two readings."""
        return max(self.before.uncertainty_s, self.after.uncertainty_s)

    def ours(self, theirs_s: float) -> float:
        """The other board's time on our clock."""
        return self.before.ours_s + self.rate * (theirs_s - self.before.theirs_s)


def read_clock(ping: Callable[[], float], clock: Callable[[], float], rounds: int = 8) -> ClockReading:
    """Read another board's clock: `ping` asks for it once, over the wire; `clock` is ours."""
    best: ClockReading | None = None
    for _ in range(rounds):
        sent = clock()
        theirs = ping()
        received = clock()
        reading = ClockReading((sent + received) / 2, theirs, (received - sent) / 2)
        if best is None or reading.uncertainty_s < best.uncertainty_s:
            best = reading
    assert best is not None
    return best
