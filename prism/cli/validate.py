"""`prism validate`: simulated against measured, with gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from prism.cli.output import json_option, print_json, print_table, say

if TYPE_CHECKING:
    from validation.validate import Validation


@click.command(epilog="Example: prism validate --report out/validation.html; prism validate --json")
@click.option("--report", type=Path, help="Write a self-contained HTML report here.")
@json_option
def validate(report: Path | None, as_json: bool) -> None:
    """Compare simulated with published latency, each batch size held out in turn. Exit code 1 if a gate fails."""
    from prism.files import write_text
    from validation.report import report_html
    from validation.validate import validate_published, validation_summary

    validation = validate_published()
    if report is not None:
        write_text(report, report_html(validation))
        say(f"report written to {report}")
    if as_json:
        print_json(validation_summary(validation))
    else:
        _print(validation)
    if not validation.passed:
        failed = [gate.name for gate in validation.gates if not gate.passed]
        say(f"error: {len(failed)} of {len(validation.gates)} gates failed: {'; '.join(failed)}")
        click.get_current_context().exit(1)


def _print(validation: Validation) -> None:
    rows = []
    for mode, summary in validation.modes.items():
        for stage, errors in {"total": summary.total, **summary.stages}.items():
            figures = (errors.mape_pct, errors.max_pct, errors.bias_pct)
            rows.append(
                [
                    f"{mode} {stage}",
                    *(f"{figure:+.2f}" if index == 2 else f"{figure:.2f}" for index, figure in enumerate(figures)),
                ]
            )
    print_table(
        "Simulated against published, each batch size held out in turn", ["", "MAPE %", "worst %", "bias %"], rows
    )
    print_table(
        "Latency saved over full_tensor, fitted to all data",
        ["batch", "published %", "simulated %", "published choice", "simulated choice"],
        [
            [
                str(gain.batch),
                f"{gain.published_latency_pct:.1f}",
                f"{gain.simulated_latency_pct:.1f}",
                gain.published_choice,
                gain.simulated_choice,
            ]
            for gain in validation.gains
        ],
    )
    print_table(
        "Gates",
        ["gate", "value", "limit", "unit", ""],
        [
            [gate.name, f"{gate.value:.3g}", f"{gate.limit:.3g}", gate.unit, "passed" if gate.passed else "FAILED"]
            for gate in validation.gates
        ],
    )
    click.echo("Oddities of the published tables, shown and not smoothed away:")
    for oddity in validation.oddities:
        click.echo(f"- {oddity}")
