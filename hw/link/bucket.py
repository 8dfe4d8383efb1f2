"""The token bucket that gives a link its rate."""

from __future__ import annotations

from dataclasses import dataclass

from prism.units import BITS_PER_MEGABIT

BURST_BYTES = 4_000
"""What may pass unshaped after an idle time: under three packets. It is the credit of every message after compute."""

BURST_SECONDS = 50e-6
"""A timer wakes this late and loses nothing: above 640 Mbps the bucket must hold more than `BURST_BYTES`."""

LIMIT_BYTES = 4_000_000
"""Queue before packets are dropped. Deep, as WiFi's queues are: one exchange of several boards fits in it."""


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """A `tbf`: rate in Mbps of Ethernet frames (14-byte header included), burst and queue limit in bytes."""

    rate_mbps: float
    burst_bytes: int = 0
    limit_bytes: int = LIMIT_BYTES

    def __post_init__(self) -> None:
        if not self.burst_bytes:
            object.__setattr__(self, "burst_bytes", burst_for(self.rate_mbps))

    def tc_words(self) -> str:
        """The qdisc as `tc` reads it."""
        rate = round(self.rate_mbps * BITS_PER_MEGABIT)
        return f"tbf rate {rate}bit burst {self.burst_bytes}b limit {self.limit_bytes}b"


def burst_for(rate_mbps: float) -> int:
    """The smallest burst, in bytes, that loses no rate to late timers."""
    return max(BURST_BYTES, round(rate_mbps * BITS_PER_MEGABIT / 8 * BURST_SECONDS))
