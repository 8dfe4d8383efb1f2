"""`prism profile`: measure plans on real boards, or on a testbed of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prism.cli.boards import LOOPBACK
from prism.cli.output import json_option, print_json, print_table, say, timed_progress

if TYPE_CHECKING:
    from hw.power.sampler import PowerSampler
    from hw.profiler.grid import Grid
    from hw.profiler.log import RunLog
    from hw.profiler.sweep import SweepResult
    from hw.runtime.settings import Settings
    from hw.runtime.terminal import Prepared, Terminal
    from prism.cli.boards import Boards
    from prism.record import Energy, Measurement
    from prism.scenario import Scenario


@click.command(
    epilog="Examples: prism profile --testbed --bandwidth 400 --model vit_small_patch16_224 --batches 1,8 "
    "--out runs.jsonl; on the first of two boards: prism profile --peers 192.168.1.12 --address 192.168.1.11 "
    "--interface wlan0 --passes 200 --out runs.jsonl --map map.json"
)
@click.option("--out", type=Path, required=True, help="Record file, one line a run; a sweep begun in it goes on.")
@click.option("--map", "map_path", type=Path, help="Write the performance map here.")
@click.option("--model", default="vit_base_patch16_224", show_default=True, help="Model from the catalogue.")
@click.option("--batches", default="1,2,4,8,16,32", show_default=True, help="Batch sizes.")
@click.option(
    "--bandwidth", "bandwidths", default="200,300,400,500,600,700,800,900", show_default=True, help="In Mbps."
)
@click.option("--modes", default="local,full_tensor,segment_means", show_default=True, help="What is compared.")
@click.option("--segments", default="10,20,30", show_default=True, help="Segments per partition L of segment_means.")
@click.option("--exchange", default="preposted", show_default=True, help="blocking, preposted, or both with a comma.")
@click.option("--input", "inputs", default="replicated", show_default=True, help="replicated, tokens, image.")
@click.option("--wire-dtype", default="float32", show_default=True, help="float32 or float16.")
@click.option("--passes", type=int, help="Budget of timed passes, spent where decisions are near.  [default: all]")
@click.option("--rounds", type=int, default=4, show_default=True, help="Rounds of a full sweep, of 5 passes a case.")
@click.option("--warm-up", type=int, default=5, show_default=True, help="Unrecorded passes of each visit.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order, the images and random weights.")
@click.option("--testbed", is_flag=True, help="Boards played on this machine; root makes them namespaces.")
@click.option("--loopback", is_flag=True, help="A testbed on paced loopback even as root.")
@click.option("--ranks", type=int, default=2, show_default=True, help="Boards of the testbed.")
@click.option("--peers", help="Workers, rank 1 first: ADDRESS or ADDRESS:PORT, separated by commas.")
@click.option("--address", help="This board's IPv4 address, where the workers find it; with --peers.")
@click.option("--interface", help="Network interface towards the peers.  [default: what GLOO_SOCKET_IFNAME says]")
@click.option("--throttle", default="paced", show_default=True, help="Of real boards: paced (no root), tc or none.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto; a testbed's is the CPU.")
@click.option("--pretrained", is_flag=True, help="Let timm fetch the published weights.")
@click.option("--meter", default="auto", show_default=True, help="jtop, ina3221, rapl, nvml, none; auto takes one.")
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds a wait inside a pass may take.")
@json_option
def profile(
    out: Path,
    map_path: Path | None,
    model: str,
    batches: str,
    bandwidths: str,
    modes: str,
    segments: str,
    exchange: str,
    inputs: str,
    wire_dtype: str,
    passes: int | None,
    rounds: int,
    warm_up: int,
    seed: int,
    testbed: bool,
    loopback: bool,
    ranks: int,
    peers: str | None,
    address: str | None,
    interface: str | None,
    throttle: str,
    device: str,
    pretrained: bool,
    meter: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Measure every plan at every batch size and bandwidth, and make a performance map of the runs.

    Each run is on the disk before the next begins: the same command goes on where an interrupted one stopped.
    """
    from hw.profiler.visits import visits_for
    from hw.runtime.settings import Settings
    from prism.cli.boards import parse_peers
    from prism.errors import InputError

    workers = parse_peers(peers)
    if testbed == bool(workers):
        raise InputError("say where to measure: --testbed for this machine, or --peers ADDRESS for real boards")
    devices = ranks if testbed else 1 + len(workers)
    grid = _grid(model, batches, bandwidths, modes, segments, exchange, inputs, wire_dtype, devices)
    visits = visits_for(grid, seed, passes=passes, rounds=rounds)
    settings = Settings(
        model,
        workers,
        address=address or "127.0.0.1",
        interface=interface,
        device=device,
        pretrained=pretrained,
        seed=seed,
        timeout_s=timeout,
        throttle=throttle,
    )
    with _sampler(meter) as sampler, _boards(settings, testbed, loopback, ranks, grid, meter) as boards:
        result = _sweep(boards, sampler, out, grid, visits, warm_up)
    _tell(result, map_path, out, as_json)


