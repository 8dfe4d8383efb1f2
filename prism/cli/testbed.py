"""`prism testbed`: boards played on one Linux machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from prism.cli.boards import LOOPBACK
from prism.cli.output import json_option, print_json, print_table, progress, say

if TYPE_CHECKING:
    from hw.link.verdict import SelfTest
    from hw.testbed import Bed


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="Examples: prism testbed --ranks 2 --bandwidth 400 --selftest; "
    "prism testbed -- sh -c 'echo I am $PRISM_RANK at $PRISM_ADDRESS'; prism testbed --clean",
)
@click.option("--ranks", type=int, default=2, show_default=True, help="Boards to play, each in a namespace.")
@click.option("--bandwidth", default="400", show_default=True, help="Rate of the medium: 20 to 2000 Mbps.")
@click.option(
    "--burst", type=int, help="Bytes that pass unshaped after an idle time.  [default: as few as hold the rate]"
)
@click.option("--loopback", is_flag=True, help="No namespaces: loopback and paced sockets, as without root.")
@click.option("--selftest", is_flag=True, help="Time 30, 60 and 300 KB both ways; exit code 1 if the link is refused.")
@click.option("--clean", is_flag=True, help="Remove what killed testbeds left behind, and do nothing else.")
@json_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def testbed(
    ranks: int,
    bandwidth: str,
    burst: int | None,
    loopback: bool,
    selftest: bool,
    clean: bool,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Boards on this machine around one half-duplex medium: test it, or run COMMAND in each, then take it down.

    COMMAND finds PRISM_RANK, PRISM_ADDRESS, PRISM_PEERS and PRISM_INTERFACE in its environment.
    """
    from hw.link.tools import ToolFailed
    from prism.errors import InputError

    try:
        if clean:
            _clean(as_json)
        else:
            _use(_bed(ranks, bandwidth, burst, loopback), selftest, command, as_json)
    except ToolFailed as error:
        raise InputError(f"{error}; `prism testbed --loopback` needs neither root nor the kernel's qdiscs") from None


def _bed(ranks: int, bandwidth: str, burst: int | None, loopback: bool) -> Bed:
    from hw.testbed import LoopbackTestbed, Testbed, why_no_namespaces
    from prism.errors import InputError
    from prism.units import parse_bandwidth_mbps

    rate_mbps = parse_bandwidth_mbps(bandwidth)
    reason = "asked for" if loopback else why_no_namespaces()
    if reason is None:
        return Testbed(ranks, rate_mbps, burst_bytes=burst)
    if burst is not None:
        raise InputError("--burst is of a testbed of namespaces; loopback has no bucket")
    say(f"{reason}: {LOOPBACK}")
    return LoopbackTestbed(ranks, rate_mbps)


def _use(bed: Bed, selftest: bool, command: tuple[str, ...], as_json: bool) -> None:
    from hw.testbed.commands import run_everywhere

    result: dict[str, Any] = {"ranks": bed.ranks, "provenance": bed.provenance()}
    verdict: SelfTest | None = None
    failed = False
    with bed:
        if selftest:
            verdict = _test(bed)
            result["selftest"] = verdict.as_dict()
            failed = not verdict.ok
        if command and not failed:
            result["exit_codes"] = run_everywhere(
                bed, command, lambda rank, line: click.echo(f"rank {rank}: {line}", err=as_json)
            )
            failed = any(result["exit_codes"])
    if as_json:
        print_json(result)
    else:
        if verdict is not None:
            _print(verdict)
        elif not command:
            click.echo(f"Up and down again: {bed.ranks} ranks, {_told(bed.provenance())}.")
        if any(result.get("exit_codes", ())):
            say(f"exit codes by rank: {', '.join(map(str, result['exit_codes']))}")
    if failed:
        click.get_current_context().exit(1)


def _test(bed: Bed) -> SelfTest:
    from hw.link.selftest import PLAN, REPEATS
    from hw.testbed.check import ProbeFailed, check
    from prism.errors import InputError

    if bed.ranks < 2:
        raise InputError("a self-test needs 2 ranks")
    say("self-test: about 20 s, up to 60 s on a noisy machine")
    try:
        with progress("messages", total=REPEATS * len(PLAN)) as advance:
            return check(bed, progress=advance)
    except ProbeFailed as error:
        raise InputError(f"{error}; is the link up, and may processes listen on it?") from None


def _clean(as_json: bool) -> None:
    from hw.testbed import remove_leftovers

    names = remove_leftovers()
    if as_json:
        print_json({"removed": names})
    else:
        click.echo(f"Removed: {', '.join(names)}." if names else "Nothing was left behind.")


def _told(provenance: dict[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in provenance.items())


def _print(verdict: SelfTest) -> None:
    rows = [
        [
            f"{figure.direction} {figure.payload_bytes / 1e3:g} KB",
            f"{figure.wire_bytes:.0f}",
            str(figure.repeats),
            f"{figure.measured_s * 1e3:.3f}",
            f"{figure.quartiles_s[0] * 1e3:.3f} to {figure.quartiles_s[1] * 1e3:.3f}",
            f"{figure.expected_s * 1e3:.3f}",
            f"{figure.ratio:.3f}",
        ]
        for figure in verdict.figures
    ]
    print_table(
        f"Self-test at {verdict.rate_mbps:g} Mbps on the wire, each message after 50 ms idle",
        ["message", "wire bytes", "repeats", "median ms", "middle half ms", "expected ms", "ratio"],
        rows,
    )
    fixed = ", ".join(f"{name} {seconds * 1e3:+.3f} ms" for name, seconds in verdict.fixed_s.items())
    counted = "counted at the medium" if verdict.wire_bytes_counted else "reckoned from headers"
    click.echo(f"Link: {_told(verdict.provenance)}.")
    click.echo(f"Fixed cost, measured on 10 to 14 KB: {fixed}.")
    click.echo(f"Payload is {verdict.payload_efficiency:.1%} of the wire bytes ({counted}).")
    click.echo(f"{verdict.refusal[0].upper()}{verdict.refusal[1:]}." if verdict.refusal else "The link holds its rate.")
