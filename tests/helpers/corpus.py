"""Stand-ins for a measured corpus: a known machine, simulated, with noise of cases, of runs, and passes held up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from calibration.build import ProfileFacts
from calibration.recorded import recorded_facts
from prism.catalogue import shape_of
from prism.cost import CostModel
from prism.plan import ExchangeKind, Mode, Plan
from prism.profile import Board, LinkModel, Provenance, SystemProfile, Validity
from prism.record import Measurement, RankTimes
from prism.scenario import Scenario
from prism.work import Kind, WorkModel
from sim.simulate import simulate

MODELS = ("tiny", "small", "base")
BATCHES = (1, 2, 4, 8)
BANDWIDTHS = (15.0, 40.0, 120.0, 600.0)
EXCHANGES: tuple[ExchangeKind, ...] = ("blocking", "preposted")
SPLITS: tuple[tuple[Mode, int | None], ...] = (("full_tensor", None), ("segment_means", 10), ("segment_means", 30))
UNIT_S: dict[Kind, float] = {
    "calls": 8e-6,
    "gemm_gflop": 1.05e-2,
    "attention_gflop": 3e-2,
    "tokens_mb": 1.5e-3,
    "weights_mb": 1.2e-4,
    "spilled_mb": 1e-3,
    "joined_mb": 9e-4,
}


def machine() -> SystemProfile:
    """Costs like those of a core of a server, and a half-duplex link with one queue before it."""
    work = WorkModel(UNIT_S, {}, (), 0.0, 1e3, cache_mb=1.0)
    copy = _affine(2e-5, 3e-4)
    link = LinkModel(
        _affine(1e-4, 0.0845),
        100.0,
        air_fixed_s=-1.6e-4,
        preposted_latency_s=2e-4,
        preposted_mb_s=5e-3,
        first_flow_weight=1.25,
    )
    return SystemProfile(
        name="stand-in",
        description="",
        board=Board("made up", 10**12, 0),
        compute={},
        staging={"full_tensor": copy, "segment_means": copy},
        link=link,
        power=None,
        validity=Validity((), (), (1, 1), (1, 1), (), (), (), ()),
        provenance=Provenance("", "", "", "", "", 0, 0),
        assumed=(),
        work={"local": work, "full_tensor": work, "segment_means": work},
        skew=0.03,
    )


def _affine(fixed_s: float, scale_s: float) -> CostModel:
    return CostModel("affine", "MB", fixed_s, scale_s, 1.0, {}, (), 0.0, 1e3)


def plans() -> Iterator[Plan]:
    """Every distributed plan of two boards that a stand-in measures."""
    for exchange in EXCHANGES:
        for mode, segments in SPLITS:
            yield Plan(mode, 2, segments, exchange=exchange)


def scenarios(
    models: Sequence[str] = MODELS, batches: Sequence[int] = BATCHES, bandwidths: Sequence[float] = BANDWIDTHS
) -> Iterator[Scenario]:
    """`local` once a batch size, every other plan at every bandwidth."""
    for model in models:
        shape = shape_of(f"vit_{model}_patch16_224")
        for batch in batches:
            yield Scenario(shape, batch, bandwidths[-1], Plan())
            for bandwidth in bandwidths:
                for plan in plans():
                    yield Scenario(shape, batch, bandwidth, plan)


def corpus(
    of: Sequence[Scenario] | None = None,
    *,
    runs: int = 5,
    case_noise: float = 0.01,
    run_noise: float = 0.01,
    held_up: float = 0.05,
    seed: int = 1,
) -> list[Measurement]:
    """Runs of each scenario. Noise is lognormal; a pass in 1 / `held_up` takes half as long again."""
    rng = np.random.default_rng(seed)
    profile = machine()
    records = []
    for scenario in of if of is not None else list(scenarios()):
        simulated = simulate(scenario, profile)
        of_case = np.exp(case_noise * rng.standard_normal(3))
        for _ in range(runs):
            factor = np.exp(run_noise * rng.standard_normal()) * (1.5 if rng.random() < held_up else 1.0)
            records.append(_noisy(simulated, of_case * factor))
    return records


def _noisy(simulated: Measurement, factors: np.ndarray) -> Measurement:
    compute, staging, communication = map(float, factors)
    ranks = tuple(
        RankTimes(
            each.compute_s * compute,
            each.staging_s * staging,
            each.transfer_s * communication,
            each.waiting_s * communication,
        )
        for each in simulated.ranks
    )
    return replace(simulated, source="measured", total_s=ranks[0].total_s, ranks=ranks, extrapolated=())


def facts(runs: Sequence[Measurement]) -> ProfileFacts:
    """Facts for a profile fitted to stand-ins."""
    return recorded_facts(runs, "fitted", 1000.0)
