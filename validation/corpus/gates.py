"""The limits of issue 5, written down before any corpus was measured, and whether a corpus keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from validation.corpus.decisions import Decision, DecisionSummary
from validation.corpus.errors import ALL, Errors, ModeErrors
from validation.corpus.learning import LearningPoint, cases_needed
from validation.gates import Gate

#: Mean absolute error of the total by split, percent. A limit never lies below `FLOOR_TIMES` the noise floor.
MAPE_LIMITS_PCT = {"folds": 3.0, "batch": 5.0, "bandwidth": 5.0, "model": 10.0}
FLOOR_TIMES = 1.2
P90_LIMIT_PCT = 7.0
#: Mean absolute error of a stage. Staging is a memory copy on a CPU testbed: shown, not gated.
STAGE_LIMITS_PCT = {"compute": 4.0, "communication": 8.0}
#: Stages that a split is judged by. Where more boards are predicted than were fitted, their compute may be replayed.
GATED_STAGES = {"folds": ("compute", "communication"), "ranks": ("communication",)}
COVERAGE_PCT, COVERAGE_WITHIN_POINTS, COVERAGE_CASES = 90.0, 5.0, 150
DECISIONS, SIDE_SHARE_PCT, DISAGREEMENT_LIMIT_PCT, REGRET_LIMIT_PCT = 40, 100 / 3, 5.0, 1.0
CASES_NEEDED, CASES_NEEDED_TIMES = 50, 1.5
COVERAGE_NAME, CASES_NAME = "folds: coverage of 90 % intervals, off by", "folds: cases missing for the coverage"
DECISIONS_NAME, SIDES_NAME = "folds: decisions missing", "folds: decisions of the side that wins more"
#: Gates that ask for as many cases as a share can be told from.
EVIDENCE = (COVERAGE_NAME, CASES_NAME, DECISIONS_NAME, SIDES_NAME)
#: A case that errs by so many points more than in the baseline got worse.
WORSE_BY_POINTS = 1.0


def error_gates(split: str, modes: Mapping[str, ModeErrors]) -> Iterator[Gate]:
    """Errors of a split: of the total, and in the five folds of stages and of the worst tenth."""
    for mode, errors in modes.items():
        if mode == ALL:
            continue
        if split in MAPE_LIMITS_PCT:
            yield _mape_gate(f"{split}, {mode}: MAPE of the total", errors.total, MAPE_LIMITS_PCT[split])
        if split == "folds":
            yield Gate(f"{split}, {mode}: P90 of the total", errors.total.p90_pct, P90_LIMIT_PCT, "%")
        for stage in GATED_STAGES.get(split, ()):
            if stage in errors.stages:
                yield _mape_gate(f"{split}, {mode}: MAPE of {stage}", errors.stages[stage], STAGE_LIMITS_PCT[stage])


def coverage_gates(modes: Mapping[str, ModeErrors]) -> Iterator[Gate]:
    """Intervals of the five folds, all modes pooled."""
    pooled = modes[ALL]
    off = abs(pooled.coverage_pct - COVERAGE_PCT)
    yield Gate(COVERAGE_NAME, off, COVERAGE_WITHIN_POINTS, "points")
    yield Gate(CASES_NAME, max(0, COVERAGE_CASES - pooled.total.cases), 0, "cases")


def decision_gates(summary: DecisionSummary | None) -> Iterator[Gate]:
    """Choices of the five folds."""
    if summary is None or summary.agreement_pct is None:
        yield Gate(DECISIONS_NAME, DECISIONS, 0, "decisions")
        return
    yield Gate(DECISIONS_NAME, max(0, DECISIONS - summary.decisions), 0, "decisions")
    smaller = min(summary.won_by_local_pct, 100 - summary.won_by_local_pct)
    yield Gate(SIDES_NAME, 100 - smaller, 100 - SIDE_SHARE_PCT, "%")
    yield Gate("folds: clear decisions chosen wrong", 100 - summary.agreement_pct, DISAGREEMENT_LIMIT_PCT, "%")
    yield Gate("folds: mean regret", summary.mean_regret_pct, REGRET_LIMIT_PCT, "%")


def learning_gates(curve: Sequence[LearningPoint]) -> Iterator[Gate]:
    """Cases that must be measured for an error near that of the full fit."""
    needed = cases_needed(curve, CASES_NEEDED_TIMES)
    name = f"cases for an error within {CASES_NEEDED_TIMES:g} times of the full fit's"
    yield Gate(name, float("nan") if needed is None else needed, CASES_NEEDED, "cases")


def baseline_gates(errors_pct: Mapping[str, float], baseline_pct: Mapping[str, float]) -> Iterator[Gate]:
    """One gate for each case that got worse since the baseline was written, and one that says that none did.

    A case that the baseline has and the corpus has not counts as one too: a gate must not pass by losing cases.
    """
    worse = 0
    for label, before in baseline_pct.items():
        now = abs(errors_pct.get(label, float("nan")))
        limit = abs(before) + WORSE_BY_POINTS
        if not now <= limit:
            worse += 1
            yield Gate(f"got worse: {label}", now, limit, "%")
    yield Gate("cases that got worse than in the baseline", worse, 0, "cases")


def wrong_decisions(found: Sequence[Decision]) -> tuple[Decision, ...]:
    """The clear decisions that were chosen wrong, costliest first."""
    wrong = [each for each in found if each.clear and not each.agrees]
    return tuple(sorted(wrong, key=lambda each: -each.regret_pct))


def _mape_gate(name: str, errors: Errors, limit: float) -> Gate:
    return Gate(name, errors.mape_pct, max(limit, FLOOR_TIMES * errors.noise_floor_pct), "%")