def _grid(
    model: str,
    batches: str,
    bandwidths: str,
    modes: str,
    segments: str,
    exchange: str,
    inputs: str,
    wire_dtype: str,
    devices: int,
) -> Grid:
    from typing import cast

    from hw.profiler.grid import Grid
    from prism.catalogue import shape_of
    from prism.plan import ExchangeKind, InputDistribution, Mode, Plan, WireDtype
    from prism.units import parse_bandwidth_mbps

    plans: list[Plan] = []
    for mode in modes.split(","):
        if mode == "local":
            plans.append(Plan())
            continue
        for count in _numbers("segments", segments) if mode == "segment_means" else [None]:
            for kind in exchange.split(","):
                plans += [
                    Plan(
                        cast("Mode", mode),  # names are checked by Plan itself
                        devices,
                        count,
                        wire_dtype=cast("WireDtype", wire_dtype),
                        exchange=cast("ExchangeKind", kind),
                        input_distribution=cast("InputDistribution", distribution),
                    )
                    for distribution in inputs.split(",")
                ]
    mbps = tuple(parse_bandwidth_mbps(part) for part in bandwidths.split(","))
    return Grid(shape_of(model), tuple(_numbers("batches", batches)), mbps, tuple(plans))


def _numbers(name: str, text: str) -> list[int]:
    from prism.errors import InputError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{name} {text!r} are not whole numbers separated by commas; write for example 1,8") from None


@contextmanager
def _boards(settings: Settings, testbed: bool, loopback: bool, ranks: int, grid: Grid, meter: str) -> Iterator[Boards]:
    from prism.cli.boards import connected, on_testbed

    if testbed:
        say(f"starting {ranks} boards on this machine")
        with on_testbed(settings, ranks, grid.bandwidths_mbps[-1], "--meter", meter, loopback=loopback) as boards:
            if boards.bed is not None and boards.bed.interface == "lo":
                say(LOOPBACK)
            yield boards
    else:
        with connected(settings) as boards:
            yield boards


@contextmanager
def _sampler(meter: str) -> Iterator[PowerSampler]:
    from hw.power.choose import open_meter
    from hw.power.sampler import PowerSampler

    with open_meter(meter) as choice, PowerSampler(choice.meter) as sampler:
        if not choice.meter.measures and choice.skipped:
            say("no power meter here: no energies (`prism doctor` says why)")
        yield sampler


def _sweep(boards: Boards, sampler: PowerSampler, out: Path, grid: Grid, visits: Any, warm_up: int) -> SweepResult:
    from hw.profiler.log import RunLog
    from hw.profiler.session import Session
    from hw.profiler.sweep import Sweep

    terminal = boards.terminal
    session = Session(grid, visits, _identity(terminal) | sampler.meter.describe(), warm_up)
    visitor = Visitor(terminal, sampler)
    with RunLog(out, session) as log, timed_progress("passes") as progress:
        _greet(log, out)
        return Sweep(log, visitor.prepare, visitor.measure, progress).run()


def _greet(log: RunLog, out: Path) -> None:
    if log.notice:
        say(log.notice)
    if log.records:
        say(f"going on with {out}: {len(log.records)} runs are there already")


def _identity(terminal: Terminal) -> dict[str, str]:
    """The facts that must be the same for a sweep to go on: not the clocks of the moment, nor the link's rate."""
    return {name: value for name, value in terminal.facts().items() if name not in _CHANGING}


