"""Stage powers by regression: known powers come back, and what runs cannot tell is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.stage_power import StagePowerFit, fit_stage_power
from prism.errors import InputError
from prism.plan import Plan
from prism.profile import StagePower
from prism.record import Energy, Measurement, RankTimes

LOCAL = Plan()
SPLIT = Plan(mode="full_tensor", devices=2)
TRUE_W = {"compute": 9.0, "staging": 6.5, "communication": 5.2, "idle": 4.4}


def measured(
    stages_s: Sequence[Sequence[float]], plan: Plan, boards: int, noise: float = 0.0, seed: int = 0
) -> Measurement:
    """A run with these seconds of compute, staging and communication on each rank, and the energies that follow."""
    rng = np.random.default_rng(seed)
    ranks = tuple(RankTimes(compute, staging, comm * 0.6, comm * 0.4) for compute, staging, comm in stages_s)
    total_s = max(rank.total_s for rank in ranks)
    joules = []
    for board in range(boards):
        rank = ranks[board] if board < len(ranks) else RankTimes(0, 0, 0, 0)
        spent_j = sum(TRUE_W[stage] * rank.stage_s(stage) for stage in ("compute", "staging", "communication"))
        spent_j += TRUE_W["idle"] * (total_s - rank.total_s)
        joules.append(float(spent_j * (1 + noise * rng.standard_normal())))
    return Measurement(
        "measured", "vit_small_patch16_224", 1, 400.0, plan, total_s, ranks, energy=Energy(tuple(joules), "each board")
    )


def sweep(noise: float = 0.0, count: int = 30) -> list[Measurement]:
    """Runs whose stages vary on their own, on two boards, each fourth local beside an idle board."""
    rng = np.random.default_rng(11)
    runs = []
    for index in range(count):
        if index % 4 == 0:
            runs.append(measured([[rng.uniform(0.02, 0.4), 0.0, 0.0]], LOCAL, 2, noise, index))
        else:
            stages_s = rng.uniform([0.02, 0.005, 0.02], [0.3, 0.1, 0.5], size=(2, 3)).tolist()
            runs.append(measured(stages_s, SPLIT, 2, noise, index))
    return runs


def watts(fit: StagePowerFit) -> list[float]:
    assert fit.idle is not None
    return [fit.compute.value_w, fit.staging.value_w, fit.communication.value_w, fit.idle.value_w]


def test_known_powers_come_back() -> None:
    fit = fit_stage_power(sweep())
    assert watts(fit) == pytest.approx(list(TRUE_W.values()), rel=1e-9)
    assert fit.stage_power == StagePower(fit.compute.value_w, fit.staging.value_w, fit.communication.value_w)
    assert fit.rows == 60
    assert fit.condition < 10
    assert fit.notes == ()
    assert fit.scope == "each board"
    assert fit.residuals_j == pytest.approx([0.0] * 60, abs=1e-9)


def test_standard_errors_are_the_scatter_of_repeated_fits() -> None:
    base = sweep()
    rng = np.random.default_rng(2)
    fits = []
    for _ in range(150):
        noisy = []
        for run in base:
            assert run.energy is not None
            joules = tuple(float(j * (1 + 0.03 * rng.standard_normal())) for j in run.energy.boards_j)
            noisy.append(dataclasses.replace(run, energy=Energy(joules, run.energy.scope)))
        fits.append(fit_stage_power(noisy))
    for stage, true_w in TRUE_W.items():
        powers = [getattr(fit, stage) for fit in fits]
        spread_w = np.std([power.value_w for power in powers])
        assert np.mean([power.stderr_w for power in powers]) == pytest.approx(spread_w, rel=0.25), stage
        assert np.mean([power.value_w for power in powers]) == pytest.approx(true_w, rel=0.03), stage
    assert np.mean([fit.rms_residual_pct for fit in fits]) == pytest.approx(3.0, rel=0.1)


@given(scale=st.floats(0.01, 100))
def test_longer_passes_do_not_change_powers(scale: float) -> None:
    scaled = []
    for run in sweep(0.02, 12):
        assert run.energy is not None
        ranks = tuple(
            RankTimes(rank.compute_s * scale, rank.staging_s * scale, rank.transfer_s * scale, rank.waiting_s * scale)
            for rank in run.ranks
        )
        energy = Energy(tuple(joules * scale for joules in run.energy.boards_j), run.energy.scope)
        scaled.append(dataclasses.replace(run, ranks=ranks, total_s=run.total_s * scale, energy=energy))
    assert watts(fit_stage_power(scaled)) == pytest.approx(watts(fit_stage_power(sweep(0.02, 12))), rel=1e-6)


def test_stages_that_rise_together_cannot_be_told_apart_and_that_is_said() -> None:
    rng = np.random.default_rng(3)
    runs = [
        measured([[compute, staging, staging * 5 * rng.uniform(0.999, 1.001)]], SPLIT, 1, 0.01, seed)
        for seed, (compute, staging) in enumerate(rng.uniform([0.05, 0.01], [0.5, 0.1], size=(20, 2)))
    ]
    fit = fit_stage_power(runs, idle_w=4.4)
    assert fit.condition > 30
    assert "cannot be told apart from communication" in fit.staging.note
    assert "cannot be told apart from staging" in fit.communication.note
    assert fit.compute.note == ""
    assert fit.compute.value_w == pytest.approx(9.0, rel=0.05)
    assert fit.compute.stderr_w < 0.2
    both_w = (fit.staging.value_w + 5 * fit.communication.value_w) / 6
    assert both_w == pytest.approx((6.5 + 5 * 5.2) / 6, rel=0.05)
    assert any(note.startswith("staging: cannot") for note in fit.notes)


def test_exactly_proportional_stages_give_no_crash_and_a_note() -> None:
    runs = [measured([[0.1 * n, 0.02 * n, 0.05 * n]], SPLIT, 1) for n in range(1, 9)]
    fit = fit_stage_power(runs, idle_w=4.4)
    assert fit.condition > 1e6
    assert all(getattr(fit, stage).note for stage in ("compute", "staging", "communication"))


def test_no_power_is_negative_and_a_bound_is_said() -> None:
    runs = []
    for run in sweep():
        assert run.energy is not None
        free = tuple(
            joules - (run.ranks[board].staging_s * 9.0 if board < len(run.ranks) else 0.0)
            for board, joules in enumerate(run.energy.boards_j)
        )
        runs.append(dataclasses.replace(run, energy=Energy(free, "each board")))
    fit = fit_stage_power(runs)
    assert fit.staging.value_w == 0.0
    assert "held at zero" in fit.staging.note


def test_a_power_that_is_hardly_known_says_so() -> None:
    rng = np.random.default_rng(4)
    runs = [
        measured([[compute, rng.uniform(0.001, 0.003), comm]], SPLIT, 1, 0.05, seed)
        for seed, (compute, comm) in enumerate(rng.uniform(0.1, 0.5, size=(12, 2)))
    ]
    fit = fit_stage_power(runs, idle_w=4.4)
    assert "held at zero" in fit.staging.note or "hardly known" in fit.staging.note


def test_idle_can_be_given_instead() -> None:
    fit = fit_stage_power(sweep(), idle_w=4.4)
    assert fit.idle is not None
    assert (fit.idle.value_w, fit.idle.note) == (4.4, "measured on its own, not fitted")
    assert fit.compute.value_w == pytest.approx(9.0)
    assert fit.communication.value_w == pytest.approx(5.2)


def test_idle_is_unknown_where_no_board_idles() -> None:
    rng = np.random.default_rng(6)
    runs = [measured([times], SPLIT, 1) for times in rng.uniform(0.02, 0.3, size=(9, 3)).tolist()]
    assert fit_stage_power(runs).idle is None


def test_a_working_board_whose_times_are_unknown_is_not_taken_for_an_idle_one() -> None:
    """As in the published tables: the terminal device's times, the energies of both."""
    runs = []
    for run in sweep():
        assert run.energy is not None
        runs.append(dataclasses.replace(run, ranks=run.ranks[:1]))
    fit = fit_stage_power(runs)
    assert watts(fit) == pytest.approx(list(TRUE_W.values()), rel=1e-6)
    assert fit.rows == 38


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "no run has an energy"),
        ([dataclasses.replace(run, energy=None) for run in sweep()], "no run has an energy"),
        (sweep(count=2), "4 energies cannot tell 4 powers"),
        (sweep()[0::4], "no run spends time in staging, communication"),
    ],
    ids=["empty", "no energy", "too few", "local alone"],
)
def test_runs_that_allow_no_fit_are_refused(runs: list[Measurement], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_stage_power(runs)


def test_energies_of_different_scopes_are_not_mixed() -> None:
    runs = sweep()
    assert runs[0].energy is not None
    runs[0] = dataclasses.replace(runs[0], energy=Energy(runs[0].energy.boards_j, "package-0"))
    with pytest.raises(InputError, match="'package-0' and 'each board'"):
        fit_stage_power(runs)


def test_an_energy_of_nothing_is_refused() -> None:
    runs = sweep()
    runs[3] = dataclasses.replace(runs[3], energy=Energy((0.0, 1.0), "each board"))
    with pytest.raises(InputError, match=r"batch 1, has 0\.0 J on board 0"):
        fit_stage_power(runs)
