"""`prism simulate`: one scenario."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prism.cli.output import json_option, print_json, print_table, progress, say
from prism.cli.what_if import WhatIf, what_if_options

if TYPE_CHECKING:
    from prism.plan import Plan
    from prism.profile import SystemProfile
    from prism.record import Measurement
    from prism.scenario import Scenario
    from prism.schedule import Schedule
    from prism.shape import TransformerShape
    from sim.boards import BoardMix


@click.command(
    epilog="Example: prism simulate --model vit_base_patch16_224 --mode segment_means --segments 10 --batch 8 "
    "--bandwidth 400 --trace out/pass.json"
)
@click.option("--model", default="vit_base_patch16_224", show_default=True, help="Model from the catalogue.")
@click.option("--mode", default="segment_means", show_default=True, help="local, full_tensor or segment_means.")
@click.option("--segments", type=int, help="Segments per partition L, for segment_means.")
@click.option("--cr", type=float, help="Compression rate N / (L P) instead of --segments.")
@click.option("--devices", type=int, help="Boards P.  [default: 1 for local, else 2]")
@click.option("--batch", type=int, default=1, show_default=True, help="Samples in the pass.")
@click.option("--bandwidth", help="Throttle of the link: 400, '400 Mbps', '0.4Gbps'.  [default: 400]")
@click.option("--reverse-bandwidth", help="Throttle towards the terminal device, where it differs.")
@click.option("--exchange", default="blocking", show_default=True, help="blocking or preposted.")
@click.option(
    "--input", "input_distribution", default="replicated", show_default=True, help="replicated, tokens, image."
)
@click.option("--skip-first-exchange", is_flag=True, help="Boards already hold what the first exchange would bring.")
@click.option("--wire-dtype", default="float32", show_default=True, help="float32 or float16.")
@click.option(
    "--shares",
    help="Relative share of the tokens of each board, such as 2,1; 'speed' for --speeds, 'best' for the fastest.",
)
@click.option("--speeds", help="How many times faster each board computes than the profile's, such as 1,0.5.")
@click.option("--memory-gb", help="Memory of each board, such as 8,4.  [default: the profile's]")
@click.option("--overlap", is_flag=True, help="What if boards attended to their own tokens while messages travel.")
@click.option("--relay", is_flag=True, help="Traffic takes the air twice, through an access point.")
@click.option("--jitter", type=float, help="Coefficient of variation of every step and message; needs --seed.")
@click.option("--seed", type=int, help="Seed of the jitter.")
@click.option("--profile", default="orin_nano_published", show_default=True, help="Shipped profile or a file.")
@click.option("--trace", "trace_path", type=Path, help="Write a Chrome trace here; ui.perfetto.dev opens it.")
@click.option("--record", "record_path", type=Path, help="Write the record here as a JSON line.")
@what_if_options
@json_option
def simulate(
    *,
    model: str,
    mode: str,
    segments: int | None,
    cr: float | None,
    devices: int | None,
    batch: int,
    bandwidth: str | None,
    reverse_bandwidth: str | None,
    exchange: str,
    input_distribution: str,
    skip_first_exchange: bool,
    wire_dtype: str,
    shares: str | None,
    speeds: str | None,
    memory_gb: str | None,
    overlap: bool,
    relay: bool,
    jitter: float | None,
    seed: int | None,
    profile: str,
    trace_path: Path | None,
    record_path: Path | None,
    as_json: bool,
    what_if: WhatIf,
) -> None:
    """Simulate one pass and say where its time goes."""
    from dataclasses import replace

    from prism.errors import InputError
    from prism.memory import InfeasiblePlan
    from prism.record import write_measurements
    from prism.scenario import Scenario
    from prism.trace import write_trace
    from sim.simulate import simulate as run

    shape = what_if.shape(model)
    boards = _boards(speeds, memory_gb)
    # Which shares 'speed' and 'best' are is known only once there is a scenario.
    written = None if shares in ("speed", "best") else shares
    plan = plan_of(
        shape, mode, devices, segments, cr, wire_dtype, exchange, input_distribution, not skip_first_exchange, written
    )
    boards.require(plan.devices)
    if overlap and plan.mode == "local":
        raise InputError("--overlap goes with a distributed mode; local exchanges nothing")
    notes = [
        *what_if.notes(),
        *(["own attention runs while messages travel (not in Prism's runtime)"] if overlap else []),
    ]
    scenario = Scenario(
        shape, batch, what_if.bandwidth_mbps(bandwidth), plan, _reverse_mbps(reverse_bandwidth, what_if)
    )
    system = what_if.profile(profile, relay=relay)
    schedule = scenario.schedule()
    try:
        if shares in ("speed", "best"):
            scenario = _with_shares(scenario, shares, system, boards)
            schedule = scenario.schedule()
        result = run(
            scenario, system, jitter=_jitter(jitter, seed), trace=trace_path is not None, boards=boards, overlap=overlap
        )
    except InfeasiblePlan as reason:
        _print_infeasible(schedule, str(reason), as_json)
        return
    alone = replace(plan, mode="local", devices=1, segments=None, shares=None)
    local = _alone(replace(scenario, plan=alone), system, boards)
    if trace_path is not None:
        write_trace(trace_path, result.spans, label=f"simulated {plan.label}")
        say(f"trace written to {trace_path}; open it in ui.perfetto.dev")
    if record_path is not None:
        write_measurements(record_path, [result])
        say(f"record written to {record_path}")
    if as_json:
        print_json(_summary(result, schedule, local) | _asked(schedule, notes))
    else:
        _print(result, schedule, local)
        for note in notes:
            click.echo(f"What if: {note}.")


def _asked(schedule: Schedule, notes: list[str]) -> dict[str, Any]:
    """What is said of options that are not always there."""
    asked: dict[str, Any] = {}
    if schedule.plan.shares is not None:
        asked["partition"] = list(schedule.partition)
    if notes:
        asked["what_if"] = notes
    return asked


def _reverse_mbps(reverse_bandwidth: str | None, what_if: WhatIf) -> float | None:
    from prism.errors import InputError
    from prism.units import parse_bandwidth_mbps

    if reverse_bandwidth is None:
        return None
    if what_if.wifi is not None:
        raise InputError("--wifi says what the link carries either way; leave --reverse-bandwidth out")
    return parse_bandwidth_mbps(reverse_bandwidth)


def _boards(speeds: str | None, memory_gb: str | None) -> BoardMix:
    from prism.errors import InputError
    from prism.units import check_range
    from sim.boards import BoardMix

    memory = () if memory_gb is None else _numbers("memory-gb", memory_gb, "8,4")
    for size in memory:
        check_range("memory-gb", size, 0.001, 1e6)
    if speeds == "":
        raise InputError("speeds '' are not numbers separated by commas; write for example 1,0.5")
    return BoardMix(
        () if speeds is None else _numbers("speeds", speeds, "1,0.5"), tuple(round(1e9 * size) for size in memory)
    )


def _with_shares(scenario: Scenario, shares: str, system: SystemProfile, boards: BoardMix) -> Scenario:
    """The scenario with shares in proportion to speed, or with the fastest there are."""
    from dataclasses import replace

    from prism.errors import InputError
    from sim.shares import best_shares

    plan = scenario.plan
    if plan.mode == "local":
        raise InputError(f"--shares {shares} goes with a distributed mode; local has all tokens on one board")
    if shares == "best":
        with progress("trying partitions", 0) as advance:
            found = best_shares(scenario, system, boards, advance)
    elif boards.speeds:
        found = boards.speeds[: plan.devices]
    else:
        raise InputError("--shares speed needs --speeds, such as 1,0.5")
    return replace(scenario, plan=replace(plan, shares=found))


def _alone(scenario: Scenario, system: SystemProfile, boards: BoardMix) -> Measurement | None:
    """The terminal device by itself; None where it cannot hold the whole pass."""
    from prism.memory import InfeasiblePlan
    from sim.simulate import simulate as run

    try:
        return run(scenario, system, boards=boards)
    except InfeasiblePlan:
        return None


def plan_of(
    shape: TransformerShape,
    mode: str,
    devices: int | None,
    segments: int | None,
    cr: float | None,
    wire_dtype: str,
    exchange: str,
    input_distribution: str,
    first_exchange: bool,
    shares: str | None,
) -> Plan:
    """The plan that a command's options name; one board for local and two otherwise, where no number is given.

    Raises:
        InputError: options that contradict each other, or that the model does not admit.
    """
    from typing import cast

    from prism.errors import InputError
    from prism.plan import ExchangeKind, InputDistribution, Mode, Plan, WireDtype, segments_for_compression_rate

    devices = devices if devices is not None else (1 if mode == "local" else 2)
    if cr is not None:
        if segments is not None:
            raise InputError("give --segments or --cr, not both")
        segments = segments_for_compression_rate(cr, shape.tokens, devices)
    return Plan(
        mode=cast("Mode", mode),  # names are checked by Plan itself
        devices=devices,
        segments=segments,
        wire_dtype=cast("WireDtype", wire_dtype),
        exchange=cast("ExchangeKind", exchange),
        input_distribution=cast("InputDistribution", input_distribution),
        first_exchange=first_exchange,
        shares=None if shares is None else _numbers("shares", shares, "2,1"),
    )


def _numbers(name: str, text: str, example: str) -> tuple[float, ...]:
    from prism.errors import InputError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{name} {text!r} are not numbers separated by commas; write for example {example}") from None


def _jitter(variation: float | None, seed: int | None) -> Any:
    from prism.errors import InputError

    if (variation is None) != (seed is None):
        raise InputError("--jitter and --seed go together: a random run must be repeatable")
    if variation is None:
        return None
    import numpy as np

    from prism.units import check_range
    from sim.jitter import lognormal_jitter

    check_range("seed", seed or 0, 0, 2**63)
    return lognormal_jitter(np.random.default_rng(seed), variation)


def _memory_mb(schedule: Schedule) -> list[float]:
    from prism.memory import memory_use

    return [round(memory_use(schedule, rank).total_bytes / 1e6, 3) for rank in range(len(schedule.ranks))]


def _summary(result: Measurement, schedule: Schedule, local: Measurement | None) -> dict[str, Any]:
    terminal = result.terminal
    energy = result.energy
    return {
        "feasible": True,
        "total_ms": result.total_s * 1e3,
        "compute_ms": terminal.compute_s * 1e3,
        "staging_ms": terminal.staging_s * 1e3,
        "communication_ms": terminal.communication_s * 1e3,
        "transfer_ms": terminal.transfer_s * 1e3,
        "waiting_ms": terminal.waiting_s * 1e3,
        "per_sample_ms": result.total_s * 1e3 / result.batch,
        "local_ms": None if local is None else local.total_s * 1e3,
        "energy_j": None
        if energy is None
        else {
            "terminal": energy.terminal_j,
            "all_boards": energy.all_boards_j,
            "boards": list(energy.boards_j),
            "scope": energy.scope,
        },
        "memory_mb": _memory_mb(schedule),
        "gflops": [schedule.flops(rank) / 1e9 for rank in range(len(schedule.ranks))],
        "input_distribution": result.plan.input_distribution,
        "extrapolated": list(result.extrapolated),
        "profile": result.provenance["profile"],
    }


def _print(result: Measurement, schedule: Schedule, local: Measurement | None) -> None:
    plan = result.plan
    memory = _memory_mb(schedule)
    rows = []
    for rank, times in enumerate(result.ranks):
        seconds = (times.compute_s, times.staging_s, times.transfer_s, times.waiting_s, times.total_s)
        joules = f"{result.energy.boards_j[rank]:.2f}" if result.energy else "-"
        name = "0 (terminal)" if rank == 0 else str(rank)
        rows.append([name, *(f"{1e3 * part:.1f}" for part in seconds), joules, f"{memory[rank]:.0f}"])
    print_table(
        f"Simulated: {result.model}, {plan.label}, batch {result.batch}, {result.bandwidth_mbps:g} Mbps, "
        f"{plan.exchange}, {plan.input_distribution} input",
        ["rank", "compute ms", "staging ms", "transfer ms", "waiting ms", "total ms", "energy J", "memory MB"],
        rows,
    )
    click.echo(
        f"Answer held after {result.total_s * 1e3:.1f} ms, {result.total_s * 1e3 / result.batch:.1f} ms a sample."
    )
    if plan.shares is not None:
        click.echo(f"Tokens of each board: {', '.join(map(str, schedule.partition))}.")
    if local is None:
        click.echo("Local execution does not fit in the terminal device's memory.")
    elif plan.mode != "local":
        change = 100 * (result.total_s / local.total_s - 1)
        verdict = "slower: not worth splitting" if change > 0 else "faster: worth splitting"
        click.echo(f"Local execution takes {local.total_s * 1e3:.1f} ms: this plan is {abs(change):.1f} % {verdict}.")
    if result.energy:
        click.echo(
            f"Energy: terminal {result.energy.terminal_j:.2f} J, all boards {result.energy.all_boards_j:.2f} J "
            f"({result.energy.scope})."
        )
    for reason in result.extrapolated:
        click.echo(f"Extrapolated: {reason}.")


def _print_infeasible(schedule: Schedule, reason: str, as_json: bool) -> None:
    if as_json:
        stages = dict.fromkeys(("total_ms", "compute_ms", "staging_ms", "communication_ms", "energy_j"))
        print_json(
            {"feasible": False, "reason": reason, **stages, "memory_mb": _memory_mb(schedule), "extrapolated": []}
        )
    else:
        click.echo(f"Infeasible: {reason}.")
