"""A corpus in, a system profile out, with what it takes to say how far a prediction may be off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.build import ProfileFacts, validity_of
from calibration.corpus.amounts import block_gflop
from calibration.corpus.cases import Case
from calibration.corpus.fits import LinkFit, fit_compute, fit_link, fit_staging
from calibration.corpus.overlap import OverlapFit
from calibration.corpus.regress import LinearFit
from calibration.power import fit_power
from prism.cost import Bend, CostModel
from prism.plan import MODES, WIRE_BYTES, Mode
from prism.profile import LinkModel, PowerModel, Provenance, SystemProfile
from prism.record import Measurement
from prism.units import BYTES_PER_MB
from prism.work import KINDS, WorkModel


@dataclass(frozen=True, eq=False)
class CorpusCalibration:
    """The fits of all stages and the profile made of them.

    Attributes:
        compute: prices of `prism.work.KINDS`.
        cache_mb: beyond which tokens of a step count as spilled; None where no limit shows.
        staging: None where no case copies.
    """

    profile: SystemProfile
    compute: LinearFit
    cache_mb: float | None
    staging: LinearFit | None
    link: LinkFit
    reference_mbps: float


def calibrate_corpus(cases: Sequence[Case], facts: ProfileFacts) -> CorpusCalibration:
    """Fit compute, staging and link to the medians of the cases, those whose compute was replayed left out.

    Raises:
        InputError: too few cases to tell the prices of a stage.
    """
    cases = [case for case in cases if not case.key.replayed]
    distributed = [case for case in cases if case.key.plan.mode != "local"]
    reference_mbps = float(np.median([case.key.bandwidth_mbps for case in distributed or cases]))
    compute, cache_mb = fit_compute(cases)
    staging = fit_staging(cases)
    link = fit_link(distributed, reference_mbps)
    runs = [run for case in cases for run in case.runs]
    profile = SystemProfile(
        name=facts.name,
        description=facts.description,
        board=facts.board,
        compute={},
        staging=_staging_models(distributed, staging),
        link=_link_model(distributed, link, reference_mbps),
        power=_power(runs, facts),
        validity=validity_of(runs),
        provenance=_provenance(runs, len(cases), facts, _scatter(compute, staging, link)),
        assumed=facts.assumed,
        work=_work_models(cases, compute, cache_mb),
        skew=link.fit.price("skew"),
    )
    return CorpusCalibration(profile, compute, cache_mb, staging, link, reference_mbps)


def _work_models(cases: Sequence[Case], fit: LinearFit, cache_mb: float | None) -> dict[Mode, WorkModel]:
    """One price list for all modes; the range of blocks that was measured is each mode's own.

    A mode that was not measured has an empty range: whatever is simulated of it says that it is extrapolated.
    """
    fitted = [index for index in range(len(KINDS)) if fit.covariance[index, index] > 0]
    model = WorkModel(
        unit_s={kind: float(price) for kind, price in zip(KINDS, fit.prices, strict=True) if price > 0},
        stderr={KINDS[index]: fit.stderr(KINDS[index]) for index in fitted},
        covariance=tuple(tuple(map(float, row)) for row in fit.covariance[np.ix_(fitted, fitted)]),
        valid_from=0.0,
        valid_to=0.0,
        cache_mb=cache_mb,
    )
    models: dict[Mode, WorkModel] = {}
    for mode in MODES:
        scenarios = [case.scenario for case in cases if case.key.plan.mode == mode]
        sizes = [block_gflop(each.shape, each.plan, each.batch) for each in scenarios]
        models[mode] = replace(model, valid_from=min(sizes, default=0.0), valid_to=max(sizes, default=0.0))
    return models


def _staging_models(cases: Sequence[Case], fit: LinearFit | None) -> dict[Mode, CostModel]:
    if fit is None:
        return {}
    model = _affine(fit, "copies", "copied_mb")
    return {mode: _ranged(model, _exchanged_mb(cases, mode)) for mode in MODES if mode != "local"}


def _link_model(cases: Sequence[Case], link: LinkFit, reference_mbps: float) -> LinkModel:
    sizes = [size for mode in MODES for size in _exchanged_mb(cases, mode)]
    bends = tuple(Bend(knot, scale_s) for knot, scale_s in link.air.bends)
    model = LinkModel(
        replace(_ranged(_affine(link.fit, "latency", "air_mb"), sizes), bends=bends),
        reference_mbps,
        air_fixed_s=link.fit.price("air_fixed"),
    )
    if link.preposted is None:
        return model
    latency_s, mb_s, _ = link.preposted.values
    return replace(
        model,
        preposted_latency_s=float(latency_s),
        preposted_mb_s=float(mb_s),
        first_flow_weight=link.preposted.weight,
    )


def _affine(fit: LinearFit, fixed: str, scale: str) -> CostModel:
    chosen = [fit.names.index(name) for name in (fixed, scale)]
    return CostModel(
        form="affine",
        driver="MB",
        fixed_s=fit.price(fixed),
        scale_s=fit.price(scale),
        exponent=1.0,
        stderr={"fixed_s": fit.stderr(fixed), "scale_s": fit.stderr(scale)},
        covariance=tuple(tuple(map(float, row)) for row in fit.covariance[np.ix_(chosen, chosen)]),
        valid_from=0.0,
        valid_to=0.0,
    )


def _ranged(model: CostModel, sizes: Sequence[float]) -> CostModel:
    return replace(model, valid_from=min(sizes, default=0.0), valid_to=max(sizes, default=0.0))


def _exchanged_mb(cases: Sequence[Case], mode: Mode) -> list[float]:
    """Sizes of the messages that were exchanged before blocks, which are those of the copies too."""
    sizes = []
    for case in cases:
        if case.key.plan.mode == mode:
            schedule = case.scenario.schedule()
            vectors = schedule.plan.sent_tokens(schedule.shape.tokens)
            per_vector = schedule.batch * schedule.shape.dim * WIRE_BYTES[schedule.plan.wire_dtype]
            sizes += [count * per_vector / BYTES_PER_MB for count in vectors]
    return sizes


def _power(runs: Sequence[Measurement], facts: ProfileFacts) -> PowerModel | None:
    powers = fit_power(runs)
    scope = next((run.energy.scope for run in runs if run.energy is not None), "")
    return PowerModel(powers, facts.idle_w, facts.boards, scope) if powers else None


def _scatter(compute: LinearFit, staging: LinearFit | None, link: LinkFit) -> dict[str, float]:
    fits: dict[str, LinearFit | OverlapFit | None] = {
        "compute": compute,
        "staging": staging,
        "link": link.fit,
        "link preposted": link.preposted,
    }
    return {name: 100 * fit.scatter for name, fit in fits.items() if fit is not None}


def _provenance(
    runs: Sequence[Measurement], cases: int, facts: ProfileFacts, scatter_pct: dict[str, float]
) -> Provenance:
    return Provenance(
        source=facts.source,
        licence=facts.licence,
        measured=facts.measured,
        machine=facts.machine,
        software=facts.software,
        runs=len(runs),
        cases=cases,
        rms_residual_pct=scatter_pct,
    )
