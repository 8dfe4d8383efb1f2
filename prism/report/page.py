"""A report as data (sections of paragraphs, tables and figures) and its rendering into one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from prism.report.plot import figure_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Paragraph:
    """Plain text; `kind` is ``note`` for what a reader must not overlook, ``good`` or ``bad`` for a verdict."""

    text: str
    kind: str = ""
    block: str = "paragraph"


@dataclass(frozen=True)
class Table:
    """Cells as text. The first column is left-aligned, the rest are numbers; `flags` marks rows ``good`` or ``bad``."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    flags: Sequence[str] = ()
    block: str = "table"


@dataclass(frozen=True)
class Listing:
    """A bulleted list."""

    items: Sequence[str]
    block: str = "listing"


@dataclass(frozen=True)
class Plot:
    """An inlined SVG with what it shows."""

    svg: str
    caption: str
    block: str = "plot"


Block = Paragraph | Table | Listing | Plot


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


def plot(figure: Figure, caption: str) -> Plot:
    """A matplotlib figure as a block of a report."""
    return Plot(figure_svg(figure, caption), caption)


def render(title: str, lead: str, sections: Sequence[Section], command: str) -> str:
    """The report as one HTML document without links to anything outside it. `command` is what remakes it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(
        loader=PackageLoader("prism.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = (files("prism.report") / "templates" / "report.css").read_text(encoding="utf-8")
    return env.get_template("report.html.j2").render(
        title=title, lead=lead, sections=sections, command=command, style=style
    )
