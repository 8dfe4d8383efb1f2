"""When to probe the link and how lightly: probes may take a small share of the time, and no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prism.policy.estimate import TYPICAL_BYTES, LinkEstimate, ProbeModel
from prism.units import check_range


@dataclass(frozen=True)
class Probing:
    """The budget. All time that a probe takes counts, latency too, so airtime is less.

    Attributes:
        share: of the time since the run began that probes take at most while nothing is in doubt.
        most: the same when the last observation is in doubt, or nothing is known.
        allowance_s: on top of the share, so that a run can begin with a probe.
        air_s: airtime that a probe aims at.
        bytes_range: smallest and largest probe. Below the smallest, a link's burst or a clock's noise is what is seen.
        patience: an answer is waited for this many times as long as expected.
        least_wait_s: and at least so long.
    """

    share: float = 0.005
    most: float = 0.01
    allowance_s: float = 0.05
    air_s: float = 0.0015
    bytes_range: tuple[int, int] = (16_384, 262_144)
    patience: float = 8.0
    least_wait_s: float = 0.025

    def __post_init__(self) -> None:
        check_range("share", self.share, 0, 0.01)
        check_range("most", self.most, self.share, 0.01)
        check_range("allowance_s", self.allowance_s, 0, 1)

    def charge_s(self, seconds: float, *, answered: bool) -> float:
        """What a probe that took so long counts for."""
        return seconds if answered else min(seconds, 2 * self.least_wait_s)

    def due(
        self,
        link: LinkEstimate | None,
        began_s: float,
        charged_s: float,
        now_s: float,
        model: ProbeModel,
        *,
        doubtful: bool,
    ) -> tuple[int, float] | None:
        """Bytes of the probe to send now, and seconds to wait for its answer; None if the budget is spent."""
        smallest, largest = self.bytes_range
        if link is None:
            nbytes, expected_s = TYPICAL_BYTES, self.least_wait_s / self.patience
        else:  # where two bandwidths are in doubt, sized for the one that is suspected
            mbps = link.mbps if link.suspect is None else math.exp(link.suspect)
            nbytes = min(max(model.nbytes(self.air_s, mbps), smallest), largest)
            expected_s = model.seconds(nbytes, mbps)
        share = self.most if doubtful else self.share
        if charged_s + expected_s > self.allowance_s + share * (now_s - began_s):
            return None
        return nbytes, max(self.patience * expected_s, self.least_wait_s)
