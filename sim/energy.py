"""Energy of a pass: a board's time in each stage at that stage's power, and idle power while it waits for the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from prism.cost import positive
from prism.plan import Mode
from prism.profile import PowerModel
from prism.record import Energy, RankTimes

if TYPE_CHECKING:
    from prism.cost import Number

Seconds_co = TypeVar("Seconds_co", float, NDArray[np.float64], covariant=True)


class Stages(Protocol[Seconds_co]):
    """What of a rank's times its energy is made from, in seconds: numbers, or arrays with one scenario each."""

    @property
    def compute_s(self) -> Seconds_co: ...
    @property
    def staging_s(self) -> Seconds_co: ...
    @property
    def communication_s(self) -> Seconds_co: ...
    @property
    def total_s(self) -> Seconds_co: ...


def pass_energy(power: PowerModel | None, mode: Mode, ranks: Sequence[RankTimes], total_s: float) -> Energy | None:
    """Joules of every board of the system over the pass, boards that take no part included.

    None where the profile knows no power for the mode.
    """
    if power is None or mode not in power.by_mode:
        return None
    return Energy(boards_j(power, mode, ranks, total_s), power.scope)


def boards_j(power: PowerModel, mode: Mode, ranks: Sequence[Stages[Number]], total_s: Number) -> tuple[Number, ...]:
    """Joules of each board, rank 0 first and boards that take no part last: numbers, or arrays of scenarios.

    A board that has ended its part before the terminal device holds the answer idles until then.
    """
    stage = power.by_mode[mode]
    joules: list[Number] = [
        times.compute_s * stage.compute_w
        + times.staging_s * stage.staging_w
        + times.communication_s * stage.communication_w
        + positive(total_s - times.total_s) * power.idle_w
        for times in ranks
    ]
    joules += [total_s * power.idle_w for _ in range(len(joules), power.boards)]
    return tuple(joules)
