"""`prism compare`: every way to split one pass, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prism.cli.output import json_option, print_json, print_table, progress, say
from prism.cli.what_if import WhatIf, what_if_options

if TYPE_CHECKING:
    from prism.profile import SystemProfile
    from sim.comparators.compare import Question, Way


@click.command(
    epilog="Example: prism compare --model vit_large_patch16_224 --batch 8 --bandwidth 400 --devices 4 --segments 10 "
    "--plot out/ways.svg"
)
@click.option("--model", default="vit_base_patch16_224", show_default=True, help="Model from the catalogue.")
@click.option("--devices", type=int, default=2, show_default=True, help="Boards P.")
@click.option("--segments", type=int, help="Segments per partition L of Segment Means.  [default: 10]")
@click.option("--cr", type=float, help="Compression rate N / (L P) instead of --segments.")
@click.option("--batch", type=int, default=1, show_default=True, help="Samples in the pass.")
@click.option("--bandwidth", help="Throttle of the link: 400, '400 Mbps', '0.4Gbps'.  [default: 400]")
@click.option("--wire-dtype", default="float32", show_default=True, help="float32 or float16.")
@click.option(
    "--input",
    "input_distribution",
    default="replicated",
    show_default=True,
    help="replicated, or image: the terminal device sends the input to the boards that read it.",
)
@click.option("--microbatches", type=int, help="Parts of the batch in the pipeline.  [default: as many as boards]")
@click.option("--keep", type=float, help="Share of width in a class-wise sub-model.  [default: 1 / P]")
@click.option("--selected", type=int, help="Tokens that a board selects and sends.  [default: as many as segments]")
@click.option("--profile", default="orin_nano_published", show_default=True, help="Shipped profile or a file.")
@click.option("--plot", "plot_path", type=Path, help="Write a plot here (SVG).")
@what_if_options
@json_option
def compare(
    *,
    model: str,
    devices: int,
    segments: int | None,
    cr: float | None,
    batch: int,
    bandwidth: str | None,
    wire_dtype: str,
    input_distribution: str,
    microbatches: int | None,
    keep: float | None,
    selected: int | None,
    profile: str,
    plot_path: Path | None,
    as_json: bool,
    what_if: WhatIf,
) -> None:
    """Compare ways to split a pass: Prism's modes, tensor parallelism, a pipeline, class-wise models, token selection.

    Every way runs on the same profile and link. Only their times are simulated; whether an answer stays as good is not.
    """
    from prism.cli.simulate import plan_of
    from prism.scenario import Scenario
    from sim.comparators.compare import COUNT, Question
    from sim.comparators.compare import compare as run

    shape = what_if.shape(model)
    segments = 10 if segments is None and cr is None else segments
    plan = plan_of(
        shape, "segment_means", devices, segments, cr, wire_dtype, "blocking", input_distribution, True, None
    )
    scenario = Scenario(shape, batch, what_if.bandwidth_mbps(bandwidth), plan)
    scenario.schedule()  # refuses what cannot be before anything runs
    system = what_if.profile(profile)
    question = Question(scenario, microbatches, keep, selected)
    with progress("simulating", COUNT) as advance:
        ways = run(question, system, advance)
    if plot_path is not None:
        _plot(plot_path, ways, question)
    if as_json:
        print_json(_answer(ways, question, system, what_if))
    else:
        _print(ways, question, what_if)


def _plot(path: Path, ways: list[Way], question: Question) -> None:
    from prism.files import write_text
    from prism.report.plot import figure_svg
    from sim.comparators.plot import ways_figure

    description = f"Latency and bytes sent of {len(ways)} ways to split {question.scenario.shape.name}"
    write_text(path, figure_svg(ways_figure(ways), description))
    say(f"plot written to {path}")


def _answer(ways: list[Way], question: Question, system: SystemProfile, what_if: WhatIf) -> dict[str, Any]:
    from prism.profile import extrapolations
    from sim.simulate import upper_bounds

    scenario = question.scenario
    return {
        "model": scenario.shape.name,
        "devices": scenario.plan.devices,
        "batch": scenario.batch,
        "bandwidth_mbps": scenario.bandwidth_mbps,
        "segments": scenario.plan.segments,
        "profile": system.name,
        "ways": [_way(way) for way in ways],
        "extrapolated": [*extrapolations(system, scenario), *upper_bounds(scenario)],
        "what_if": what_if.notes(),
    }


def _way(way: Way) -> dict[str, Any]:
    stages = way.terminal
    return {
        "name": way.name,
        "feasible": way.problem is None,
        "problem": way.problem,
        "total_ms": None if way.total_s is None else way.total_s * 1e3,
        "compute_ms": None if stages is None else stages.compute_s * 1e3,
        "staging_ms": None if stages is None else stages.staging_s * 1e3,
        "communication_ms": None if stages is None else stages.communication_s * 1e3,
        "sent_bytes": way.sent_bytes,
        "largest_sent_bytes": way.largest_sent_bytes,
        "memory_bytes": way.memory_bytes,
        "energy_j": way.all_boards_j,
        "exact": way.exact,
        "gives_up": way.gives_up,
        "source": way.source,
    }


def _print(ways: list[Way], question: Question, what_if: WhatIf) -> None:
    scenario = question.scenario
    done = [way for way in ways if way.total_s is not None]
    local_s = next((way.total_s for way in done if way.name == "local"), None)
    rows = []
    for way in done:
        assert way.total_s is not None
        assert way.terminal is not None
        stages = (way.total_s, way.terminal.compute_s, way.terminal.staging_s, way.terminal.communication_s)
        against = "-" if local_s is None else f"{way.total_s / local_s:.2f}"
        joules = "-" if way.all_boards_j is None else f"{way.all_boards_j:.1f}"
        sent_mb, memory_mb = way.sent_bytes / 1e6, way.memory_bytes / 1e6
        exact = "exact" if way.exact else "other"
        rows.append(
            [
                way.name,
                *(f"{1e3 * part:.1f}" for part in stages),
                *(against, f"{sent_mb:.2f}", f"{memory_mb:.0f}", joules, exact),
            ]
        )
    print_table(
        f"Simulated: {scenario.shape.name}, {scenario.plan.devices} boards, batch {scenario.batch}, "
        f"{scenario.bandwidth_mbps:.4g} Mbps, {scenario.plan.input_distribution} input",
        [
            "way",
            "total ms",
            "compute ms",
            "staging ms",
            "comm. ms",
            "x local",
            "sent MB",
            "memory MB",
            "energy J",
            "answer",
        ],
        rows,
    )
    for way in ways:
        if way.problem is not None:
            click.echo(f"Not possible: {way.name}: {way.problem}.")
    for way in done:
        click.echo(f"{way.name}: {way.gives_up} ({way.source}).")
    click.echo("Only Prism's own modes are fitted to measurements; the other ways are priced by what those cost.")
    for note in what_if.notes():
        click.echo(f"What if: {note}.")
