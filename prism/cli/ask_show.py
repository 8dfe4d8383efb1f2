"""How answers look: the JSON object of each, and its table and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from prism.cli.output import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from prism.cli.ask_options import Asked
    from prism.plan import Plan
    from sim.answers.bandwidth_for import NeededBandwidth
    from sim.answers.boards_worth import BoardsWorth
    from sim.answers.confidence import Estimated
    from sim.answers.crossover import BandwidthCrossover, BatchCrossover, Interval
    from sim.answers.pareto import Front
    from sim.answers.replications import Scatter
    from sim.answers.sensitivity import Sensitivity


def case(asked: Asked) -> dict[str, Any]:
    """What every answer begins with."""
    return {
        "model": asked.shape.name,
        "batch": asked.batch,
        "bandwidth_mbps": asked.bandwidth_mbps,
        "profile": asked.profile.name,
        "source": "simulated",
    }


def plan_json(plan: Plan, tokens: int) -> dict[str, Any]:
    """A plan, and what it compresses."""
    return {"label": plan.label, "compression_rate": plan.compression_rate(tokens)} | asdict(plan)


def interval_json(interval: Interval | None) -> dict[str, Any] | None:
    """An interval; None where the profile gives no residuals or no draws were asked for."""
    if interval is None:
        return None
    ends = {"low_side": interval.low_side, "high_side": interval.high_side}
    return asdict(interval) | ends | {"without_crossing": interval.without_crossing}


def interval_text(interval: Interval | None, unit: str) -> str:
    """An interval as half a sentence."""
    if interval is None:
        return "no interval: the profile gives no residuals, or no draws were asked for"
    draws = f"{interval.draws} draws of the profile's errors"
    if interval.low is None and interval.high is None and interval.low_side == interval.high_side:
        nowhere = interval.low_side == "above"
        share, what = (interval.above, "nothing") if nowhere else (interval.below, "all")
        return f"no interval: in {100 * share:.1f} % of {draws} {what} of the range will do"
    sides = (interval.low, interval.low_side), (interval.high, interval.high_side)
    low, high = (f"{side} the range" if end is None else f"{end:.4g}{unit}" for end, side in sides)
    text = f"90 % of {draws}: {low} to {high}"
    if interval.without_crossing:
        text += (
            f"; {100 * interval.without_crossing:.1f} % have no crossover in the range: nothing of it will do in "
            f"{100 * interval.above:.1f} %, all of it in {100 * interval.below:.1f} %"
        )
    if interval.several:
        text += f"; {100 * interval.several:.1f} % have several"
    return text


def bandwidth_crossover_json(asked: Asked, answer: BandwidthCrossover) -> dict[str, Any]:
    """Of `prism ask crossover`."""
    return {
        "plan": plan_json(answer.plan, asked.shape.tokens),
        "searched_mbps": list(answer.searched_mbps),
        "crossings": [
            {"bandwidth_mbps": root.x, "splitting": "wins above" if root.rises else "loses above"}
            for root in answer.crossings
        ],
        "wins_at_low": answer.wins_at_low,
        "wins_at_high": answer.wins_at_high,
        "monotone": answer.monotone,
        "resolution_pct": answer.resolution_pct,
        "interval_mbps": interval_json(answer.interval),
        "local_ms": 1e3 * answer.local_s,
        "limit_ms": 1e3 * answer.limit_s,
        "extrapolated": list(answer.extrapolated),
        "by_simpy": answer.by_simpy,
    }


def show_bandwidth_crossover(asked: Asked, answer: BandwidthCrossover) -> None:
    """In sentences."""
    low, high = answer.searched_mbps
    head = f"Simulated: {asked.shape.name}, {answer.plan.label}, batch {answer.batch}"
    if not answer.crossings:
        verdict = "beats" if answer.wins_at_high else "does not beat"
        click.echo(f"{head}: splitting {verdict} local at any bandwidth from {low:g} to {high:g} Mbps.")
    for root in answer.crossings:
        verb = "beats local from" if root.rises else "stops to beat local at"
        click.echo(f"{head}: splitting {verb} {root.x:.1f} Mbps on.")
    click.echo(f"  {interval_text(answer.interval, ' Mbps')}.")
    click.echo(
        f"  Local takes {1e3 * answer.local_s:.1f} ms; split, no bandwidth gets below {1e3 * answer.limit_s:.1f} ms."
    )
    sure = "the gain only rises with bandwidth" if answer.monotone else "the gain goes up and down with bandwidth"
    click.echo(f"  Scanned from {low:g} to {high:g} Mbps in steps of {answer.resolution_pct:.0f} %: {sure}.")
    say_limits(answer.extrapolated, answer.by_simpy)


def batch_crossover_json(answer: BatchCrossover) -> dict[str, Any]:
    """Of `prism ask crossover`."""
    return {
        "searched_to": answer.searched_to,
        "wins": [list(stretch) for stretch in answer.wins],
        "interval_of_first": interval_json(answer.interval),
        "extrapolated": list(answer.extrapolated),
    }


def show_batch_crossover(answer: BatchCrossover) -> None:
    """In sentences."""
    head = f"At {answer.bandwidth_mbps:g} Mbps, of the batches 1 to {answer.searched_to}"
    if not answer.wins:
        click.echo(f"{head}, splitting wins none.")
    else:
        stretches = (f"{first}" if first == last else f"{first} to {last}" for first, last in answer.wins)
        click.echo(f"{head}, splitting wins {', '.join(stretches)}.")
    click.echo(f"  First batch won, {interval_text(answer.interval, '')}.")
    say_limits(answer.extrapolated, None)


def needed_json(asked: Asked, answer: NeededBandwidth) -> dict[str, Any]:
    """Of `prism ask bandwidth`."""
    return {
        "plan": plan_json(answer.plan, asked.shape.tokens),
        "target_ms": 1e3 * answer.target_s,
        "needed_mbps": answer.bandwidth_mbps,
        "reachable": answer.reachable,
        "at_low_end": answer.at_low_end,
        "again_mbps": list(answer.again),
        "searched_mbps": list(answer.searched_mbps),
        "latency_ms": 1e3 * answer.latency_s,
        "limit_ms": 1e3 * answer.limit_s,
        "local_ms": None if math.isinf(answer.local_s) else 1e3 * answer.local_s,
        "interval_mbps": interval_json(answer.interval),
        "extrapolated": list(answer.extrapolated),
        "by_simpy": answer.by_simpy,
    }


def show_needed(asked: Asked, answer: NeededBandwidth) -> None:
    """In sentences."""
    low, high = answer.searched_mbps
    target = f"{1e3 * answer.target_s:.1f} ms"
    click.echo(f"Simulated: {asked.shape.name}, {answer.plan.label}, batch {answer.batch}, to answer within {target}:")
    if answer.at_low_end:
        click.echo(f"  any bandwidth from {low:g} Mbps on will do: {1e3 * answer.latency_s:.1f} ms there.")
    elif answer.bandwidth_mbps is not None:
        click.echo(f"  {answer.bandwidth_mbps:.1f} Mbps are needed.")
    elif answer.reachable:
        click.echo(f"  more than {high:g} Mbps are needed: {1e3 * answer.latency_s:.1f} ms there. Widen --search.")
    else:
        click.echo("  no bandwidth will do.")
    for mbps in answer.again:
        click.echo(f"  Above that it is missed for a while, and kept again from {mbps:.1f} Mbps on.")
    click.echo(f"  {interval_text(answer.interval, ' Mbps')}.")
    local = "fits on no board" if math.isinf(answer.local_s) else f"takes {1e3 * answer.local_s:.1f} ms"
    click.echo(f"  With infinite bandwidth it takes {1e3 * answer.limit_s:.1f} ms. Local {local}.")
    say_limits(answer.extrapolated, answer.by_simpy)


def boards_json(asked: Asked, answer: BoardsWorth) -> dict[str, Any]:
    """Of `prism ask boards`."""
    return {
        "worth": answer.worth,
        "threshold_pct": 100 * answer.threshold,
        "boards": [
            {
                "boards": row.boards,
                "plan": plan_json(row.plan, asked.shape.tokens),
                "latency_ms": 1e3 * row.latency_s,
                "speedup": row.speedup,
                "efficiency": row.efficiency,
                "terminal_j": row.terminal_j,
                "all_boards_j": row.all_boards_j,
                "memory_mb": row.memory_bytes / 1e6,
                "extrapolated": list(row.extrapolated),
            }
            for row in answer.rows
        ],
        "left_out": {str(boards): reason for boards, reason in answer.left_out.items()},
        "by_simpy": list(answer.by_simpy),
    }


def show_boards(asked: Asked, answer: BoardsWorth) -> None:
    """As a table."""
    rows = [
        [
            f"{row.boards}{' *' if row.boards == answer.worth else ''}",
            row.plan.label,
            f"{1e3 * row.latency_s:.1f}",
            _or_dash(row.speedup, ".2f"),
            _or_dash(row.efficiency, ".2f"),
            _or_dash(row.all_boards_j, ".2f"),
            f"{row.memory_bytes / 1e6:.0f}",
            "yes" if row.extrapolated else "",
        ]
        for row in answer.rows
    ]
    columns = ["boards", "fastest plan", "ms", "speed-up", "efficiency", "energy J", "memory MB", "extrapolated"]
    print_table(f"Simulated: {asked.shape.name}, batch {asked.batch}, {asked.bandwidth_mbps:g} Mbps", columns, rows)
    click.echo(f"{answer.worth} {'board is' if answer.worth == 1 else 'boards are'} worth it (*): ", nl=False)
    click.echo(f"each board added saves at least {100 * answer.threshold:g} % of the latency reached so far.")
    for boards, reason in answer.left_out.items():
        click.echo(f"Left out, {boards} boards: {reason}.")
    say_limits(_once(row.extrapolated for row in answer.rows), "; ".join(answer.by_simpy) or None)


def pareto_json(asked: Asked, front: Front) -> dict[str, Any]:
    """Of `prism ask pareto`."""
    return {
        "objectives": list(front.objectives),
        "plans": [
            {
                "plan": plan_json(choice.plan, asked.shape.tokens),
                "latency_ms": 1e3 * choice.latency_s,
                "all_boards_j": choice.all_boards_j,
                "compression_rate": choice.compression_rate,
                "on_front": choice.on_front,
                "beaten_by": choice.beaten_by,
                "extrapolated": list(choice.extrapolated),
            }
            for choice in front.choices
        ],
        "infeasible": [plan.label for plan in front.infeasible],
    }


def show_pareto(asked: Asked, front: Front) -> None:
    """As a table."""
    rows = [
        [
            choice.plan.label,
            f"{1e3 * choice.latency_s:.1f}",
            _or_dash(choice.all_boards_j, ".2f"),
            f"{choice.compression_rate:.2f}",
            "front" if choice.on_front else f"beaten by {choice.beaten_by}",
            "yes" if choice.extrapolated else "",
        ]
        for choice in front.choices
    ]
    title = f"Simulated: {asked.shape.name}, batch {asked.batch}, {asked.bandwidth_mbps:g} Mbps"
    print_table(title, ["plan", "ms", "energy J", "compression", "", "extrapolated"], rows)
    click.echo(f"{len(front.best)} of {len(front.choices)} plans are beaten by none in {', '.join(front.objectives)}.")
    if "energy" not in front.objectives:
        click.echo("Energy is left out: the profile does not know the power of every mode.")
    for plan in front.infeasible:
        click.echo(f"Infeasible: {plan.label} fits in no board's memory.")
    say_limits(_once(choice.extrapolated for choice in front.choices), None)


def sensitivity_json(asked: Asked, answer: Sensitivity) -> dict[str, Any]:
    """Of `prism ask sensitivity`."""
    return {
        "plan": plan_json(asked.plan, asked.shape.tokens),
        "method": answer.method,
        "decides": answer.shares[0].name,
        "clear": answer.clear,
        "parameters": [asdict(share) for share in answer.shares],
        "gain_pct": answer.gain_pct,
        "gain_sd_pct": answer.gain_sd_pct,
        "splits_pct": answer.splits_pct,
        "passes": answer.passes,
        "extrapolated": list(answer.extrapolated),
        "by_simpy": answer.by_simpy,
    }


def show_sensitivity(asked: Asked, answer: Sensitivity) -> None:
    """As a table."""
    rows = []
    for share in answer.shares:
        first = "-" if share.first is None else f"{share.first:.3f} +- {share.first_conf:.3f}"
        total = f"{share.total:.3f} +- {share.total_conf:.3f}"
        rows.append([share.name, f"+- {100 * share.half_width:.3g}", first, total])
    what = "total" if answer.method == "sobol" else "mean |effect|, points"
    click.echo(f"Simulated: {asked.shape.name}, {asked.plan.label}, batch {asked.batch}, {asked.bandwidth_mbps:g} Mbps")
    print_table("What decides the gain over local", ["parameter", "varied %", "first order", what], rows)
    least = "clearly" if answer.clear else "by no clear margin"
    click.echo(f"What decides, {least}: {answer.shares[0].name} ({answer.method}, {answer.passes} passes).")
    click.echo(
        f"Splitting saves {answer.gain_pct:.1f} % of the local latency; {answer.gain_sd_pct:.1f} points of standard "
        f"deviation when all vary, and it pays in {answer.splits_pct:.0f} % of the variations."
    )
    say_limits(answer.extrapolated, answer.by_simpy)


def scatter_json(asked: Asked, answer: Scatter) -> dict[str, Any]:
    """Of `prism ask spread`."""
    return {
        "plan": plan_json(answer.plan, asked.shape.tokens),
        "replications": answer.replications,
        "resumed": answer.resumed,
        "reached": answer.reached,
        "precision": asdict(answer.precision),
        "figures_ms": {name: _estimated_ms(figure) for name, figure in answer.figures.items()},
        "sd_ms": 1e3 * answer.sd_s,
        "split_sooner": asdict(answer.splits),
        "local_mean_ms": _estimated_ms(answer.local_mean),
        "steady_ms": 1e3 * answer.steady_s,
        "steady_local_ms": 1e3 * answer.steady_local_s,
        "extrapolated": list(answer.extrapolated),
    }


def show_scatter(asked: Asked, answer: Scatter) -> None:
    """As a table."""
    rows = []
    for name, figure in (*answer.figures.items(), ("local mean", answer.local_mean)):
        ends = ["-" if end is None else f"{1e3 * end:.1f}" for end in (figure.low, figure.high)]
        width = "-" if math.isinf(figure.half_width) else f"{100 * figure.half_width:.2f}"
        rows.append([name, f"{1e3 * figure.value:.1f}", *ends, width])
    click.echo(f"Simulated: {asked.shape.name}, {answer.plan.label}, batch {asked.batch}")
    resumed = f", {answer.resumed} of them from the file" if answer.resumed else ""
    print_table(f"{answer.replications} replications{resumed}", ["", "ms", "95 % from", "to", "+- %"], rows)
    wanted = f"{answer.precision.figure} within {100 * answer.precision.half_width:g} %"
    click.echo(
        f"{wanted}: {'reached' if answer.reached else 'NOT reached, at most so many replications were allowed'}."
    )
    splits = answer.splits
    click.echo(
        f"The split pass was the sooner in {100 * splits.value:.1f} % of them "
        f"(95 %: {100 * (splits.low or 0):.1f} to {100 * (splits.high or 0):.1f} %)."
    )
    click.echo(
        f"When nothing varies: split {1e3 * answer.steady_s:.1f} ms, local {1e3 * answer.steady_local_s:.1f} ms."
    )
    say_limits(answer.extrapolated, None)


def _estimated_ms(figure: Estimated) -> dict[str, float | None]:
    return {
        "value": 1e3 * figure.value,
        "low": None if figure.low is None else 1e3 * figure.low,
        "high": None if figure.high is None else 1e3 * figure.high,
    }


def say_limits(extrapolated: Iterable[str], by_simpy: str | None) -> None:
    """What an answer rests on beyond measurements, and what took longer."""
    for reason in extrapolated:
        click.echo(f"Extrapolated: {reason}.")
    if by_simpy:
        click.echo(f"SimPy carried out each pass by itself: {by_simpy}.")


def _once(reasons: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(reason for some in reasons for reason in some))


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def write_picture(path: Path, figure: Figure, description: str) -> None:
    """Write a figure as SVG or PNG, whole or not at all.

    Raises:
        InputError: another kind of file, or one that cannot be written.
    """
    from prism.errors import InputError
    from prism.files import atomic_path, write_text
    from prism.report.plot import figure_svg

    if path.suffix == ".svg":
        write_text(path, figure_svg(figure, description))
    elif path.suffix == ".png":
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=150)
    else:
        raise InputError(f"{path}: a picture is written as .svg or .png; choose one of these")
