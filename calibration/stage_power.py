"""Power by what a board is doing, from runs whose stage times and energies were both measured.

The energy of a board over a pass is taken as the sum of its time in each stage times that stage's power, and of its
time outside any stage times the idle power. Whether runs can tell the stages apart depends on how they were chosen:
where two stages take times in the same proportion in all of them, only their sum is known, and the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from prism.errors import InputError
from prism.profile import StagePower
from prism.record import STAGES, Measurement

Array = npt.NDArray[np.float64]

#: Belsley's rule: from here on a singular value belongs to times that are nearly proportional to each other, ...
CONDITION_LIMIT = 30.0
#: ... and each power that owes more than this share of its variance to it is one of them.
VARIANCE_SHARE = 0.5
#: Columns that are shorter than this share of a pass do not tell anything of their power.
NEGLIGIBLE_SHARE = 1e-3
IDLE = "idle"


@dataclass(frozen=True)
class Power:
    """A fitted power in watts. A note says why it should not be relied on."""

    value_w: float
    stderr_w: float
    note: str = ""


@dataclass(frozen=True)
class StagePowerFit:
    """Powers of a board and how well they explain the runs.

    Attributes:
        idle: None where no run tells anything of it.
        rows: energies used, one for each board of each run.
        condition: condition number of the times, each stage scaled to the same length; 1 is best.
        residuals_j: measured minus fitted, in the order of the runs and their boards.
        scope: what the energies cover.
    """

    compute: Power
    staging: Power
    communication: Power
    idle: Power | None
    rows: int
    condition: float
    residuals_j: tuple[float, ...]
    rms_residual_pct: float
    scope: str

    @property
    def stage_power(self) -> StagePower:
        """The three figures a profile keeps."""
        return StagePower(self.compute.value_w, self.staging.value_w, self.communication.value_w)

    @property
    def notes(self) -> tuple[str, ...]:
        """Every note, with the stage it belongs to."""
        powers = {stage: getattr(self, stage) for stage in (*STAGES, IDLE)}
        return tuple(f"{stage}: {power.note}" for stage, power in powers.items() if power is not None and power.note)


def fit_stage_power(runs: Sequence[Measurement], idle_w: float | None = None) -> StagePowerFit:
    """Powers of compute, staging, communication and idling, none below zero, that best explain the runs' energies.

    Each board of a run whose times and energy are known is one row; errors are relative, so short passes count as much
    as long ones. Standard errors come from the scatter of the rows.

    Args:
        runs: measured runs; those without an energy are passed over.
        idle_w: idle power of a board in watts, if measured on its own; it is then not fitted.

    Raises:
        InputError: too few rows, energies of different scopes, or a stage that no run spends time in.
    """
    times_s, energies_j = _rows(runs)
    scope = _scope(runs)
    names = [*STAGES, IDLE]
    shares = (times_s / times_s.sum(axis=1, keepdims=True)).max(axis=0, initial=0.0)
    known_j = np.zeros(len(energies_j)) if idle_w is None else times_s[:, -1] * idle_w
    fitted = [i for i, share in enumerate(shares) if share > NEGLIGIBLE_SHARE and (i < len(STAGES) or idle_w is None)]
    silent = [name for i, name in enumerate(names[:-1]) if i not in fitted]
    if len(energies_j) <= len(fitted):
        raise InputError(
            f"{len(energies_j)} energies cannot tell {len(fitted)} powers; measure more batches, bandwidths and plans"
        )
    if silent:
        raise InputError(f"no run spends time in {', '.join(silent)}; add distributed runs with energies")
    design = times_s[:, fitted] / energies_j[:, None]
    wanted = (energies_j - known_j) / energies_j
    powers_w, _ = nnls(design, wanted)
    errors = wanted - design @ powers_w
    deviation = float(np.sqrt((errors**2).sum() / (len(wanted) - len(fitted))))
    stderr_w, condition, notes = _judge(design, deviation, [names[i] for i in fitted])
    found = {
        names[i]: Power(float(watts), float(stderr), _note(float(watts), float(stderr), note))
        for i, watts, stderr, note in zip(fitted, powers_w, stderr_w, notes, strict=True)
    }
    idle = found.get(IDLE) if idle_w is None else Power(idle_w, 0.0, "measured on its own, not fitted")
    return StagePowerFit(
        compute=found["compute"],
        staging=found["staging"],
        communication=found["communication"],
        idle=idle,
        rows=len(energies_j),
        condition=condition,
        residuals_j=tuple(float(joules) for joules in errors * energies_j),
        rms_residual_pct=100 * float(np.sqrt((errors**2).mean())),
        scope=scope,
    )


def _rows(runs: Sequence[Measurement]) -> tuple[Array, Array]:
    """Seconds in each stage and idle, and joules, of each board whose times are known or that takes no part."""
    times: list[list[float]] = []
    energies: list[float] = []
    for run in runs:
        for board, joules in enumerate(run.energy.boards_j if run.energy is not None else ()):
            if board < len(run.ranks):
                stages = [run.ranks[board].stage_s(stage) for stage in STAGES]
                times.append([*stages, max(run.total_s - sum(stages), 0.0)])
            elif board >= run.plan.devices:
                times.append([0.0] * len(STAGES) + [run.total_s])
            else:
                continue
            if not joules > 0:
                raise InputError(f"a run of {run.model}, batch {run.batch}, has {joules!r} J on board {board}")
            energies.append(joules)
    if not energies:
        raise InputError("no run has an energy; measure with a power meter")
    return np.array(times), np.array(energies)


def _scope(runs: Sequence[Measurement]) -> str:
    scopes = list(dict.fromkeys(run.energy.scope for run in runs if run.energy is not None))
    if len(scopes) > 1:
        raise InputError(f"energies of different scopes, {scopes[0]!r} and {scopes[1]!r}; fit them one by one")
    return scopes[0]


def _judge(design: Array, deviation: float, names: Sequence[str]) -> tuple[Array, float, list[str]]:
    """Standard errors, condition number, and for each power which others it cannot be told from."""
    lengths = np.sqrt((design**2).sum(axis=0))
    _, singular, directions = np.linalg.svd(design / lengths, full_matrices=False)
    singular = np.maximum(singular, singular[0] * np.finfo(float).eps)
    parts = (directions / singular[:, None]) ** 2
    variance = parts.sum(axis=0)
    nearly_dependent = singular[0] / singular > CONDITION_LIMIT
    shares = parts[nearly_dependent].sum(axis=0) / variance
    together = [name for name, share in zip(names, shares, strict=True) if share > VARIANCE_SHARE]
    notes = [
        f"cannot be told apart from {' and '.join(other for other in together if other != name)}: in these runs their "
        "times rise together, and only what they add up to is known"
        if name in together and len(together) > 1
        else ""
        for name in names
    ]
    return deviation * np.sqrt(variance) / lengths, float(singular[0] / singular[-1]), notes


def _note(value_w: float, stderr_w: float, together: str) -> str:
    notes = [together]
    if value_w == 0:
        notes.append("held at zero, where the fit would go below")
    elif stderr_w > value_w / 2:
        notes.append(f"hardly known: {value_w:.2f} W with a standard error of {stderr_w:.2f} W")
    return "; ".join(note for note in notes if note)
