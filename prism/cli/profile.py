"""`prism profile`: measure plans on real boards, or on a testbed of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from prism.cli.output import json_option, print_json, print_table, say

if TYPE_CHECKING:
    from hw.profiler.grid import Grid
    from hw.profiler.sweep import SweepResult
    from prism.record import Measurement
    from prism.scenario import Scenario

#: Options that a design file stands for.
_DESIGNED = (
    *("map_path", "model", "batches", "bandwidths", "modes", "segments", "exchange", "inputs", "wire_dtype"),
    *("passes", "rounds", "warm_up", "spans", "seed", "timeout"),
)


@click.command(
    epilog="Examples: prism profile --testbed --bandwidth 400 --model vit_small_patch16_224 --batches 1,8 "
    "--out runs.jsonl; on the first of two boards: prism profile --peers 192.168.1.12 --address 192.168.1.11 "
    "--interface wlan0 --passes 200 --out runs.jsonl --map map.json"
)
@click.option("--out", type=Path, required=True, help="Record file, one line a run; a sweep begun in it goes on.")
@click.option("--design", type=Path, help="Sweeps of a whole corpus (TOML); --out is then a folder of record files.")
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
@click.option("--spans", type=int, default=0, show_default=True, help="Passes of each visit that keep every step.")
@click.option("--replay", help="Profile: boards sleep what it says compute takes; more boards than cores.")
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
@click.pass_context
def profile(
    context: click.Context,
    out: Path,
    design: Path | None,
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
    spans: int,
    replay: str | None,
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
    from hw.profiler.design import read_design
    from hw.profiler.visits import visits_for
    from hw.runtime.settings import Settings
    from prism.cli.boards import parse_peers
    from prism.cli.corpus import record_corpus
    from prism.cli.sweeping import Measuring, Place, sweep
    from prism.errors import InputError
    from prism.profile import load_profile

    workers = parse_peers(peers)
    if testbed == bool(workers):
        raise InputError("say where to measure: --testbed for this machine, or --peers ADDRESS for real boards")
    devices = ranks if testbed else 1 + len(workers)
    place = Place(testbed, loopback, ranks, meter)
    replayed = None if replay is None else load_profile(replay)
    if replayed is not None and not replayed.work:
        raise InputError(
            f"profile {replayed.name!r} has no prices of work, so boards cannot sleep what steps take; replay one that "
            "`prism calibrate` made from measured runs"
        )
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
    if design is not None:
        _refuse_designed(context)
        runs = record_corpus(read_design(design), out, place, settings, replayed)
        _tell_corpus(runs, out, as_json)
        return
    grid = _grid(model, batches, bandwidths, modes, segments, exchange, inputs, wire_dtype, devices)
    visits = visits_for(grid, seed, passes=passes, rounds=rounds)
    with place.sampler() as sampler, place.boards(settings, grid.bandwidths_mbps[-1]) as boards:
        result = sweep(boards, sampler, out, visits, Measuring(warm_up, spans, replayed))
    _tell(result, map_path, out, as_json)


def _refuse_designed(context: click.Context) -> None:
    """Options that the design file stands for would be ignored."""
    for name in _DESIGNED:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            raise click.UsageError(f"{option} is said by the design file; leave it out, or --design")


def _tell_corpus(runs: int, out: Path, as_json: bool) -> None:
    if as_json:
        print_json({"runs": runs, "out": str(out)})
    else:
        click.echo(f"{runs} runs in {out}. Next: prism validate --measurements {out}")


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
