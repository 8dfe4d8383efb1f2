"""The part of `prism study` that runs a study whose engine is the twin."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from prism.cli.output import print_json, print_table, say, timed_progress
from prism.errors import RunFailed

if TYPE_CHECKING:
    from prism.profile import SystemProfile
    from sim.study.executor import Executor
    from sim.study.large.layout import Layout
    from sim.study.large.tally import Tally
    from sim.study.spec import Study

#: Of ru_maxrss: bytes on macOS, kibibytes elsewhere.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def run_large_study(
    study: Study, profile: SystemProfile, layout: Layout, out: Path, executor: Executor, as_json: bool
) -> None:
    """Simulate a large study into ``out/results.parquet`` and print its summary."""
    from sim.study.large.summary import ahead_text, answer, fastest_plans, large_summary

    say(ahead_text(layout))
    path = out / "results.parquet"
    begin = perf_counter()
    tally = _simulate(study, profile, layout, path, executor)
    spent = {"seconds": perf_counter() - begin, "peak_memory_mb": _peak_memory_mb()}
    if as_json:
        print_json(large_summary(study, profile, layout, tally) | spent | {"table": str(path)})
    else:
        print_table(*fastest_plans(tally))
        click.echo(answer(tally))
        click.echo(f"{tally.points:,} results, {tally.extrapolated:,} of them extrapolated.")
    say(f"table:  {path}")


def _simulate(study: Study, profile: SystemProfile, layout: Layout, path: Path, executor: Executor) -> Tally:
    from sim.study.large.run import partial_path, run_large

    begin = perf_counter()
    with timed_progress("simulating") as advance:

        def progress(done: int, total: int) -> None:
            advance(done, total, (perf_counter() - begin) * (total - done) / done)

        try:
            return run_large(study, profile, layout, path, executor, progress)
        except (KeyboardInterrupt, RunFailed):
            if partial_path(path).exists():
                say(f"what was simulated is in {partial_path(path)}; the same command goes on from there")
            raise


def _peak_memory_mb() -> float:
    """Of this process; workers of an executor are not in it."""
    peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak * _RSS_UNIT / 1e6)
