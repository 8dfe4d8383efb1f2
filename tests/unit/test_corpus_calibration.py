"""From a corpus with a known machine behind it to a profile: the machine is found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.corpus.amounts import link_amounts, pass_amounts
from calibration.corpus.build import CorpusCalibration, calibrate_corpus
from calibration.corpus.cases import Case, cases_of
from calibration.corpus.design import measuring_order
from calibration.corpus.interval import estimate, interval_factor
from calibration.corpus.overlap import AirPrice, passes_of, totals_s
from calibration.corpus.regress import fit_linear
from prism.errors import InputError
from prism.files import parse_json
from prism.plan import Plan
from prism.profile import SystemProfile, load_profile, profile_json
from prism.record import Measurement, write_measurements
from prism.scenario import Scenario
from sim.simulate import simulate
from tests.helpers.command import Cli
from tests.helpers.corpus import UNIT_S, corpus, facts, machine, scenarios


@pytest.fixture(scope="module")
def runs() -> list[Measurement]:
    return corpus()


@pytest.fixture(scope="module")
def cases(runs: list[Measurement]) -> tuple[Case, ...]:
    return cases_of(runs)


@pytest.fixture(scope="module")
def calibration(runs: list[Measurement], cases: tuple[Case, ...]) -> CorpusCalibration:
    return calibrate_corpus(cases, facts(runs))


def test_least_squares_finds_prices_and_their_errors() -> None:
    rng = np.random.default_rng(3)
    amounts = rng.uniform(1, 10, (400, 2))
    seconds = amounts @ [2.0, 0.5] * np.exp(0.02 * rng.standard_normal(400))
    fit = fit_linear(amounts, seconds, ("a", "b"))
    for name, price in (("a", 2.0), ("b", 0.5)):
        assert abs(fit.price(name) - price) < 4 * fit.stderr(name)
    assert fit.scatter == pytest.approx(0.02, rel=0.1)
    assert fit.variance(np.array([1.0, 0.0])) == pytest.approx(fit.stderr("a") ** 2)


def test_pulls_of_fitted_prices_are_standard_normal() -> None:
    pulls = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        amounts = rng.uniform(1, 10, (30, 2))
        fit = fit_linear(amounts, amounts @ [2.0, 0.5] * (1 + 0.02 * rng.standard_normal(30)), ("a", "b"))
        pulls.append((fit.price("a") - 2.0) / fit.stderr("a"))
    assert abs(np.mean(pulls)) < 0.25
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)


def test_a_price_is_never_negative_unless_it_may_be() -> None:
    amounts = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 4.0]])
    seconds = amounts @ [-0.5, 1.0]
    assert fit_linear(amounts, seconds, ("a", "b")).price("a") == 0.0
    assert fit_linear(amounts, seconds, ("a", "b"), free=("a",)).prices == pytest.approx([-0.5, 1.0])


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="1 measurements cannot tell 2 costs; measure more cases"):
        fit_linear(np.ones((1, 2)), np.ones(1), ("a", "b"))


def test_the_known_machine_is_found_again(calibration: CorpusCalibration) -> None:
    truth = machine()
    assert calibration.cache_mb == 1.0
    # Columns that rise together share their errors: 4 standard errors of each, and the large ones within 5 %.
    for kind, unit_s in UNIT_S.items():
        assert abs(calibration.compute.price(kind) - unit_s) < 4 * calibration.compute.stderr(kind)
    assert calibration.compute.price("gemm_gflop") == pytest.approx(UNIT_S["gemm_gflop"], rel=0.05)
    link, found = truth.link, calibration.profile.link
    slower = link.reference_bandwidth_mbps / found.reference_bandwidth_mbps
    assert found.transfer.scale_s == pytest.approx(link.transfer.scale_s * slower, rel=0.02)
    assert found.air_fixed_s == pytest.approx(link.air_fixed_s * slower, rel=0.2)
    assert found.transfer.bends == ()
    assert calibration.profile.skew == pytest.approx(0.03, abs=0.01)
    # Boards that gave way once seldom share the air: what little their cases tell of it is known, and so is how little.
    overlap = calibration.link.preposted
    assert overlap is not None
    assert abs(overlap.values[2] - np.log(1.25)) < 4 * np.sqrt(overlap.covariance[2, 2]) < 0.5
    assert found.preposted_mb_s == pytest.approx(5e-3, rel=0.2)
    staging = calibration.profile.staging["full_tensor"]
    assert (staging.fixed_s, staging.scale_s) == pytest.approx((2e-5, 3e-4), rel=0.05)


def test_the_profile_simulates_what_was_measured(calibration: CorpusCalibration, cases: tuple[Case, ...]) -> None:
    errors = [abs(simulate(case.scenario, calibration.profile).total_s / case.total_s - 1) for case in cases]
    assert np.mean(errors) < 0.012


def test_a_message_price_that_bends_is_seen() -> None:
    """Above 0.15 MB a MB costs half as much again: the fit finds the bend that a straight line would smear."""
    bent = []
    for run in corpus(list(scenarios(["small", "base"])), case_noise=0.002, run_noise=0.002, held_up=0.0, runs=1):
        of_pass = pass_amounts(run.scenario.shape, run.plan, run.batch)
        extra_s = 0.0
        if run.plan.mode != "local":
            extra_s = 0.04 * float(link_amounts(of_pass, 100 / run.bandwidth_mbps, 0.0, (0.15,))[-1])
        ranks = tuple(replace(each, transfer_s=each.transfer_s + extra_s) for each in run.ranks)
        bent.append(replace(run, total_s=run.total_s + extra_s, ranks=ranks))
    blocking = [run for run in bent if run.plan.exchange == "blocking"]
    found = calibrate_corpus(cases_of(blocking), facts(blocking))
    assert 0.15 in found.link.knots_mb
    bend = found.link.knots_mb.index(0.15)
    assert found.link.fit.price(f"bend_{bend}") * found.reference_mbps == pytest.approx(4.0, rel=0.1)


def test_closed_forms_give_what_the_simulator_gives() -> None:
    """Blocking and preposted, of every size: the fit rests on sums that the simulator would have to agree with."""
    profile = machine()
    todo = [each for each in scenarios() if each.plan.exchange == "preposted"]
    simulated = [simulate(each, profile) for each in todo]
    busy = np.array([[times.compute_s + times.staging_s for times in run.ranks] for run in simulated])
    air = AirPrice(profile.link.air_fixed_s, profile.link.transfer.scale_s)
    own = np.array([2e-4, 5e-3, np.log(1.25)])
    closed = totals_s(passes_of(todo, 100.0), busy, air, own)
    errors = np.abs(closed / [run.total_s for run in simulated] - 1)
    assert errors.mean() < 0.002
    assert errors.max() < 0.02


def test_estimates_agree_with_the_simulator(calibration: CorpusCalibration, cases: tuple[Case, ...]) -> None:
    expected = estimate([case.scenario for case in cases], calibration)
    simulated = [simulate(case.scenario, calibration.profile).total_s for case in cases]
    assert np.mean(np.abs(np.array([each.total_s for each in expected]) / simulated - 1)) < 0.005


def test_intervals_of_unseen_cases_hold_nine_medians_in_ten(
    cases: tuple[Case, ...], calibration: CorpusCalibration
) -> None:
    factor = interval_factor(cases, calibration)
    others = list(scenarios(batches=[3, 6, 12], bandwidths=[60.0, 400.0]))
    unseen = cases_of(corpus(others, seed=9))
    expected = estimate([case.scenario for case in unseen], calibration)
    inside = [
        abs(np.log(case.total_s / each.total_s)) <= factor * each.sd
        for case, each in zip(unseen, expected, strict=True)
    ]
    assert 0.82 <= np.mean(inside) <= 0.98


def test_the_profile_is_stored_and_read_back(calibration: CorpusCalibration) -> None:
    text = profile_json(calibration.profile)
    again = parse_json(SystemProfile, text, "again")
    assert again == calibration.profile


def test_a_median_ignores_a_pass_that_was_held_up() -> None:
    quiet = corpus(list(scenarios(["tiny"], [1])), held_up=0.0, runs=9)
    loud = corpus(list(scenarios(["tiny"], [1])), held_up=0.1, runs=9)
    for before, after in zip(cases_of(quiet), cases_of(loud), strict=True):
        assert after.total_s == pytest.approx(before.total_s, rel=0.02)


def test_spread_and_its_standard_error_by_hand() -> None:
    run = corpus([next(scenarios(["tiny"], [1]))], runs=1)[0]
    case = cases_of([replace(run, total_s=total) for total in (0.9, 1.0, 1.0, 1.1, 5.0)])[0]
    assert case.total_s == 1.0
    assert case.spread_pct() == pytest.approx(10.0)
    assert case.median_sigma() == pytest.approx(1.2533 * 1.4826 * 0.1 / np.sqrt(5))


def test_published_means_are_refused() -> None:
    run = corpus([next(scenarios())], runs=1)[0]
    with pytest.raises(InputError, match="published means have no spread"):
        cases_of([replace(run, source="published")])


def test_local_alone_cannot_tell_the_link() -> None:
    runs = [run for run in corpus(runs=1) if run.plan.mode == "local"]
    with pytest.raises(InputError, match="no distributed case: the link cannot be calibrated"):
        calibrate_corpus(cases_of(runs), facts(runs))


def test_the_first_cases_to_measure_tell_most() -> None:
    """30 designed cases err no more than 30 random ones do, and span models and bandwidths."""
    todo = list(scenarios())
    order = measuring_order(todo, count=30)
    assert len(set(order)) == 30
    chosen = [todo[index] for index in order]
    assert {each.shape.name for each in chosen} == {each.shape.name for each in todo}
    assert len({each.bandwidth_mbps for each in chosen}) > 1

    def error(indices: list[int]) -> float:
        runs = corpus([todo[index] for index in indices], case_noise=0.02, seed=4)
        profile = calibrate_corpus(cases_of(runs), facts(runs)).profile
        truth = machine()
        others = [each for index, each in enumerate(todo) if index % 7 == 0]
        return float(np.mean([abs(simulate(e, profile).total_s / simulate(e, truth).total_s - 1) for e in others]))

    rng = np.random.default_rng(2)
    random = [error(rng.permutation(len(todo))[:30].tolist()) for _ in range(4)]
    assert error(list(order)) < 1.1 * np.mean(random)


def test_the_next_case_is_of_a_kind_that_was_never_measured(calibration: CorpusCalibration) -> None:
    local = [each for each in scenarios() if each.plan.mode == "local"]
    candidates = [*local, Scenario(local[0].shape, 2, 100.0, Plan("segment_means", 2, 10))]
    (index,) = measuring_order(candidates, calibration, local, count=1)
    assert candidates[index].plan.mode == "segment_means"


def test_calibrate_takes_a_corpus(cli: Cli, runs: list[Measurement], tmp_path: Path) -> None:
    write_measurements(tmp_path / "runs.jsonl", [run for run in runs if run.batch < 8])
    done = cli("calibrate", "runs.jsonl", "--out", "mine.json", "--json")
    assert done.code == 0
    assert set(done.json["prices_s"]) == {"compute", "staging", "link"}
    assert done.json["next_case"]
    profile = load_profile(str(tmp_path / "mine.json"))
    scenario = runs[0].scenario
    assert simulate(scenario, profile).extrapolated == ()
    assert "batch" in simulate(replace(scenario, batch=64), profile).extrapolated[0]
