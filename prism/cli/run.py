"""`prism run`: adaptive inference, simulated or on real boards."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prism.cli.output import json_option, print_json, print_table, progress, say

if TYPE_CHECKING:
    from prism.policy.adaptive import AdaptivePolicy
    from prism.policy.agreement import Agreement
    from prism.policy.log import LogLine, RunFacts
    from prism.policy.loop import Requests, Served
    from prism.policy.objective import Objective
    from prism.policy.performance_map import PerformanceMap
    from prism.policy.summary import Comparison
    from prism.streams.bandwidth import BandwidthTrace


@click.command(
    epilog="Examples: prism run --backend sim --trace fades:7 --plot out/run.svg; "
    "prism run --backend hw --testbed --map out/map.json --trace phases:400,20,200:40 --requests 300 "
    "--log out/hw.jsonl --json; prism run --profile out/pair.json --map out/map.json --trace phases:400,20,200:40 "
    "--requests 300 --against out/hw.jsonl"
)
@click.option(
    "--backend", default="sim", show_default=True, help="sim, or hw: this board with --peers, or with --testbed."
)
@click.option(
    "--map",
    "map_name",
    default="simulated",
    show_default=True,
    help="Performance map: a file, 'published' (the paper's tables), or 'simulated' (from --profile).",
)
@click.option(
    "--trace",
    "trace_text",
    default="steady:400",
    show_default=True,
    help="Bandwidth over time: a CSV file (time_s,bandwidth_mbps; 0 is an outage), steady:MBPS, "
    "phases:MBPS,...:SECONDS, or steps, ramps, fades, outages, walk with a seed, such as fades:7.",
)
@click.option(
    "--objective",
    default="latency",
    show_default=True,
    help="latency, terminal-energy, all-energy, energy-delay, or deadline (least energy under --deadline).",
)
@click.option("--deadline", type=float, help="Milliseconds that a batch may take, for --objective deadline.")
@click.option("--max-cr", type=float, help="Largest compression rate N / (L P) whose accuracy will do.")
@click.option(
    "--requests", type=int, default=300, show_default=True, help="Batches back to back, or samples to arrive."
)
@click.option("--batch", type=int, default=8, show_default=True, help="Samples in a batch; with --arrivals at most.")
@click.option(
    "--arrivals",
    default="back-to-back",
    show_default=True,
    help="back-to-back, poisson:RATE:SEED or bursts:RATE:SEED in samples a second, or a CSV file (time_s).",
)
@click.option("--wait", type=float, default=0.0, show_default=True, help="Milliseconds a sample waits for others.")
@click.option("--profile", default="orin_nano_published", show_default=True, help="sim: shipped profile or a file.")
@click.option("--model", help="sim: model of a simulated map.  [default: vit_base_patch16_224]")
@click.option("--link-noise", type=float, default=0.0, show_default=True, help="sim: relative noise of the link.")
@click.option("--step-noise", type=float, default=0.0, show_default=True, help="sim: relative noise of every step.")
@click.option("--seed", type=int, default=0, show_default=True, help="sim: of the noise.")
@click.option("--testbed", is_flag=True, help="hw: boards played on this machine, on a link of their own.")
@click.option("--peers", help="hw: where `prism worker` listens, ADDRESS[:PORT] separated by commas.")
@click.option("--address", default="127.0.0.1", show_default=True, help="hw: this board's own IPv4 address.")
@click.option("--interface", help="hw: network interface for GLOO.")
@click.option("--throttle", default="none", show_default=True, help="hw: how a trace acts on peers: paced, tc or none.")
@click.option(
    "--timeout", type=float, default=2.0, show_default=True, help="hw: seconds a wait inside a pass may take."
)
@click.option(
    "--meter",
    default="none",
    show_default=True,
    help="hw: power meter of this board, and of the testbed's: jtop, ina3221, rapl, nvml, auto or none.",
)
@click.option("--log", "log_path", type=Path, help="Write the decision log here, one JSON line a batch.")
@click.option("--plot", "plot_path", type=Path, help="Write bandwidth, choice and latency over time here, as SVG.")
@click.option("--save-map", type=Path, help="Write the map that was used here.")
@click.option(
    "--against",
    type=Path,
    help="Decision log of another run of the same requests and trace: say how alike the two are.",
)
@click.option(
    "--against-noise",
    type=float,
    default=0.03,
    show_default=True,
    help="Relative difference of predicted costs below which two choices count as equal.",
)
@json_option
def run(
    backend: str,
    map_name: str,
    trace_text: str,
    objective: str,
    deadline: float | None,
    max_cr: float | None,
    requests: int,
    batch: int,
    arrivals: str,
    wait: float,
    profile: str,
    model: str | None,
    link_noise: float,
    step_noise: float,
    seed: int,
    testbed: bool,
    peers: str | None,
    address: str,
    interface: str | None,
    throttle: str,
    timeout: float,
    meter: str,
    log_path: Path | None,
    plot_path: Path | None,
    save_map: Path | None,
    against: Path | None,
    against_noise: float,
    as_json: bool,
) -> None:
    """Serve requests, choosing mode, boards and segments for each batch by the bandwidth that is observed.

    Ends with what always-local, always-distributed and an oracle that knows the bandwidth would have paid.
    """
    from prism.cli.run_backends import Hardware, Simulation, on_boards, simulated
    from prism.errors import unknown
    from prism.policy.adaptive import AdaptivePolicy
    from prism.policy.agreement import agreement
    from prism.policy.log import RunFacts, decision_log, log_text
    from prism.policy.loop import metered, serve
    from prism.policy.performance_map import write_map
    from prism.policy.summary import compare, summary
    from prism.streams.generate import trace_of

    if backend not in ("sim", "hw"):
        raise unknown("backend", backend, ("sim", "hw"))
    wanted = _objective(objective, deadline, max_cr)
    stream = _requests(requests, batch, arrivals, wait)
    trace = trace_of(trace_text)
    table = _map(map_name, profile, model)
    facts = RunFacts(backend, table.model, wanted.label, stream.label, trace.name, trace.digest)
    other = None if against is None else _other_run(against, against_noise, facts)
    if save_map is not None:
        write_map(save_map, table)

    def policy_for(workers: int) -> AdaptivePolicy:
        return AdaptivePolicy(table, wanted, workers)

    with ExitStack() as stack:
        if backend == "sim":
            ready = simulated(table, trace, Simulation(profile, link_noise, step_noise, seed), policy_for)
        else:
            boards = Hardware(testbed, peers, address, interface, throttle, timeout, meter)
            ready = stack.enter_context(on_boards(table, trace, boards, policy_for))
        total = len(stream.arrivals) if stream.arrivals is not None else stream.batches
        with progress("serving", total) as advance:

            def after_each(done: Served) -> None:
                for _ in range(done.samples if stream.arrivals is not None else 1):
                    advance()

            served, state = serve(ready.policy, ready.backend, stream, after_each=after_each)
        served = metered(served, ready.energies())
    with progress("asking the oracle", len(served)) as advance:
        comparison = compare(ready.policy, served, state, ready.truth, advance)
    lines = decision_log(served, facts, trace)
    _write(log_path, log_text(lines), plot_path, served, trace)
    alike = None if other is None else agreement(lines, other, against_noise)
    what = {"backend": backend, "model": table.model, "trace": trace.name, "objective": objective}
    result = what | summary(ready.policy, served, state, comparison)
    if as_json:
        print_json(result | {"oracle": ready.oracle} | _as_dict(alike))
    else:
        _print(result, comparison, ready.oracle)
        _print_agreement(alike)


def _objective(kind: str, deadline_ms: float | None, max_cr: float | None) -> Objective:
    from typing import cast

    from prism.policy.objective import Kind, Objective

    # Names are checked by Objective itself.
    return Objective(cast("Kind", kind), None if deadline_ms is None else deadline_ms / 1e3, max_cr)


def _requests(count: int, batch: int, arrivals: str, wait_ms: float) -> Requests:
    from prism.policy.loop import Requests
    from prism.streams.arrivals import MAX_ARRIVALS, Batching, arrivals_of
    from prism.units import check_range

    check_range("requests", count, 1, MAX_ARRIVALS)
    return Requests(count, arrivals_of(arrivals, count), Batching(batch, wait_ms / 1e3))


def _map(name: str, profile: str, model: str | None) -> PerformanceMap:
    from datetime import datetime, timezone

    from prism.errors import InputError
    from prism.policy.performance_map import read_map

    if name == "simulated":
        from prism.catalogue import shape_of
        from prism.profile import load_profile
        from sim.streams.make_map import BANDWIDTHS_MBPS, BATCHES, PLANS, simulated_map

        shape = shape_of(model or "vit_base_patch16_224")
        with progress("simulating the map", len(BATCHES) * (1 + (len(PLANS) - 1) * len(BANDWIDTHS_MBPS))) as advance:
            return simulated_map(load_profile(profile), shape, after_each=advance)
    if model is not None:
        raise InputError("--model goes with --map simulated; any other map says whose model it is")
    if name == "published":
        from calibration.published import published_measurements
        from prism.policy.build_map import build_map

        day = datetime(2026, 5, 1, tzinfo=timezone.utc)
        return build_map(published_measurements(), {"source": "arXiv 2605.25682"}, day)
    return read_map(Path(name))


def _other_run(path: Path, noise: float, facts: RunFacts) -> list[LogLine]:
    """The log to compare with, refused before anything is served if it is of another task."""
    from prism.errors import InputError
    from prism.policy.agreement import require_same_task
    from prism.policy.log import read_log
    from prism.units import check_range

    check_range("against-noise", noise, 0, 1)
    lines = read_log(path)
    try:
        require_same_task(facts, lines[0].run)
    except InputError as error:
        raise InputError(f"--against {path}: {error}") from None
    return lines


def _write(
    log_path: Path | None, log: str, plot_path: Path | None, served: list[Served], trace: BandwidthTrace
) -> None:
    from prism.files import write_text

    if log_path is not None:
        write_text(log_path, log)
        say(f"decisions: {log_path}")
    if plot_path is not None and served:
        from prism.report.plot import figure_svg
        from prism.report.run_plot import run_figure

        described = f"Bandwidth, choice and latency over time on {trace.name}"
        write_text(plot_path, figure_svg(run_figure(served, trace), described))
        say(f"plot: {plot_path}")


def _print(result: dict[str, Any], comparison: Comparison | None, oracle: str) -> None:
    print_table(
        f"{result['backend']}: {result['model']}, trace {result['trace']}, objective {result['objective']}",
        ["plan", "batches"],
        [[name, str(count)] for name, count in result["decisions"].items()],
    )
    latency = result["latency_ms"]
    if latency:
        click.echo(
            f"{result['samples']} samples in {result['requests']} batches, {result['lost']} lost, "
            f"{result['served_locally_after_failure']} served locally after a failure; latency of a sample: median "
            f"{latency['p50']:.1f} ms, P90 {latency['p90']:.1f} ms, P99 {latency['p99']:.1f} ms."
        )
    if comparison is not None:
        click.echo(
            f"Against always-local {comparison.vs_local_pct:+.1f} %"
            + (
                ""
                if comparison.vs_distributed_pct is None
                else f", against always {result['always_distributed']} {comparison.vs_distributed_pct:+.1f} %"
            )
            + f", against the oracle ({oracle}) {comparison.regret_pct:+.2f} %."
        )
    click.echo(f"{result['switches']} switches; probes took {result['probes_pct']:.2f} % of the time.")
    for name, joules in result["energy_by_plan"].items():
        everyone = joules["all_boards_j"]
        click.echo(
            f"{name}: {joules['terminal_j']:.3g} J a batch on the terminal device"
            + ("" if everyone is None else f", {everyone:.3g} J on all boards")
            + f" ({joules['metered']} of {joules['batches']} batches)."
        )


def _as_dict(alike: Agreement | None) -> dict[str, Any]:
    from prism.policy.agreement import agreement_summary

    return {} if alike is None else {"against": agreement_summary(alike)}


#: A trace of more pieces than this is summed up in one line.
_MOST_PHASES = 20


def _print_agreement(alike: Agreement | None) -> None:
    if alike is None:
        return
    if len(alike.phases) <= _MOST_PHASES:
        print_table(
            f"This run ({alike.backends[0]}) against the log ({alike.backends[1]})",
            ["from s", "Mbps", "batches", "in the log", "agree", "in noise", "disagree", "ms a batch", "in the log"],
            [
                [
                    f"{phase.begin_s:g}",
                    f"{phase.bandwidth_mbps:g}",
                    *map(str, (*phase.batches, phase.agree, phase.inside_noise, phase.disagree)),
                    *("-" if mean_s is None else f"{1e3 * mean_s:.1f}" for mean_s in phase.mean_s),
                ]
                for phase in alike.phases
            ],
        )
    share = "-" if alike.agreement_pct is None else f"{alike.agreement_pct:.1f} %"
    click.echo(
        f"Decisions outside the noise that agree: {share} ({alike.agree} agree, {alike.disagree} do not, "
        f"{alike.inside_noise} within noise, {alike.unpaired} without a counterpart); "
        f"total time {100 * (alike.latency_ratio - 1):+.1f} %."
    )
