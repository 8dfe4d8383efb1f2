"""`prism ask`: questions that have one answer, each solved for and with how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prism.cli import ask_show as shown
from prism.cli.ask_options import (
    Asked,
    about_a_plan,
    about_a_system,
    errors_of,
    search_range,
    seeded,
    whole_numbers,
    with_draws,
)
from prism.cli.output import json_option, print_json, progress, say

if TYPE_CHECKING:
    from prism.plan import Plan

search_option = click.option(
    "--search", default="1,10000", show_default=True, help="Bandwidths to look between: LOW,HIGH in Mbps."
)
plot_option = click.option("--plot", type=Path, help="Write a picture here, as .svg or .png.")


@click.group(
    epilog="Example: prism ask crossover --segments 10 --batch 8. Each question has its own --help and --json."
)
def ask() -> None:
    """Ask one question and get one answer, solved for, with an interval where the profile gives one."""


@ask.command(epilog="Example: prism ask crossover --segments 10 --batch 8 --plot out/crossover.svg")
@about_a_plan
@search_option
@click.option("--max-batch", type=int, default=64, show_default=True, help="Largest batch to look at.")
@with_draws
@plot_option
@json_option
def crossover(
    asked: Asked, search: str, max_batch: int, draws: int | None, seed: int, plot: Path | None, as_json: bool
) -> None:
    """From which bandwidth on, and at which batches, does splitting beat local execution?"""
    from sim.answers.crossover import bandwidth_crossover, batch_crossover
    from sim.answers.plots import crossover_figure

    between = search_range(search)
    errors = errors_of(asked, draws, seed)
    with _infeasible_is_an_answer(asked, as_json):
        over_bandwidth = bandwidth_crossover(
            asked.shape, asked.plan, asked.batch, asked.profile, errors=errors, search_mbps=between
        )
        over_batches = batch_crossover(
            asked.shape, asked.plan, asked.bandwidth_mbps, asked.profile, errors=errors, largest=max_batch
        )
        if plot is not None:
            figure = crossover_figure(asked.shape, asked.profile, over_bandwidth, errors)
            _write_plot(plot, figure, f"Simulated latency of {asked.plan.label} and local over bandwidth.")
        if as_json:
            answers = {
                "over_bandwidth": shown.bandwidth_crossover_json(asked, over_bandwidth),
                "over_batches": shown.batch_crossover_json(over_batches),
            }
            print_json(shown.case(asked) | {"feasible": True} | answers)
        else:
            shown.show_bandwidth_crossover(asked, over_bandwidth)
            shown.show_batch_crossover(over_batches)


@ask.command(epilog="Example: prism ask bandwidth --segments 10 --batch 8 --latency 300")
@about_a_plan
@click.option("--latency", type=float, help="Milliseconds within which the answer must be held.")
@click.option("--margin", type=float, help="Per cent of the local latency that splitting must save.  [default: 0]")
@search_option
@with_draws
@json_option
def bandwidth(
    asked: Asked,
    latency: float | None,
    margin: float | None,
    search: str,
    draws: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """What bandwidth do I need, for a latency or for splitting to beat local execution by a margin?"""
    from prism.errors import InputError
    from prism.units import check_range
    from sim.answers.bandwidth_for import bandwidth_for

    if latency is not None and margin is not None:
        raise InputError("give --latency or --margin, not both")
    if latency is not None:
        check_range("latency in ms", latency, 1e-3, 1e9)
    check_range("margin in per cent", margin or 0.0, 0, 99)
    between = search_range(search)
    with _infeasible_is_an_answer(asked, as_json):
        answer = bandwidth_for(
            asked.shape,
            asked.plan,
            asked.batch,
            asked.profile,
            target_s=None if latency is None else latency / 1e3,
            margin=(margin or 0.0) / 100,
            errors=errors_of(asked, draws, seed),
            search_mbps=between,
        )
        if as_json:
            print_json(shown.case(asked) | {"feasible": True} | shown.needed_json(asked, answer))
        else:
            shown.show_needed(asked, answer)


@ask.command(epilog="Example: prism ask boards --batch 8 --bandwidth 400 --max-cr 10 --threshold 5")
@about_a_system
@click.option("--most", type=int, default=8, show_default=True, help="Boards at most.")
@click.option("--segments", help="Numbers of segments to try, such as 10,20,30.  [default: a ladder from 1 to 100]")
@click.option("--max-cr", type=float, default=10.0, show_default=True, help="Leave out plans that compress more.")
@click.option("--threshold", type=float, default=5.0, show_default=True, help="Per cent a further board must save.")
@json_option
def boards(asked: Asked, most: int, segments: str | None, max_cr: float, threshold: float, as_json: bool) -> None:
    """How many boards are worth it?"""
    from sim.answers.boards_worth import boards_worth

    answer = boards_worth(
        asked.shape,
        asked.batch,
        asked.bandwidth_mbps,
        asked.profile,
        template=asked.plan,
        segments=None if segments is None else whole_numbers("segments", segments),
        max_compression_rate=max_cr,
        most=most,
        threshold=threshold / 100,
    )
    if as_json:
        print_json(shown.case(asked) | shown.boards_json(asked, answer))
    else:
        shown.show_boards(asked, answer)


@ask.command(epilog="Example: prism ask pareto --batch 8 --devices 2,3 --segments 5,10,20,30 --plot out/pareto.svg")
@about_a_system
@click.option("--devices", default="2", show_default=True, help="Numbers of boards to choose from, such as 2,3.")
@click.option("--segments", default="10,20,30", show_default=True, help="Numbers of segments to choose from.")
@plot_option
@json_option
def pareto(asked: Asked, devices: str, segments: str, plot: Path | None, as_json: bool) -> None:
    """Which plans does no other beat in latency, energy and compression at once?"""
    from sim.answers.pareto import pareto as front_of
    from sim.answers.plots import pareto_figure

    plans = _plans(asked, whole_numbers("devices", devices), whole_numbers("segments", segments))
    front = front_of(asked.shape, plans, asked.batch, asked.bandwidth_mbps, asked.profile)
    if plot is not None:
        figure = pareto_figure(front, asked.batch, asked.bandwidth_mbps)
        _write_plot(plot, figure, f"Simulated plans for {asked.shape.name}; those that no other beats are filled.")
    if as_json:
        print_json(shown.case(asked) | shown.pareto_json(asked, front))
    else:
        shown.show_pareto(asked, front)


@ask.command(epilog="Example: prism ask sensitivity --segments 10 --batch 8 --bandwidth 400 --vary 20")
@about_a_plan
@click.option("--vary", type=float, help="Per cent by which each parameter varies on either side.  [default: 20]")
@click.option("--from-profile", is_flag=True, help="Vary each as much as the profile's residuals leave open instead.")
@click.option(
    "--method", default="sobol", show_default=True, help="sobol: shares; morris: a ranking, from far fewer passes."
)
@click.option("--samples", type=int, help="Base samples, or Morris' trajectories.  [default: 2048; 20]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the samples.")
@json_option
def sensitivity(
    asked: Asked,
    vary: float | None,
    from_profile: bool,
    method: str,
    samples: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Which parameter decides whether splitting pays?"""
    from typing import cast

    from prism.errors import InputError
    from prism.units import check_range
    from sim.answers.sensitivity import PARAMETERS, half_widths
    from sim.answers.sensitivity import sensitivity as shares_of
    from sim.answers.variance import Method

    if from_profile and vary is not None:
        raise InputError("give --vary or --from-profile, not both")
    share = 20.0 if vary is None else vary
    check_range("variation in per cent", share, 0.01, 90)
    widths = half_widths(asked.profile, asked.plan) if from_profile else dict.fromkeys(PARAMETERS, share / 100)
    with _infeasible_is_an_answer(asked, as_json):
        answer = shares_of(
            asked.shape,
            asked.plan,
            asked.batch,
            asked.bandwidth_mbps,
            asked.profile,
            seeded(seed),
            widths=widths,
            method=cast("Method", method),  # names are checked there
            samples=samples,
        )
        if as_json:
            print_json(shown.case(asked) | {"feasible": True} | shown.sensitivity_json(asked, answer))
        else:
            shown.show_sensitivity(asked, answer)