class Visitor:
    """Carries out a sweep's visits on a terminal device."""

    def __init__(self, terminal: Terminal, sampler: PowerSampler) -> None:
        self._terminal = terminal
        self._sampler = sampler
        self._prepared: Prepared | None = None
        self._energy: Energy | None = None

    def prepare(self, case: Scenario, warm_up_passes: int) -> None:
        """Make a case ready, and run its warm-up passes, which are the block that its energy is measured over."""
        if self._terminal.bandwidth_mbps != case.bandwidth_mbps:
            self._terminal.set_bandwidth(case.bandwidth_mbps)
        self._prepared = self._terminal.prepare(case.plan, case.batch)
        self._energy = self._prepared.warm_up(warm_up_passes, self._sampler)

    def measure(self, _case: Scenario) -> Measurement:
        """One timed pass of the case that was prepared last."""
        assert self._prepared is not None
        record = self._prepared.run(energy=self._energy).record
        # The sweep adds what is the same for all of its runs; a line need not say it twice.
        changing = {name: value for name, value in record.provenance.items() if name in _CHANGING}
        return replace(record, provenance=changing)


def _tell(result: SweepResult, map_path: Path | None, out: Path, as_json: bool) -> None:
    from hw.profiler.session import map_of
    from prism.policy.performance_map import write_map

    performance_map = map_of(result.records)
    if map_path is not None:
        write_map(map_path, performance_map)
        say(f"performance map written to {map_path}")
    cases = _cases(result.records)
    if as_json:
        print_json(
            {
                "runs": len(result.records),
                "out": str(out),
                "map": None if map_path is None else str(map_path),
                "model": performance_map.model,
                "cases": [_as_dict(runs) for runs in cases],
                "infeasible": [
                    {"plan": case.plan.label, "batch": case.batch, "why": why}
                    for case, why in result.infeasible.items()
                ],
            }
        )
        return
    print_table(
        f"{performance_map.model}: medians of {len(result.records)} runs, in ms",
        ("plan", "batch", "Mbps", "runs", "total", "spread", "compute", "staging", "communication"),
        [_row(runs) for runs in cases],
    )
    click.echo(f"{len(result.records)} runs in {out}.")


def _cases(records: Sequence[Measurement]) -> list[list[Measurement]]:
    """Runs by case, in the order of batch, bandwidth and plan."""
    found: dict[Scenario, list[Measurement]] = {}
    for record in records:
        found.setdefault(record.scenario, []).append(record)
    order = sorted(found, key=lambda case: (case.batch, case.bandwidth_mbps, case.plan.label, case.plan.exchange))
    return [found[case] for case in order]


def _as_dict(runs: Sequence[Measurement]) -> dict[str, Any]:
    from statistics import median

    first = runs[0]
    stages = {f"{stage}_ms": median(run.stage_s(stage) for run in runs) * 1e3 for stage in _STAGES}
    return {
        "plan": first.plan.label,
        "mode": first.plan.mode,
        "segments": first.plan.segments,
        "exchange": first.plan.exchange,
        "input": first.plan.input_distribution,
        "batch": first.batch,
        "bandwidth_mbps": first.bandwidth_mbps,
        "runs": len(runs),
        "total_ms": median(run.total_s for run in runs) * 1e3,
        "spread_ms": _spread_s(runs) * 1e3,
        **stages,
    }


def _row(runs: Sequence[Measurement]) -> tuple[str, ...]:
    case = _as_dict(runs)
    plan = case["plan"] if case["mode"] == "local" else f"{case['plan']} {case['exchange']} {case['input']}"
    times = ("total_ms", "spread_ms", *(f"{stage}_ms" for stage in _STAGES))
    numbers = (f"{case[name]:.1f}" for name in times)
    return (plan, str(case["batch"]), f"{case['bandwidth_mbps']:g}", str(case["runs"]), *numbers)


def _spread_s(runs: Sequence[Measurement]) -> float:
    """Median absolute deviation of the totals."""
    from statistics import median

    middle = median(run.total_s for run in runs)
    return median(abs(run.total_s - middle) for run in runs)


_STAGES = ("compute", "staging", "communication")
#: Facts that may differ from run to run of one sweep.
_CHANGING = (
    "hottest_celsius",
    "governor",
    "cpu_mhz",
    "gpu_mhz",
    "load_1min",
    "link_bandwidth_mbps",
    "link_sockets",
    "staging",
    "date",
)
