"""Power from measured energies: one figure per mode.

Energy over latency is all that a table of totals can tell: stage times of a mode rise together over the batches, and a
fit of one power per stage to the published rows puts compute at 0 W in one mode and everything else at 0 W in another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prism.plan import MODES, Mode
from prism.profile import StagePower
from prism.record import Measurement


def fit_power(runs: Sequence[Measurement]) -> dict[Mode, StagePower]:
    """Watts of the terminal device while it carries a pass out, by mode; modes without energies are left out.

    The figure minimises the relative error of energy = power x total time.
    """
    powers: dict[Mode, StagePower] = {}
    for mode in MODES:
        watts = [
            run.energy.terminal_j / run.total_s for run in runs if run.plan.mode == mode and run.energy is not None
        ]
        if watts:
            inverse = 1 / np.array(watts)
            power_w = float(inverse.sum() / (inverse**2).sum())
            powers[mode] = StagePower(power_w, power_w, power_w)
    return powers
