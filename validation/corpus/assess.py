"""The whole validation of a corpus: every split predicted, compared, decided and gated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.build import ProfileFacts
from calibration.corpus.build import CorpusCalibration, calibrate_corpus
from calibration.corpus.cases import Case
from calibration.corpus.design import measuring_order
from prism.errors import InputError
from validation.corpus.baseline import Baseline, errors_by_case, missed_before
from validation.corpus.crossovers import Crossing, Crossover, crossovers
from validation.corpus.decisions import Decision, DecisionSummary, by_winner, decisions
from validation.corpus.errors import ALL, ModeErrors, by_mode
from validation.corpus.gates import (
    EVIDENCE,
    baseline_gates,
    coverage_gates,
    decision_gates,
    error_gates,
    learning_gates,
    wrong_decisions,
)
from validation.corpus.learning import LearningPoint, cases_needed, learning_curve
from validation.corpus.predict import Prediction, predict_split
from validation.corpus.spans import SpanPair, typical_pass
from validation.corpus.splits import Split, splits
from validation.gates import Gate


@dataclass(frozen=True)
class SplitResult:
    """One split: what it predicted, and how well."""

    split: Split
    predictions: tuple[Prediction, ...]
    modes: dict[str, ModeErrors]
    decisions: tuple[Decision, ...]
    winners: dict[str, DecisionSummary]


@dataclass(frozen=True, eq=False)
class Assessment:
    """Everything that a corpus says of the simulator.

    Attributes:
        calibration: fitted to all cases.
        results: by the name of the split.
        learning: empty where it was not asked for.
        next_case: of the cases at hand, the one that would best be measured again.
        pair: one pass with spans beside its simulation, where a run has spans.
        missed_before: names of gates that failed already when the baseline was written, and are no worse.
    """

    cases: tuple[Case, ...]
    calibration: CorpusCalibration
    results: dict[str, SplitResult]
    crossovers: tuple[Crossover, ...]
    learning: tuple[LearningPoint, ...]
    next_case: str
    pair: SpanPair | None
    gates: tuple[Gate, ...]
    missed_before: tuple[str, ...] = ()

    @property
    def folds(self) -> SplitResult:
        return self.results["folds"]

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.gates)

    @property
    def failed(self) -> tuple[Gate, ...]:
        """Gates that failed and did not do so before, or are worse."""
        return tuple(gate for gate in self.gates if not gate.passed and gate.name not in self.missed_before)


def assess(
    cases: Sequence[Case],
    facts: ProfileFacts,
    *,
    baseline: Baseline | None = None,
    learning: bool = True,
    few: bool = False,
    after_each: Callable[[], None] = lambda: None,
) -> Assessment:
    """Validate a corpus.

    Args:
        cases: all of it.
        facts: what a profile says of the system that no fit can tell.
        baseline: errors that no case may exceed by much.
        few: whether the corpus is too small to be judged by its number of cases and decisions: without those gates.
        learning: whether to find how the error falls with the number of cases, which takes longest.
        after_each: called after each split.

    Raises:
        InputError: too few cases for a fit in some fold.
    """
    calibration = calibrate_corpus(cases, facts)
    results: dict[str, SplitResult] = {}
    for split in splits(cases):
        folds = results.get("folds")
        results[split.name] = _result(cases, split, facts, () if folds is None else folds.predictions)
        after_each()
    if "folds" not in results:
        raise InputError("the corpus allows no held-out fold; measure distributed cases at more places")
    folds = results["folds"]
    curve = learning_curve(cases, folds.split, facts) if learning else ()
    scenarios = [case.scenario for case in cases]
    next_case = cases[measuring_order(scenarios, calibration, scenarios, count=1)[0]].key.label
    lines = (*crossovers(folds.decisions, "batch"), *crossovers(folds.decisions, "bandwidth"))
    gates = tuple(gate for gate in _gates(results, curve, baseline) if not (few and gate.name in EVIDENCE))
    return Assessment(
        tuple(cases),
        calibration,
        results,
        lines,
        curve,
        next_case,
        typical_pass(cases, calibration.profile),
        gates,
        tuple(gate.name for gate in gates if missed_before(gate, baseline)),
    )


def _result(cases: Sequence[Case], split: Split, facts: ProfileFacts, folds: Sequence[Prediction]) -> SplitResult:
    """A split that never holds `local` out decides against what the five folds predicted for it."""
    try:
        predictions = predict_split(cases, split, facts)
    except InputError as error:
        raise InputError(f"split {split.name!r}: {error}") from None
    local = [pair for pair in folds if pair.case.key.plan.mode == "local"]
    holds_local_out = any(pair.case.key.plan.mode == "local" for pair in predictions)
    found = decisions(predictions if holds_local_out else (*local, *predictions))
    return SplitResult(split, predictions, by_mode(predictions), found, by_winner(found))


def _gates(results: Mapping[str, SplitResult], curve: Sequence[LearningPoint], baseline: Baseline | None) -> list[Gate]:
    folds = results["folds"]
    gates = [gate for name, result in results.items() for gate in error_gates(name, result.modes)]
    gates += coverage_gates(folds.modes)
    gates += decision_gates(folds.winners.get(ALL))
    if curve:
        gates += learning_gates(curve)
    if baseline is not None:
        gates += baseline_gates(errors_by_case(folds.predictions), baseline.errors_pct)
    return gates


def assessment_summary(assessment: Assessment) -> dict[str, Any]:
    """What `prism validate --measurements FILE --json` prints."""
    return {
        "gates_passed": assessment.passed,
        "gates_failed_anew": [gate.name for gate in assessment.failed],
        "cases": len(assessment.cases),
        "runs": sum(len(case.runs) for case in assessment.cases),
        "splits": {name: _split_json(result) for name, result in assessment.results.items()},
        "crossovers": [_crossover_json(line) for line in assessment.crossovers],
        "learning_curve": [
            {"cases": point.cases, "designed_pct": point.designed_pct, "random_pct": point.random_pct}
            for point in assessment.learning
        ],
        "cases_needed": cases_needed(assessment.learning) if assessment.learning else None,
        "next_case": assessment.next_case,
        "gates": [
            {"name": gate.name, "value": _known(gate.value), "limit": gate.limit, "unit": gate.unit}
            | {"passed": gate.passed, "missed_before": gate.name in assessment.missed_before}
            for gate in assessment.gates
        ],
        "wrong_decisions": [each.label for each in wrong_decisions(assessment.folds.decisions)],
    }


def _split_json(result: SplitResult) -> dict[str, Any]:
    return {mode: _mode_json(errors, result.winners.get(mode)) for mode, errors in result.modes.items()}


def _mode_json(errors: ModeErrors, won: DecisionSummary | None) -> dict[str, Any]:
    """Decisions of a mode are those that it won by measurement."""
    total = errors.total
    return {
        "cases": total.cases,
        "mape_pct": total.mape_pct,
        "median_pct": total.median_pct,
        "p90_pct": total.p90_pct,
        "max_pct": total.max_pct,
        "bias_pct": total.bias_pct,
        "noise_floor_pct": total.noise_floor_pct,
        "coverage_pct": errors.coverage_pct,
        "decisions": 0 if won is None else won.decisions,
        "clear_decisions": 0 if won is None else won.clear,
        "decision_agreement_pct": None if won is None else won.agreement_pct,
        "mean_regret_pct": None if won is None else won.mean_regret_pct,
        "stages": {
            stage: {
                "mape_pct": each.mape_pct,
                "median_pct": each.median_pct,
                "p90_pct": each.p90_pct,
                "max_pct": each.max_pct,
                "bias_pct": each.bias_pct,
                "noise_floor_pct": each.noise_floor_pct,
            }
            for stage, each in errors.stages.items()
            if stage != "total"
        },
    }


def _crossover_json(line: Crossover) -> dict[str, Any]:
    return {
        "axis": line.axis,
        "line": line.label,
        "measured": _crossing_json(line.measured),
        "simulated": _crossing_json(line.simulated),
    }


def _crossing_json(crossing: Crossing) -> dict[str, float | None]:
    return {"at": crossing.at, "low": crossing.low, "high": crossing.high, "crosses_pct": crossing.crosses_pct}


def _known(value: float) -> float | None:
    """JSON knows no NaN: what could not be found is null."""
    return None if math.isnan(value) else value
