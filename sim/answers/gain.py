"""How much sooner than something else a plan answers, over bandwidth or batch, with errors of the profile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prism.plan import Plan
from prism.profile import SystemProfile
from prism.shape import TransformerShape
from prism.units import BANDWIDTH_MBPS
from sim.answers.errors import StageErrors
from sim.answers.passes import PlanLatency, local_of
from sim.twin.scenarios import Floats

#: Any bandwidth will do for local execution.
_ANY_MBPS = BANDWIDTH_MBPS[1]


class Gain:
    """Seconds by which a plan stays below a limit: local execution less a margin, or a time.

    Args:
        shape: the model.
        plan: how the pass is split.
        profile: what the boards and their link cost.
        target_s: the time; None for local execution.
        margin: share of the local latency by which the plan must stay below it.

    Attributes:
        split: latency of the plan.
        local: latency of local execution.
    """

    def __init__(
        self,
        shape: TransformerShape,
        plan: Plan,
        profile: SystemProfile,
        *,
        target_s: float | None = None,
        margin: float = 0.0,
    ) -> None:
        self.split = PlanLatency(shape, plan, profile)
        self.local = PlanLatency(shape, local_of(plan), profile)
        self._target_s = target_s
        self._share = 1 - margin

    def limit_s(self, batch: int) -> float:
        """What the plan has to stay below."""
        if self._target_s is not None:
            return self._target_s
        return float(self.local.seconds(batch, _ANY_MBPS)[0]) * self._share

    def seconds(self, batch: ArrayLike, bandwidth_mbps: ArrayLike) -> Floats:
        """Positive where the plan stays below; minus infinity where no board's memory holds its pass."""
        split_s = self.split.seconds(batch, bandwidth_mbps)
        limit_s = self._target_s
        return _difference(
            self._share * self.local.seconds(batch, _ANY_MBPS) if limit_s is None else np.full(1, limit_s), split_s
        )

    def drawn(self, batch: int, errors: StageErrors) -> DrawnGain:
        """The same at one batch, for every draw of the profile's errors."""
        every = np.arange(errors.draws)
        if self._target_s is not None:
            return DrawnGain(self, errors, batch, np.full(errors.draws, self._target_s))
        local_s = self.local.seconds(batch, _ANY_MBPS, errors.of("local", every))
        return DrawnGain(self, errors, batch, self._share * local_s)


@dataclass(frozen=True, eq=False)
class DrawnGain:
    """`Gain` at one batch with the errors of the profile drawn. `limits_s` has the shape (draws,)."""

    gain: Gain
    errors: StageErrors
    batch: int
    limits_s: Floats

    def __call__(self, bandwidth_mbps: Floats, rows: NDArray[np.intp]) -> Floats:
        """Seconds at each bandwidth, each in the draw that `rows` numbers."""
        factors = self.errors.of(self.gain.split.plan.mode, rows)
        return _difference(self.limits_s[rows], self.gain.split.seconds(self.batch, bandwidth_mbps, factors))


def _difference(limit_s: Floats, split_s: Floats) -> Floats:
    """`limit_s - split_s`, where a plan that fits in no memory gains nothing on one that does not either."""
    gone = np.isinf(split_s)
    return np.where(gone, -np.inf, limit_s - np.where(gone, 0.0, split_s))
