"""A corpus held against the simulator: what is held out, how it is judged, and that a wrong corpus fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.corpus.build import calibrate_corpus
from calibration.corpus.cases import Case, CaseKey, cases_of
from prism.errors import InputError
from prism.plan import Plan
from prism.record import Measurement, write_measurements
from prism.scenario import Scenario
from sim.simulate import simulate
from tests.helpers.command import Cli
from tests.helpers.corpus import corpus, facts, machine, scenarios
from tests.helpers.page import assert_self_contained
from validation.corpus.assess import Assessment, assess, assessment_summary
from validation.corpus.baseline import Baseline, errors_by_case, read_baseline, write_baseline
from validation.corpus.crossovers import crossovers
from validation.corpus.decisions import Decision, decisions, summarise
from validation.corpus.errors import ALL, errors_of
from validation.corpus.gates import baseline_gates, learning_gates
from validation.corpus.learning import LearningPoint, cases_needed
from validation.corpus.predict import Prediction, predict_split
from validation.corpus.report import corpus_report_html
from validation.corpus.spans import SpanPair, lags, parting_blocks, partings, trace_of, typical_pass
from validation.corpus.splits import FOLDS, place, splits


@pytest.fixture(scope="module")
def runs() -> list[Measurement]:
    return corpus()


@pytest.fixture(scope="module")
def cases(runs: list[Measurement]) -> tuple[Case, ...]:
    return cases_of(runs)


@pytest.fixture(scope="module")
def assessment(runs: list[Measurement], cases: tuple[Case, ...]) -> Assessment:
    return assess(cases, facts(runs), learning=False)


# --- what is held out ---


def test_a_decision_is_never_split_over_folds(cases: tuple[Case, ...]) -> None:
    folds = splits(cases)[0].folds
    assert len(folds) == FOLDS
    where: dict[tuple[str, int, str], set[str]] = {}
    for fold in folds:
        for index in fold.test:
            where.setdefault(place(cases[index].key), set()).add(fold.name)
    assert all(len(names) == 1 for names in where.values())
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) < 2 * min(sizes)


def test_every_case_is_predicted_once_and_never_by_a_fold_that_trained_on_it(cases: tuple[Case, ...]) -> None:
    for split in splits(cases):
        predicted = [index for fold in split.folds for index in fold.test]
        assert len(predicted) == len(set(predicted))
        if split.name != "bandwidth":
            assert set(predicted) == set(range(len(cases)))
        for fold in split.folds:
            assert not set(fold.train) & set(fold.test)


def test_folds_depend_on_names_alone(cases: tuple[Case, ...]) -> None:
    def held_out(of: tuple[Case, ...]) -> dict[str, str]:
        return {of[index].key.label: fold.name for fold in splits(of)[0].folds for index in fold.test}

    slower = tuple(Case(case.key, tuple(replace(run, total_s=run.total_s * 3) for run in case.runs)) for case in cases)
    assert held_out(cases) == held_out(slower) == held_out(tuple(reversed(cases)))


def test_leaving_out_leaves_out_all_of_it(cases: tuple[Case, ...]) -> None:
    by_name = {split.name: split for split in splits(cases)}
    assert set(by_name) == {"folds", "batch", "bandwidth", "model"}
    values: dict[str, Callable[[CaseKey], object]] = {
        "batch": lambda key: key.batch,
        "bandwidth": lambda key: key.bandwidth_mbps,
        "model": lambda key: key.model,
    }
    for name, value_of in values.items():
        for fold in by_name[name].folds:
            out = {value_of(cases[index].key) for index in fold.test}
            assert len(out) == 1
            trained = [cases[index].key for index in fold.train]
            assert not out & {value_of(key) for key in trained if name != "bandwidth" or key.plan.mode != "local"}


def test_three_boards_are_predicted_from_two() -> None:
    todo = [each for each in scenarios(["tiny", "small"], [1, 4, 8]) if each.plan.exchange == "blocking"]
    more = [replace(each, plan=replace(each.plan, devices=3)) for each in todo if each.plan.mode != "local"]
    runs = corpus([*todo, *more], runs=2, held_up=0.0)
    cases = cases_of(runs)
    split = next(split for split in splits(cases) if split.name == "ranks")
    (fold,) = split.folds
    assert {cases[index].key.plan.devices for index in fold.train} == {1, 2}
    assert {cases[index].key.plan.devices for index in fold.test} == {3}
    predictions = predict_split(cases, split, facts(runs))
    errors = errors_of(predictions, "total")
    assert errors is not None
    assert errors.mape_pct < 3


# --- how it is judged ---


def prediction(total_s: list[float], simulated_s: float, scenario: Scenario, sd: float = 0.01) -> Prediction:
    run = corpus([scenario], runs=1)[0]
    runs = tuple(replace(run, total_s=seconds) for seconds in total_s)
    case = cases_of(runs)[0]
    simulated = replace(simulate(scenario, machine()), total_s=simulated_s)
    return Prediction(case, simulated, simulated_s * 0.95, simulated_s * 1.05, "fold", sd)


TINY = next(scenarios(["tiny"], [1]))
SPLIT = replace(TINY, plan=Plan("segment_means", 2, 10), bandwidth_mbps=100.0)


def test_errors_and_noise_floor_by_hand() -> None:
    first = prediction([0.9, 1.0, 1.1], 1.1, TINY)
    second = prediction([2.0, 2.0, 2.0], 1.9, TINY)
    errors = errors_of([first, second], "total")
    assert errors is not None
    assert errors.mape_pct == pytest.approx(7.5)
    assert errors.bias_pct == pytest.approx(2.5)
    assert errors.max_pct == pytest.approx(10.0)
    assert errors.p90_pct == pytest.approx(9.5)
    assert errors.noise_floor_pct == pytest.approx(5.0)
    assert errors_of([first], "staging") is None
    assert (first.covered, second.covered) == (False, False)
    assert replace(second, high_s=2.0).covered


def decision(measured: dict[Plan, list[float]], simulated: dict[Plan, float], bandwidth: float = 100.0) -> Decision:
    pairs = [
        prediction(seconds, simulated[plan], replace(TINY, plan=plan, bandwidth_mbps=bandwidth))
        for plan, seconds in measured.items()
    ]
    (found,) = decisions(pairs)
    return found


L10, L30, FULL = Plan("segment_means", 2, 10), Plan("segment_means", 2, 30), Plan("full_tensor", 2)


def test_a_decision_by_hand() -> None:
    measured = {Plan(): [1.0] * 3, L10: [0.8] * 3, L30: [0.9] * 3, FULL: [1.5] * 3}
    right = decision(measured, {Plan(): 1.0, L10: 0.85, L30: 0.95, FULL: 1.0})
    assert right.agrees
    assert (right.won_by, right.regret_pct, right.clear) == ("distributed", 0.0, True)
    wrong_l = decision(measured, {Plan(): 1.0, L10: 0.95, L30: 0.9, FULL: 1.0})
    assert not wrong_l.agrees
    assert wrong_l.regret_pct == pytest.approx(12.5)
    summary = summarise([right, wrong_l])
    assert summary is not None
    assert (summary.decisions, summary.clear, summary.agreement_pct) == (2, 2, 50.0)
    assert summary.mean_regret_pct == pytest.approx(6.25)


def test_a_difference_within_the_noise_is_not_clear() -> None:
    noisy = decision({Plan(): [0.9, 1.0, 1.1], L10: [1.05, 1.06, 1.07]}, {Plan(): 1.0, L10: 0.9})
    assert not noisy.clear
    summary = summarise([noisy])
    assert summary is not None
    assert summary.agreement_pct is None
    assert summary.mean_regret_pct == pytest.approx(6.0)


def test_what_a_user_does_not_choose_there_makes_decisions_of_their_own() -> None:
    blocking, preposted = (
        prediction(
            [0.8], 0.8, replace(TINY, plan=Plan("segment_means", 2, 10, exchange=exchange), bandwidth_mbps=100.0)
        )
        for exchange in ("blocking", "preposted")
    )
    local = prediction([1.0], 1.0, TINY)
    assert len(decisions([local, blocking, preposted])) == 2
    assert decisions([blocking, preposted]) == ()


def test_a_crossover_lies_where_the_lines_meet() -> None:
    """Distributed over local is 2 at 50 Mbps and 1/2 at 200: with straight lines over logarithms they meet at 100."""
    line = [
        decision({Plan(): [1.0] * 3, L10: [seconds] * 3}, {Plan(): 1.0, L10: simulated}, bandwidth)
        for bandwidth, seconds, simulated in ((50.0, 2.0, 4.0), (200.0, 0.5, 1.0 / 4.0 * 2**1.0))
    ]
    (found,) = crossovers(line, "bandwidth")
    assert found.measured.at == pytest.approx(100.0)
    assert found.simulated.at is not None
    assert found.simulated.at == pytest.approx(50 * 4 ** (2 / 3))
    assert found.simulated.low is not None
    assert found.simulated.high is not None
    assert found.simulated.low < found.simulated.at < found.simulated.high
    assert crossovers(line[:1], "bandwidth") == ()


def test_cases_needed_is_where_the_curve_stays_low() -> None:
    curve = [LearningPoint(n, pct, pct) for n, pct in ((10, 2.9), (20, 4.0), (30, 2.8), (50, 2.2), (100, 2.0))]
    assert cases_needed(curve) == 30
    assert cases_needed([LearningPoint(20, None, None), LearningPoint(80, 2.0, 2.0)]) == 80
    (gate,) = learning_gates(curve)
    assert gate.passed
    (unknown,) = learning_gates([LearningPoint(20, None, None)])
    assert not unknown.passed


# --- the stand-in passes, and a wrong corpus does not ---


def test_a_stand_in_keeps_the_limits_of_errors_and_decisions(assessment: Assessment) -> None:
    failed = [gate.name for gate in assessment.gates if not gate.passed]
    # Bandwidths and batches of the stand-in favour one side; all else must hold.
    assert set(failed) <= {"folds: decisions of the side that wins more"}
    assert 82 <= assessment.folds.modes[ALL].coverage_pct <= 96


def test_every_split_has_the_agreed_keys(assessment: Assessment) -> None:
    summary = assessment_summary(assessment)
    json.dumps(summary, allow_nan=False)
    wanted = {"mape_pct", "p90_pct", "bias_pct", "noise_floor_pct", "coverage_pct"}
    wanted |= {"decision_agreement_pct", "mean_regret_pct"}
    assert set(summary["splits"]) == {"folds", "batch", "bandwidth", "model"}
    for modes in summary["splits"].values():
        assert {"full_tensor", "segment_means", "all"} <= set(modes)
        for mode in modes.values():
            assert wanted <= set(mode)
    stages = summary["splits"]["folds"]["full_tensor"]["stages"]
    assert set(stages) == {"compute", "staging", "communication"}


def shuffled(cases: tuple[Case, ...]) -> list[Measurement]:
    """The runs of each case under the name of another of the same plan."""
    rng = np.random.default_rng(5)
    groups: dict[Plan, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.key.plan, []).append(case)
    result = []
    for group in groups.values():
        for target, source in zip(group, rng.permutation(len(group)), strict=True):
            result += [
                replace(named, total_s=taken.total_s, ranks=taken.ranks)
                for named, taken in zip(target.runs, group[source].runs, strict=True)
            ]
    return result


def test_shuffled_labels_fail(cases: tuple[Case, ...]) -> None:
    wrong = shuffled(cases)
    failed = [gate.name for gate in assess(cases_of(wrong), facts(wrong), learning=False).gates if not gate.passed]
    for mode in ("local", "full_tensor", "segment_means"):
        assert f"folds, {mode}: MAPE of the total" in failed
        assert f"batch, {mode}: MAPE of the total" in failed
    assert "folds: clear decisions chosen wrong" in failed


def test_a_fold_does_not_change_with_what_it_holds_out(runs: list[Measurement], cases: tuple[Case, ...]) -> None:
    split = splits(cases)[0]
    first = split.folds[0]
    held_out = {cases[index].key for index in first.test}
    wrecked = tuple(
        Case(case.key, tuple(replace(run, total_s=run.total_s * 3) for run in case.runs))
        if case.key in held_out
        else case
        for case in cases
    )
    one = replace(split, folds=(first,))
    before, after = (predict_split(of, one, facts(runs)) for of in (cases, wrecked))
    assert [pair.simulated.total_s for pair in before] == [pair.simulated.total_s for pair in after]
    assert [pair.high_s for pair in before] == [pair.high_s for pair in after]


def test_the_case_that_got_worse_is_named(assessment: Assessment, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, assessment.folds.predictions)
    before = read_baseline(path).errors_pct
    now = errors_by_case(assessment.folds.predictions)
    assert [gate.passed for gate in baseline_gates(now, before)] == [True]
    victim = next(iter(before))
    for changed in (now | {victim: abs(before[victim]) + 1.5}, {k: v for k, v in now.items() if k != victim}):
        failed = [gate for gate in baseline_gates(changed, before) if not gate.passed]
        assert [gate.name for gate in failed] == [f"got worse: {victim}", "cases that got worse than in the baseline"]
    path.write_text('{"format": "prism.baseline/9", "errors_pct": {}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"prism\.baseline/9"):
        read_baseline(path)


# --- span by span ---


@pytest.fixture(scope="module")
def pair() -> SpanPair:
    """The measured pass is the simulated one with block 1 of rank 0 made 10 ms longer."""
    profile = machine()
    scenario = replace(TINY, plan=Plan("segment_means", 2, 10), batch=4, bandwidth_mbps=100.0)
    simulated = simulate(scenario, profile, trace=True)
    start = next(span.start_s for span in simulated.spans if (span.rank, span.name, span.block) == (0, "block", 1))
    spans = []
    for span in simulated.spans:
        begin = span.start_s + (0.01 if span.start_s > start else 0.0)
        end = span.end_s + (0.01 if span.end_s > start else 0.0)
        if (span.rank, span.start_s) != (0, start) and span.start_s <= start:
            end = span.end_s
        spans.append(replace(span, start_s=begin, end_s=max(begin, end)))
    return SpanPair(replace(simulated, source="measured", spans=tuple(spans)), simulated)


def test_the_block_in_which_a_pass_parts_is_found(pair: SpanPair) -> None:
    lag, added_s = parting_blocks(lags(pair))[0]
    assert lag.block in (1, 2)
    assert added_s == pytest.approx(-0.01)
    assert partings(pair)[0].stage == "compute"
    assert partings(pair)[0].apart_s == pytest.approx(-0.01)


def test_both_passes_are_in_one_trace(pair: SpanPair) -> None:
    events = trace_of(pair)["traceEvents"]
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names[0].startswith("measured: rank 0")
    assert names[100].startswith("simulated: rank 0")
    assert set(names) == {0, 1, 100, 101}
    complete = [event for event in events if event["ph"] == "X"]
    assert len(complete) == len(pair.measured.spans) + len(pair.simulated.spans)


def test_the_pass_nearest_to_its_median_is_shown(pair: SpanPair) -> None:
    near, far = pair.measured, replace(pair.measured, total_s=pair.measured.total_s * 3)
    bare = replace(pair.measured, spans=())
    found = typical_pass(cases_of([far, near, bare]), machine())
    assert found is not None
    assert found.measured is near
    assert typical_pass(cases_of([bare]), machine()) is None


# --- the command ---


def test_the_command_reports_and_leaves_with_one_where_a_gate_fails(cli: Cli, tmp_path: Path, pair: SpanPair) -> None:
    few = corpus(list(scenarios(batches=[1, 4], bandwidths=[60.0, 400.0])), runs=3)
    write_measurements(tmp_path / "runs.jsonl", [*few, pair.measured])
    options = ["--report", "fidelity.html", "--trace", "pass.json", "--write-baseline", "base.json", "--quick"]
    done = cli("validate", "--measurements", "runs.jsonl", *options, "--json")
    assert done.code == 1
    assert done.json["gates_passed"] is False
    assert "folds: cases missing for the coverage" in done.err
    page = (tmp_path / "fidelity.html").read_text(encoding="utf-8")
    assert_self_contained(page)
    assert page.count("<svg") >= 4
    assert json.loads((tmp_path / "pass.json").read_text(encoding="utf-8"))["traceEvents"]
    assert read_baseline(tmp_path / "base.json").errors_pct


@pytest.mark.parametrize("option", ["--baseline", "--write-baseline", "--trace"])
def test_options_of_a_corpus_need_one(cli: Cli, option: str) -> None:
    done = cli("validate", option, "x.json")
    assert done.code == 2
    assert "needs --measurements" in done.err


def test_no_spans_no_trace(cli: Cli, tmp_path: Path) -> None:
    few = corpus(list(scenarios(batches=[1, 4], bandwidths=[60.0, 400.0])), runs=1)
    write_measurements(tmp_path / "runs.jsonl", few)
    done = cli("validate", "--measurements", "runs.jsonl", "--trace", "pass.json", "--quick")
    assert done.code == 2
    assert "no run has spans" in done.err


@pytest.mark.slow
def test_fifty_designed_cases_come_near_the_full_fit(runs: list[Measurement], cases: tuple[Case, ...]) -> None:
    found = assess(cases, facts(runs), baseline=Baseline({}))
    needed = cases_needed(found.learning)
    assert needed is not None
    assert needed <= 50
    assert "designed" in corpus_report_html(found, "prism validate").lower()


def test_calibration_of_all_cases_is_kept(assessment: Assessment, runs: list[Measurement]) -> None:
    again = calibrate_corpus(assessment.cases, facts(runs))
    assert again.profile == assessment.calibration.profile
