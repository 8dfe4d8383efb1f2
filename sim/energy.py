"""Energy of a pass: a board's time in each stage at that stage's power, and idle power while it waits for the end."""

from __future__ import annotations

from collections.abc import Sequence

from prism.plan import Mode
from prism.profile import PowerModel
from prism.record import Energy, RankTimes


def pass_energy(power: PowerModel | None, mode: Mode, ranks: Sequence[RankTimes], total_s: float) -> Energy | None:
    """Joules of every board of the system over the pass, boards that take no part included.

    A board that has ended its part before the terminal device holds the answer idles until then. None where the
    profile knows no power for the mode.
    """
    if power is None or mode not in power.by_mode:
        return None
    stage = power.by_mode[mode]
    working = [
        times.compute_s * stage.compute_w
        + times.staging_s * stage.staging_w
        + times.communication_s * stage.communication_w
        + max(total_s - times.total_s, 0.0) * power.idle_w
        for times in ranks
    ]
    standing_by = max(power.boards - len(working), 0)
    return Energy((*working, *[total_s * power.idle_w] * standing_by), power.scope)
