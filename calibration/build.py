"""Measurements in, system profile out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from calibration.fit import predict
from calibration.observation import Observation, compute_observation, link_observation, staging_observation
from calibration.power import fit_power
from calibration.select import FormScore, Selection, select_form
from prism.cost import CostModel, Driver
from prism.errors import InputError
from prism.plan import MODES, Mode
from prism.profile import Board, LinkModel, PowerModel, Provenance, SystemProfile, Validity
from prism.record import Measurement

DRIVERS: dict[str, Driver] = {"compute": "GFLOP", "staging": "MB", "link": "MB"}


@dataclass(frozen=True)
class ProfileFacts:
    """What a profile says of its system that no fit can tell."""

    name: str
    description: str
    board: Board
    boards: int
    idle_w: float
    source: str
    licence: str
    measured: str
    machine: str
    software: str
    assumed: tuple[str, ...]


@dataclass(frozen=True)
class Calibration:
    """A fitted profile, and every form that was tried, by stage such as ``compute local`` or ``link``."""

    profile: SystemProfile
    scores: dict[str, tuple[FormScore, ...]] = field(default_factory=dict)


def calibrate(runs: Sequence[Measurement], facts: ProfileFacts) -> Calibration:
    """Fit compute and staging for each mode, one link that all modes share, and stage powers where energies are known.

    Raises:
        InputError: runs that do not allow a fit.
    """
    distributed = [run for run in runs if run.plan.mode != "local"]
    if not distributed:
        raise InputError("no distributed run: the link cannot be calibrated; measure full_tensor or segment_means too")
    reference_mbps = float(np.median([run.bandwidth_mbps for run in distributed]))
    observations: dict[str, list[Observation]] = {}
    for mode in MODES:
        of_mode = [run for run in runs if run.plan.mode == mode]
        if of_mode:
            observations[f"compute {mode}"] = [compute_observation(run) for run in of_mode]
        if of_mode and mode != "local":
            observations[f"staging {mode}"] = [staging_observation(run) for run in of_mode]
    observations["link"] = [link_observation(run, reference_mbps) for run in distributed]
    selections = {stage: _select(rows, stage) for stage, rows in observations.items()}
    residuals = {stage: _rms_pct(selections[stage].model, rows) for stage, rows in observations.items()}
    return Calibration(
        _profile(runs, facts, reference_mbps, selections, residuals),
        {stage: selection.scores for stage, selection in selections.items()},
    )


def _select(rows: Sequence[Observation], stage: str) -> Selection:
    try:
        return select_form(rows, DRIVERS[stage.partition(" ")[0]])
    except InputError as error:
        raise InputError(f"stage {stage!r}: {error}") from None


def _rms_pct(model: CostModel, rows: Sequence[Observation]) -> float:
    return 100 * float(np.sqrt(np.mean([(predict(model, row) / row.seconds - 1) ** 2 for row in rows])))


def _profile(
    runs: Sequence[Measurement],
    facts: ProfileFacts,
    reference_mbps: float,
    selections: dict[str, Selection],
    residuals: dict[str, float],
) -> SystemProfile:
    def of_stage(stage: str) -> dict[Mode, CostModel]:
        found = {mode: selections.get(f"{stage} {mode}") for mode in MODES}
        return {mode: selection.model for mode, selection in found.items() if selection is not None}

    powers = fit_power(runs)
    scope = next((run.energy.scope for run in runs if run.energy is not None), "")
    return SystemProfile(
        name=facts.name,
        description=facts.description,
        board=facts.board,
        compute=of_stage("compute"),
        staging=of_stage("staging"),
        link=LinkModel(selections["link"].model, reference_mbps),
        power=PowerModel(powers, facts.idle_w, facts.boards, scope) if powers else None,
        validity=validity_of(runs),
        provenance=Provenance(
            source=facts.source,
            licence=facts.licence,
            measured=facts.measured,
            machine=facts.machine,
            software=facts.software,
            runs=sum(run.runs for run in runs),
            cases=len({(run.model, run.batch, run.bandwidth_mbps, run.plan) for run in runs}),
            rms_residual_pct=residuals,
        ),
        assumed=facts.assumed,
    )


def validity_of(runs: Sequence[Measurement]) -> Validity:
    """The ranges that `runs` cover."""
    distributed = [run for run in runs if run.plan.mode != "local"]
    batches = [run.batch for run in runs]
    bandwidths = [run.bandwidth_mbps for run in distributed]
    plans = [run.plan for run in distributed]
    return Validity(
        models=tuple(sorted({run.model for run in runs})),
        devices=tuple(sorted({run.plan.devices for run in runs})),
        batch=(min(batches), max(batches)),
        bandwidth_mbps=(min(bandwidths), max(bandwidths)),
        segments=tuple(sorted({plan.segments for plan in plans if plan.segments is not None})),
        exchange=tuple(sorted({plan.exchange for plan in plans})),
        input_distribution=tuple(sorted({plan.input_distribution for plan in plans})),
        wire_dtype=tuple(sorted({plan.wire_dtype for plan in plans})),
    )
