"""What the profile leaves open: errors of its stages, drawn.

A profile says of each stage how far the rows that it was fitted to lie from the fit, in per cent (rms). That is taken
as the spread of an error of the stage as a whole, and it is an assumption: see `ASSUMPTION`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prism.plan import Mode
from prism.profile import SystemProfile
from sim.answers.passes import Factors
from sim.twin.scenarios import Floats

ASSUMPTION = (
    "each stage of each mode is off by one factor for all its steps, batches and bandwidths: log-normal with median 1, "
    "the profile's rms residual of that stage as its spread, independent of other stages; the link's factor holds for "
    "latency and airtime alike"
)


@dataclass(frozen=True, eq=False)
class StageErrors:
    """Draws of how many times as long as the profile says each stage takes.

    Attributes:
        by_stage: arrays of the shape (draws,), by the stage's name in `Provenance.rms_residual_pct`.
        draws: how many there are.
    """

    by_stage: dict[str, Floats]
    draws: int

    def of(self, mode: Mode, rows: NDArray[np.intp]) -> Factors:
        """What they are for passes of a mode, each with the draw that `rows` numbers: arrays of the shape of `rows`.

        1 for stages of which the profile gives no residual.
        """

        def factor(stage: str) -> Floats:
            drawn = self.by_stage.get(stage)
            return np.ones(len(rows)) if drawn is None else drawn[rows]

        link = factor("link")
        return Factors(factor(f"compute {mode}"), factor(f"staging {mode}"), link, link)


def spreads(profile: SystemProfile) -> dict[str, float]:
    """Standard deviation of the logarithm of each stage's factor, by the stage's name; absent if unknown."""
    return {stage: pct / 100 for stage, pct in sorted(profile.provenance.rms_residual_pct.items()) if pct > 0}


def draw_errors(profile: SystemProfile, draws: int, rng: np.random.Generator) -> StageErrors | None:
    """Draws of the errors of every stage; None where the profile has none to draw from.

    A stage's draws depend on its place among the profile's stages alone, not on the plan that is asked about.
    """
    known = spreads(profile)
    if not known:
        return None
    normal = rng.standard_normal((len(known), draws))
    return StageErrors(
        {stage: np.exp(spread * row) for (stage, spread), row in zip(known.items(), normal, strict=True)}, draws
    )
