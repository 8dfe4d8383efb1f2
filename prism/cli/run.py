"""`prism run`: adaptive inference, simulated or on real boards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prism.cli.output import json_option, print_json, print_table, progress, say

if TYPE_CHECKING:
    from hw.runtime.terminal import Terminal
    from prism.policy.adaptive import AdaptivePolicy
    from prism.policy.backend import Backend
    from prism.policy.loop import Requests, Served
    from prism.policy.objective import Objective
    from prism.policy.performance_map import PerformanceMap
    from prism.policy.summary import Comparison, Truth
    from prism.streams.bandwidth import BandwidthTrace


@click.command(
    epilog="Examples: prism run --backend sim --trace fades:7 --plot out/run.svg; "
    "prism run --backend hw --testbed --map out/map.json --trace phases:400,50,200:30 --requests 300 --json"
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
@click.option("--log", "log_path", type=Path, help="Write the decision log here, one JSON line a batch.")
@click.option("--plot", "plot_path", type=Path, help="Write bandwidth, choice and latency over time here, as SVG.")
@click.option("--save-map", type=Path, help="Write the map that was used here.")
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
    log_path: Path | None,
    plot_path: Path | None,
    save_map: Path | None,
    as_json: bool,
) -> None:
    """Serve requests, choosing mode, boards and segments for each batch by the bandwidth that is observed.

    Ends with what always-local, always-distributed and an oracle that knows the bandwidth would have paid.
    """
    from prism.errors import unknown
    from prism.policy.adaptive import AdaptivePolicy
    from prism.policy.loop import serve
    from prism.policy.performance_map import write_map
    from prism.policy.summary import compare, summary
    from prism.streams.generate import trace_of

    if backend not in ("sim", "hw"):
        raise unknown("backend", backend, ("sim", "hw"))
    wanted = _objective(objective, deadline, max_cr)
    stream = _requests(requests, batch, arrivals, wait)
    trace = trace_of(trace_text)
    table = _map(map_name, profile, model)
    if save_map is not None:
        write_map(save_map, table)
    hardware = _Hardware(testbed, peers, address, interface, throttle, timeout)
    noise = (link_noise, step_noise, seed)

    def policy_for(workers: int) -> AdaptivePolicy:
        return AdaptivePolicy(table, wanted, workers)

    with ExitStack() as stack:
        if backend == "sim":
            ready = _simulated(table, trace, profile, noise, policy_for)
        else:
            ready = stack.enter_context(_on_boards(table, trace, hardware, policy_for))
        lines: list[str] = []
        total = len(stream.arrivals) if stream.arrivals is not None else stream.batches
        with progress("serving", total) as advance:

            def after_each(done: Served) -> None:
                for _ in range(done.samples if stream.arrivals is not None else 1):
                    advance()

            served, state = serve(ready.policy, ready.backend, stream, log=lines.append, after_each=after_each)
    with progress("asking the oracle", len(served)) as advance:
        comparison = compare(ready.policy, served, state, ready.truth, advance)
    _write(log_path, lines, plot_path, served, trace)
    what = {"backend": backend, "model": table.model, "trace": trace.name, "objective": objective}
    result = what | summary(ready.policy, served, state, comparison)
    if as_json:
        print_json(result | {"oracle": ready.oracle})
    else:
        _print(result, comparison, ready.oracle)


@dataclass(frozen=True)
class _Ready:
    """A backend, the policy that drives it, and who knows what else could have been paid."""

    backend: Backend
    policy: AdaptivePolicy
    truth: Truth
    oracle: str


@dataclass(frozen=True)
class _Hardware:
    """Which boards, as asked for."""

    testbed: bool
    peers: str | None
    address: str
    interface: str | None
    throttle: str
    timeout_s: float


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


def _simulated(
    table: PerformanceMap,
    trace: BandwidthTrace,
    profile: str,
    noise: tuple[float, float, int],
    policy_for: Callable[[int], AdaptivePolicy],
) -> _Ready:
    from prism.catalogue import shape_of
    from prism.profile import load_profile
    from sim.streams.backend import Noise, SimBackend, workers_of

    workers = workers_of(table.plans)
    backend = SimBackend(shape_of(table.model), load_profile(profile), trace, workers=workers, noise=Noise(*noise))
    return _Ready(backend, policy_for(workers), backend, "the simulator, knowing the trace")


@contextmanager
def _on_boards(
    table: PerformanceMap,
    trace: BandwidthTrace,
    asked: _Hardware,
    policy_for: Callable[[int], AdaptivePolicy],
) -> Iterator[_Ready]:
    from prism.cli.boards import connected, on_testbed, parse_peers
    from prism.errors import InputError
    from prism.policy.summary import MapTruth
    from prism.units import BANDWIDTH_MBPS
    from sim.streams.backend import workers_of

    peers = parse_peers(asked.peers)
    if asked.testbed == bool(peers):
        raise InputError("say where to run: --testbed for this machine, or --peers ADDRESS for real boards")
    try:
        from hw.adaptive.backend import HwBackend
        from hw.adaptive.live_link import LiveLink
        from hw.runtime.settings import Settings
    except ModuleNotFoundError as missing:
        raise InputError(
            f"--backend hw needs {missing.name}, which is not installed; pip install 'prism-edge[hw]'"
        ) from None
    settings = Settings(
        table.model,
        peers=peers,
        address=asked.address,
        interface=asked.interface,
        timeout_s=asked.timeout_s,
        throttle=asked.throttle,
    )
    first_mbps = next((mbps for mbps in trace.bandwidth_mbps if mbps), 400.0)
    with ExitStack() as stack:
        boards = stack.enter_context(
            on_testbed(settings, workers_of(table.plans) + 1, first_mbps, "--meter", "none")
            if asked.testbed
            else connected(settings)
        )
        bed, terminal = boards.bed, boards.terminal
        _require_these_boards(table, terminal)
        # A testbed of namespaces holds the rate itself; on loopback the ranks pace their sockets.
        shared = bed is not None and terminal.settings.throttle == "none"
        policy = policy_for(len(terminal.workers))
        backend = HwBackend(terminal, None, bed if shared else None)
        stack.callback(backend.close)

        def cut(off: bool) -> None:
            assert bed is not None
            for rank in range(1, bed.ranks):
                (bed.cut if off else bed.restore)(rank)

        if trace.bandwidth_mbps != (trace.bandwidth_mbps[0],) and not shared and terminal.settings.throttle == "none":
            raise InputError("a trace that changes needs --testbed, or --throttle paced or tc")
        link = LiveLink(
            trace,
            bed.set_bandwidth if shared and bed is not None else backend.set_bandwidth,
            cut if shared else None,
            backend.now_s,
            concurrent=shared,
            rates_mbps=bed.rate_range_mbps if bed is not None else BANDWIDTH_MBPS,
        )
        backend.begin(link)
        stack.enter_context(link)
        yield _Ready(backend, policy, MapTruth(table, trace), "the performance map at the trace's bandwidth")


#: Ends of the names of facts that need not agree between a map and a run.
_MOVING = ("link_burst_bytes", "link_limit_bytes", "power_meter")


def _require_these_boards(table: PerformanceMap, terminal: Terminal) -> None:
    """Refuse a map that was measured on other boards."""
    from datetime import datetime, timezone

    if table.source != "measured":
        say(f"the performance map is {table.source}, not measured on these boards: what it predicts has to be learned")
        return
    # A testbed's bucket goes with its rate of the moment, and a run meters no energy.
    moving = {name: value for name, value in table.machine.items() if name.endswith(_MOVING)}
    table.require_usable(table.model, terminal.facts() | moving, datetime.now(timezone.utc))


def _write(
    log_path: Path | None, lines: list[str], plot_path: Path | None, served: list[Served], trace: BandwidthTrace
) -> None:
    from prism.files import write_text

    if log_path is not None:
        write_text(log_path, "".join(line + "\n" for line in lines))
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
