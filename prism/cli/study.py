"""`prism study`: a what-if sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from prism.cli.output import json_option, print_json, print_table, progress, say

if TYPE_CHECKING:
    from sim.study.result import StudyResult


@click.command(
    epilog="Example: prism study (the paper's grid); prism study examples/faster_staging.toml --out out/staging --json"
)
@click.argument("study_file", type=Path, required=False)
@click.option("--out", type=Path, default=Path("out/study"), show_default=True, help="Folder for table and report.")
@json_option
def study(study_file: Path | None, out: Path, as_json: bool) -> None:
    """Sweep what STUDY_FILE (TOML) says, or the paper's grid without one, and find the crossovers.

    Writes results.csv, report.html and map.svg (the fastest plan over batch and bandwidth) into the folder --out.
    """
    from prism.errors import InputError
    from prism.files import atomic_path, write_text
    from prism.profile import load_profile
    from sim.study.report import map_svg, report_html
    from sim.study.result import run_study
    from sim.study.spec import Study, load_study
    from sim.study.summary import study_summary

    plan = Study() if study_file is None else load_study(study_file)
    try:
        profile = load_profile(plan.profile)
        points = plan.points()
    except InputError as error:
        raise InputError(f"{study_file}: {error}" if study_file else str(error)) from None
    with progress("simulating", len(points)) as advance:
        result = run_study(plan, profile, points, advance)
    command = f"prism study {study_file}" if study_file else "prism study"
    table_path, report_path = out / "results.csv", out / "report.html"
    with atomic_path(table_path) as temporary:
        result.table.to_csv(temporary, index=False)
    picture = map_svg(result)
    if picture is not None:
        write_text(out / "map.svg", picture)
    write_text(report_path, report_html(result, command))
    if as_json:
        print_json(study_summary(result) | {"table": str(table_path), "report": str(report_path)})
    else:
        _print(result)
    say(f"table:  {table_path}")
    say(f"report: {report_path}")


def _print(result: StudyResult) -> None:
    from sim.study.summary import bandwidth_rows, batch_rows, best_plans

    print_table(*best_plans(result))
    print_table(*batch_rows(result))
    print_table(*bandwidth_rows(result))
    table = result.table
    click.echo(f"{len(table)} results, {int((table['extrapolated'] != '').sum())} of them extrapolated.")