@ask.command(
    epilog="Example: prism ask spread --segments 10 --batch 8 --jitter 0.1 --fading fades --low-bandwidth 25 "
    "--precision 1 --workers 2 --keep out/spread.jsonl"
)
@about_a_plan
@click.option("--jitter", type=float, default=0.0, show_default=True, help="Coefficient of variation of every step.")
@click.option("--fading", help="How the link fades: steps, ramps, fades, outages or walk; --bandwidth is its best.")
@click.option("--low-bandwidth", help="The fading link at its worst.  [default: a sixteenth of --bandwidth]")
@click.option(
    "--dwell", type=float, default=40.0, show_default=True, help="Seconds the link stays as it is, on average."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything that varies.")
@click.option("--precision", type=float, default=1.0, show_default=True, help="Per cent: half of the 95 % interval.")
@click.option("--of", "figure", default="mean", show_default=True, help="Of what: mean, p50, p90 or p99.")
@click.option("--most", type=int, default=20_000, show_default=True, help="Replications at most.")
@click.option(
    "--workers", type=int, default=1, show_default=True, help="Processes; the answer does not depend on them."
)
@click.option("--keep", type=Path, help="File of finished replications; one that exists is gone on with.")
@json_option
def spread(
    asked: Asked,
    jitter: float,
    fading: str | None,
    low_bandwidth: str | None,
    dwell: float,
    seed: int,
    precision: float,
    figure: str,
    most: int,
    workers: int,
    keep: Path | None,
    as_json: bool,
) -> None:
    """How much does latency scatter when steps jitter and the link fades, and how often is splitting the sooner?"""
    from typing import cast

    from prism.scenario import Scenario
    from prism.units import check_range, parse_bandwidth_mbps
    from sim.answers.replicate import Fading, Randomness
    from sim.answers.replications import Figure, Precision, run_replications

    check_range("seed", seed, 0, 2**63)
    check_range("jitter", jitter, 0, 2)
    check_range("precision in per cent", precision, 1e-4, 100)
    fades = None
    if fading is not None:
        high_mbps = asked.bandwidth_mbps
        low_mbps = high_mbps / 16 if low_bandwidth is None else parse_bandwidth_mbps(low_bandwidth)
        fades = Fading(fading, low_mbps, high_mbps, dwell)
    scenario = Scenario(asked.shape, asked.batch, asked.bandwidth_mbps, asked.plan)
    wanted = Precision(cast("Figure", figure), precision / 100, most)  # names are checked there
    with _infeasible_is_an_answer(asked, as_json), progress("replicating", most) as advance:
        answer = run_replications(
            scenario,
            asked.profile,
            Randomness(jitter, fades, seed),
            wanted,
            workers=workers,
            journal=keep,
            after_each=advance,
        )
        if as_json:
            print_json(shown.case(asked) | {"feasible": True} | shown.scatter_json(asked, answer))
        else:
            shown.show_scatter(asked, answer)


def _plans(asked: Asked, devices: tuple[int, ...], segments: tuple[int, ...]) -> list[Plan]:
    """Local execution, full tensors, and each number of segments that the model admits, on each number of boards."""
    from dataclasses import replace

    from prism.errors import InputError
    from sim.answers.boards_worth import known_to
    from sim.answers.passes import local_of

    plans = [local_of(asked.plan)]
    for number in devices:
        if number == 1:
            continue
        whole = replace(asked.plan, devices=number)
        largest = max(whole.partition(asked.shape.tokens))
        fitting = [count for count in segments if count <= largest]
        plans += [whole, *(replace(whole, mode="segment_means", segments=count) for count in fitting)]
    known = [plan for plan in plans if known_to(asked.profile, plan)]
    if not known:
        raise InputError(f"profile {asked.profile.name!r} knows none of the plans' modes; calibrate it from such runs")
    return known


def _write_plot(path: Path, figure: Any, description: str) -> None:
    shown.write_picture(path, figure, description)
    say(f"picture written to {path}")


@contextmanager
def _infeasible_is_an_answer(asked: Asked, as_json: bool) -> Iterator[None]:
    """A plan that no board's memory holds is no error of the user's."""
    from prism.memory import InfeasiblePlan

    try:
        yield
    except InfeasiblePlan as reason:
        if as_json:
            print_json(shown.case(asked) | {"feasible": False, "reason": str(reason)})
        else:
            click.echo(f"Infeasible: {reason}.")
