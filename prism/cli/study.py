"""`prism study`: a what-if sweep."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prism.cli.large_study import run_large_study
from prism.cli.output import json_option, print_json, print_table, progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prism.profile import SystemProfile
    from sim.study.executor import Executor
    from sim.study.large.layout import Layout
    from sim.study.result import StudyResult
    from sim.study.spec import Point, Study


@click.command(
    epilog="Example: prism study (the paper's grid); prism study examples/faster_staging.toml --out out/staging "
    "--json; prism study examples/million.toml --executor tcp://10.0.0.1:8786"
)
@click.argument("study_file", type=Path, required=False)
@click.option("--out", type=Path, default=Path("out/study"), show_default=True, help="Folder for table and report.")
@click.option("--executor", "address", metavar="ADDRESS", help="A Dask scheduler whose workers simulate the points.")
@json_option
def study(study_file: Path | None, out: Path, address: str | None, as_json: bool) -> None:
    """Sweep what STUDY_FILE (TOML) says, or the paper's grid without one, and find the crossovers.

    Writes results.csv, report.html and map.svg (the fastest plan over batch and bandwidth) into the folder --out. A
    study with engine = "twin" is for up to millions of points: it writes results.parquet and a summary.
    """
    from prism.errors import InputError
    from prism.profile import load_profile
    from sim.study.spec import Study, load_study

    plan = Study() if study_file is None else load_study(study_file)
    try:
        profile = load_profile(plan.profile)
        layout = _laid_out(plan, profile) if plan.engine == "twin" else None
        points = plan.points() if layout is None else ()
    except InputError as error:
        raise InputError(f"{study_file}: {error}" if study_file else str(error)) from None
    with _executor(address) as executor:
        if layout is not None:
            run_large_study(plan, profile, layout, out, executor, as_json)
        else:
            command = f"prism study {study_file}" if study_file else "prism study"
            _run_small_study(plan, profile, points, out, executor, command, as_json)


def _laid_out(plan: Study, profile: SystemProfile) -> Layout:
    from sim.study.large.layout import lay_out

    return lay_out(plan, profile)


def _executor(address: str | None) -> AbstractContextManager[Executor]:
    if address is None:
        from sim.study.executor import Here

        return nullcontext(Here())
    from sim.study.cluster import Cluster

    return Cluster(address)


def _run_small_study(
    plan: Study,
    profile: SystemProfile,
    points: Sequence[Point],
    out: Path,
    executor: Executor,
    command: str,
    as_json: bool,
) -> None:
    from prism.files import atomic_path, write_text
    from sim.study.report import map_svg, report_html
    from sim.study.result import run_study
    from sim.study.summary import study_summary

    with progress("simulating", len(points)) as advance:
        result = run_study(plan, profile, points, advance, executor)
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
