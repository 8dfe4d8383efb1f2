"""`prism validate --measurements`: simulated against a corpus of measured runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prism.cli.output import print_json, print_table, progress, say
from prism.errors import InputError

if TYPE_CHECKING:
    from validation.corpus.assess import Assessment
    from validation.gates import Gate


@dataclass(frozen=True)
class Request:
    """What was asked on the command line."""

    measurements: Path
    report: Path | None
    baseline: Path | None
    write_baseline: Path | None
    trace: Path | None
    quick: bool
    memory_gb: float
    as_json: bool
    few: bool = False


def validate_corpus(request: Request) -> None:
    """Assess the corpus, write what was asked for, print it, and leave with 1 if a gate fails."""
    from calibration.corpus.cases import cases_of
    from calibration.recorded import recorded_facts
    from prism.record import read_measurements
    from validation.corpus.assess import assess, assessment_summary
    from validation.corpus.baseline import read_baseline
    from validation.corpus.splits import splits

    baseline = None if request.baseline is None else read_baseline(request.baseline)
    runs = read_measurements(request.measurements)
    cases = cases_of(runs)
    facts = recorded_facts(runs, request.measurements.stem, request.memory_gb)
    with progress("splits held out", len(splits(cases))) as after_each:
        found = assess(
            cases, facts, baseline=baseline, learning=not request.quick, few=request.few, after_each=after_each
        )
    _write(request, found)
    if request.as_json:
        print_json(assessment_summary(found))
    else:
        _print(found)
    if found.missed_before:
        say(f"{len(found.missed_before)} targets are missed, as in the baseline: {'; '.join(found.missed_before)}")
    if found.failed:
        names = "; ".join(gate.name for gate in found.failed)
        say(f"error: {len(found.failed)} of {len(found.gates)} gates failed: {names}")
        click.get_current_context().exit(1)


def _write(request: Request, found: Assessment) -> None:
    from prism.files import write_text
    from validation.corpus.baseline import write_baseline
    from validation.corpus.report import corpus_report_html
    from validation.corpus.spans import write_pair_trace

    if request.report is not None:
        command = f"prism validate --measurements {request.measurements} --report FILE"
        write_text(request.report, corpus_report_html(found, command))
        say(f"report written to {request.report}")
    if request.write_baseline is not None:
        write_baseline(request.write_baseline, found.folds.predictions, found.gates)
        say(f"baseline written to {request.write_baseline}")
    if request.trace is not None:
        if found.pair is None:
            raise InputError(
                f"{request.measurements}: no run has spans, so there is no pass to lay beside a simulated one"
            )
        write_pair_trace(request.trace, found.pair)
        say(f"trace written to {request.trace}: open it in ui.perfetto.dev")


def _print(found: Assessment) -> None:
    for name, result in found.results.items():
        rows = []
        for mode, errors in result.modes.items():
            for stage, each in errors.stages.items():
                figures = (each.mape_pct, each.median_pct, each.p90_pct, each.max_pct, each.bias_pct)
                coverage = f"{errors.coverage_pct:.0f}" if stage == "total" else ""
                cells = [f"{figure:+.2f}" if index == 4 else f"{figure:.2f}" for index, figure in enumerate(figures)]
                rows.append([f"{mode} {stage}", str(each.cases), *cells, f"{each.noise_floor_pct:.2f}", coverage])
        columns = ["", "cases", "MAPE %", "median %", "P90 %", "max %", "bias %", "noise floor %", "coverage %"]
        print_table(f"Held out: {name}", columns, rows)
    for mode, summary in found.folds.winners.items():
        agreement = "-" if summary.agreement_pct is None else f"{summary.agreement_pct:.1f} %"
        click.echo(
            f"Decisions won by {mode}: {summary.decisions}, {summary.clear} clear, chosen right {agreement}, "
            f"mean regret {summary.mean_regret_pct:.2f} %."
        )
    print_table(
        "Gates",
        ["gate", "value", "limit", "unit", ""],
        [
            [gate.name, f"{gate.value:.3g}", f"{gate.limit:.3g}", gate.unit, _verdict(gate, found)]
            for gate in found.gates
        ],
    )


def _verdict(gate: Gate, found: Assessment) -> str:
    if gate.passed:
        return "passed"
    return "FAILED, as in the baseline" if gate.name in found.missed_before else "FAILED"
