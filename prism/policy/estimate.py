"""The link's bandwidth as it is believed to be, from one observation after another.

A Kalman filter of one number, the logarithm of Mbps, which wanders slowly. What lies further from it than noise
explains is either a hiccup or a change: it is set aside as a suspicion, and the next observation decides which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from prism.profile import LinkModel
from prism.units import BANDWIDTH_MBPS, check_range

#: The size of message at which a link's rate is taken.
TYPICAL_BYTES = 65_536
#: Relative standard deviation of a link's latency.
LATENCY_NOISE = 0.2


@dataclass(frozen=True)
class FilterSettings:
    """How observations are weighed.

    Attributes:
        noise: relative standard deviation of one observation, at least: what is seen may show it to be larger.
        most_noise: and at most.
        memory: share of the noise seen so far that one more observation leaves.
        drift: relative standard deviation that the bandwidth gains in a second.
        suspicious: an observation so many standard deviations off is set aside.
    """

    noise: float = 0.10
    most_noise: float = 0.30
    memory: float = 0.9
    drift: float = 0.015
    suspicious: float = 3.0

    def __post_init__(self) -> None:
        check_range("noise", self.noise, 1e-4, 1)
        check_range("most_noise", self.most_noise, self.noise, 2)
        check_range("memory", self.memory, 0, 1)
        check_range("drift", self.drift, 0, 1)
        check_range("suspicious", self.suspicious, 1, 100)


@dataclass(frozen=True)
class LinkEstimate:
    """What is believed of the link.

    Attributes:
        log_mbps: natural logarithm of the bandwidth's label in Mbps.
        variance: of that logarithm.
        time_s: when it was last observed.
        suspect: the last observation's logarithm, if it was set aside.
        noise: relative standard deviation of observations, as they turned out; 0 if there was one only.
        surprise: how far the last observation lay from what was believed.
    """

    log_mbps: float
    variance: float
    time_s: float
    suspect: float | None = None
    noise: float = 0.0
    surprise: float = 0.0

    @property
    def mbps(self) -> float:
        """Within what the rest of Prism takes for a bandwidth."""
        return min(max(math.exp(self.log_mbps), BANDWIDTH_MBPS[0]), BANDWIDTH_MBPS[1])

    @property
    def uncertainty(self) -> float:
        """Relative standard deviation."""
        return math.sqrt(self.variance)


def observe(
    estimate: LinkEstimate | None, mbps: float, noise: float, time_s: float, settings: FilterSettings
) -> LinkEstimate:
    """The estimate after one more observation.

    Args:
        estimate: before; None if nothing is known.
        mbps: what was observed.
        noise: its relative standard deviation.
        time_s: when.
        settings: how to weigh it.
    """
    seen = math.log(mbps)
    if estimate is None:
        return LinkEstimate(seen, noise * noise, time_s)
    noise = max(noise, min(estimate.noise, settings.most_noise))
    error = noise * noise
    variance = estimate.variance + settings.drift**2 * max(time_s - estimate.time_s, 0.0)
    surprise = seen - estimate.log_mbps
    typical = _typical(estimate, surprise, settings)
    if abs(surprise) <= settings.suspicious * math.sqrt(variance + error):
        gain = variance / (variance + error)
        return LinkEstimate(estimate.log_mbps + gain * surprise, (1 - gain) * variance, time_s, None, typical, surprise)
    # Neither is known better than ordinary noise, or two close readings of one change would never agree.
    agree = settings.suspicious * math.sqrt(2) * min(max(noise, settings.noise), settings.most_noise)
    if estimate.suspect is not None and abs(seen - estimate.suspect) <= agree:
        return LinkEstimate((seen + estimate.suspect) / 2, error / 2, time_s, None, typical)
    return replace(estimate, variance=variance, time_s=time_s, suspect=seen, noise=typical)


def _typical(estimate: LinkEstimate, surprise: float, settings: FilterSettings) -> float:
    """The noise of observations, from how far one surprise is from the one before: a trend surprises evenly.

    Of two normal numbers the mean absolute difference is 2 / sqrt(pi) times their standard deviation.
    """
    apart = min(abs(surprise - estimate.surprise), 2 * settings.most_noise)
    return settings.memory * estimate.noise + (1 - settings.memory) * apart * math.sqrt(math.pi) / 2


@dataclass(frozen=True)
class ProbeModel:
    """What the time of one message alone on the link says of its bandwidth: the link's cost model, read backwards.

    Attributes:
        link: latency and airtime of a message; airtime goes with 1 / bandwidth.
    """

    link: LinkModel

    def mbps(self, nbytes: int, seconds: float) -> float:
        """The bandwidth at which a message of `nbytes` takes `seconds`."""
        reference = self.link.reference_bandwidth_mbps
        rate = reference * self.link.airtime_s(nbytes, reference) / self._air_s(nbytes, seconds)
        return min(max(rate, BANDWIDTH_MBPS[0]), BANDWIDTH_MBPS[1])

    def noise(self, nbytes: int, seconds: float, noise: float) -> float:
        """Relative standard deviation of `mbps`, where the air's is `noise`: a small message shows its latency most."""
        latency_s = self.link.latency_s("blocking", nbytes)
        return math.hypot(noise, LATENCY_NOISE * latency_s / self._air_s(nbytes, seconds))

    def _air_s(self, nbytes: int, seconds: float) -> float:
        # Where latency leaves less than a tenth of the time, it is the clock's noise that is seen and not the air.
        return max(seconds - self.link.latency_s("blocking", nbytes), 0.1 * seconds)

    def seconds(self, nbytes: int, mbps: float) -> float:
        """How long a message of `nbytes` takes at `mbps`."""
        return self.link.latency_s("blocking", nbytes) + self.link.airtime_s(nbytes, mbps)

    def nbytes(self, air_s: float, mbps: float) -> int:
        """About how many bytes take the air for `air_s` at `mbps`."""
        return int(TYPICAL_BYTES * air_s / max(self.link.airtime_s(TYPICAL_BYTES, mbps), 1e-12))
