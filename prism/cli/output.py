"""What commands print: one JSON object or tables on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout; logs go to stderr."
)


def say(message: str) -> None:
    """A line for the person, on stderr."""
    click.echo(message, err=True)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_line(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout, at once: for a program that waits for it."""
    click.echo(json.dumps(value, allow_nan=False))
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout; the first column is text, the rest are numbers. Never cut to the terminal's width."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    widths = [max(map(len, cells)) + 3 for cells in zip(columns, *rows, strict=True)]
    console = Console(file=sys.stdout, highlight=False)
    console.width = max(console.width, sum(widths), len(title))
    console.print(table)


@contextmanager
def timed_progress(description: str) -> Iterator[Callable[[int, int, float | None], None]]:
    """A progress bar for work that knows its own time left; yields what to call with done, total and seconds left."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=None, left="")

        def advance(done: int, total: int, left_s: float | None) -> None:
            left = "" if left_s is None else f"{int(left_s // 60)}:{int(left_s % 60):02d} left"
            bar.update(task, completed=done, total=total, left=left)

        yield advance


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar with the time left on stderr, shown only to a terminal; yields what to call after each item."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)
