"""How far passes take longer or shorter than predicted, learned as they are observed.

The logarithm of observed over predicted time is split between all plans, since a board that throttles slows whatever
it does, and the plan itself. Half of each surprise goes to either, so a plan that nobody has tried lately is believed
to have drifted half as far as the one in use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

#: Passes are never believed to take more than this many times the prediction, or less than one over it.
LARGEST = math.log(4.0)


@dataclass(frozen=True)
class Correction:
    """Of one plan: a logarithm, and when it was learned."""

    log: float
    time_s: float


@dataclass(frozen=True)
class Corrections:
    """What has been learned.

    Attributes:
        common: logarithm of the factor that all plans share.
        own: of each plan that was observed, by name, on top of it. Never changed in place.
        gain: share of a surprise that is believed at once.
        half_life_s: after so long without a pass, half of a plan's own correction is forgotten: it may be tried again.
    """

    common: float = 0.0
    own: Mapping[str, Correction] = field(default_factory=dict)
    gain: float = 0.1
    half_life_s: float = 120.0

    def factor(self, name: str, time_s: float) -> float:
        """What the prediction for the plan of that name is to be multiplied by."""
        own = self.own.get(name)
        return math.exp(self.common if own is None else self.common + self._faded(own, time_s))

    def learned(self, name: str, observed_s: float, predicted_s: float, time_s: float) -> Corrections:
        """After one more pass.

        Args:
            name: of the plan that was run.
            observed_s: how long it took.
            predicted_s: what the map says for the bandwidth that the pass had, uncorrected.
            time_s: when.
        """
        before = self.own.get(name)
        own = 0.0 if before is None else self._faded(before, time_s)
        # One pass that was held up, be it for how long, is one surprise.
        surprise = min(max(math.log(observed_s / predicted_s) - self.common - own, -0.5), 0.5)
        step = self.gain * surprise / 2
        return replace(
            self,
            common=_limited(self.common + step),
            own={**self.own, name: Correction(_limited(own + step), time_s)},
        )

    def _faded(self, own: Correction, time_s: float) -> float:
        return float(own.log * 0.5 ** (max(time_s - own.time_s, 0.0) / self.half_life_s))


def _limited(log: float) -> float:
    return min(max(log, -LARGEST), LARGEST)
