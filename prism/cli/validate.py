"""`prism validate`: simulated against measured, with gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from prism.cli.output import json_option, print_json, print_table, say

if TYPE_CHECKING:
    from validation.validate import Validation


@click.command(
    epilog="Example: prism validate --report out/validation.html; prism validate --json; "
    "prism validate --measurements runs.jsonl --report out/fidelity.html --trace out/pass.json; "
    "prism validate --live --out out/live --report out/live.html"
)
@click.option("--report", type=Path, help="Write a self-contained HTML report here.")
@click.option(
    "--measurements",
    type=Path,
    help="Validate against these measured runs instead: JSON lines, one a run, or a folder of such files.",
)
@click.option("--baseline", type=Path, help="With --measurements: errors by case that must not get worse.")
@click.option("--write-baseline", type=Path, help="With --measurements: write the errors by case here.")
@click.option("--trace", type=Path, help="With --measurements: a pass, measured and simulated, for ui.perfetto.dev.")
@click.option("--live", is_flag=True, help="Measure a corpus on a testbed of this machine now, and validate on it.")
@click.option("--design", type=Path, help="With --live: what to measure (TOML).  [default: a few minutes' worth]")
@click.option("--out", type=Path, help="With --live: folder that keeps the runs; a recording begun there goes on.")
@click.option("--quick", is_flag=True, help="With --measurements: leave the error against the number of cases out.")
@click.option("--memory-gb", type=float, default=8.0, show_default=True, help="Memory of a board, 1e9 bytes.")
@json_option
def validate(
    report: Path | None,
    measurements: Path | None,
    baseline: Path | None,
    write_baseline: Path | None,
    trace: Path | None,
    live: bool,
    design: Path | None,
    out: Path | None,
    quick: bool,
    memory_gb: float,
    as_json: bool,
) -> None:
    """Compare simulated with measured latency of cases that calibration never saw. Exit code 1 if a gate fails.

    Without --measurements: the published means, each batch size held out in turn.
    """
    if live and measurements is not None:
        raise click.UsageError("--live measures its own runs: leave --measurements out")
    for option, given in (("design", design), ("out", out)):
        if given is not None and not live:
            raise click.UsageError(f"--{option} needs --live")
    if live or measurements is not None:
        from prism.cli.fidelity import Request, validate_corpus
        from prism.cli.live import validate_live

        source = measurements or Path("live")
        request = Request(source, report, baseline, write_baseline, trace, quick or live, memory_gb, as_json)
        validate_live(request, out, design) if live else validate_corpus(request)
        return
    for option, given in (("baseline", baseline), ("write-baseline", write_baseline), ("trace", trace)):
        if given is not None:
            raise click.UsageError(f"--{option} needs --measurements: the published means have no single runs")
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
