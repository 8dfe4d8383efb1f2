"""A measured quantity with its spread, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One quantity, measured repeatedly. `target` is what the project asks of it; empty where it asks nothing."""

    name: str
    values: Sequence[float]
    target: str = ""

    def row(self, form: str) -> tuple[str, ...]:
        """Name, least, median, greatest and target, for `print_table`."""
        spread = (min(self.values), median(self.values), max(self.values))
        return (self.name, *(form.format(value) for value in spread), self.target)


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns: the first and last to the left, figures to the right."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{title}")
    for line in lines:
        if not any(line):
            continue
        last = len(line) - 1
        cells = (
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  " + "  ".join(cells).rstrip())
