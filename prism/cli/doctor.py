"""`prism doctor`: preflight of a board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from prism.cli.output import json_option, print_json, say

if TYPE_CHECKING:
    from hw.preflight.check import Check

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
#: Where the output is no terminal: wide enough for most findings to stay on one line.
_WIDTH = 140


@click.command(epilog="Examples: prism doctor; prism doctor --peer 192.168.1.12; prism doctor --json > doctor.json")
@click.option("--peer", metavar="ADDRESS", help="IPv4 address of the other board, where `prism worker` runs.")
@click.option("--port", type=int, default=29_600, show_default=True, help="Control port, here and at the peer.")
@click.option("--interface", metavar="NAME", help="Network interface.  [default: the one that leads to the peer]")
@click.option("--require-cuda", is_flag=True, help="Fail without CUDA, as a Jetson does always.")
@json_option
def doctor(peer: str | None, port: int, interface: str | None, require_cuda: bool, as_json: bool) -> None:
    """Look at whether this board, its network and its peer are fit for a run; exit code 1 if a check failed.

    Nothing is changed and root is not needed; with it more can be looked up.
    """
    from hw.preflight.doctor import Question, examine

    question = Question(peer, port, interface, require_cuda)
    say("looking; importing torch for the first time can take a minute")
    checks = list(examine(question, _greet))
    failed = any(check.status == "failed" for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [check.as_dict() for check in checks]})
    else:
        _print(checks)
    if failed:
        click.get_current_context().exit(1)


def _greet(address: str, port: int, timeout_s: float) -> Mapping[str, str]:
    from hw.runtime.handshake import greet

    return greet(address, port, timeout_s)


def _print(checks: Sequence[Check]) -> None:
    """One row a check; what to do stands below what was found. Text is wrapped, so this is no table of numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("found, and what to do", overflow="fold")
    for check in checks:
        told = Text(check.found)
        if check.remedy:
            told.append(f"\n-> {check.remedy}", style="bold")
        # As Text: rich takes the brackets of 'prism-edge[hw]' in a plain string for its own.
        table.add_row(Text(check.name), Text(check.status, style=_STYLES[check.status]), told)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    console.print(table)
    counts: Counter[str] = Counter(check.status for check in checks)
    click.echo(", ".join(f"{counts[status]} {status}" for status in _STYLES if counts[status]) + ".")
