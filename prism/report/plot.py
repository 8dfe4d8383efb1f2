"""How Prism's plots look, and their export as SVG. Figures never touch a display or pyplot's global state."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colour-blind safe (Okabe and Ito), the same meaning in every report.
MODE_COLOURS = {"local": "#0072B2", "full_tensor": "#D55E00", "segment_means": "#009E73"}
STAGE_COLOURS = {"compute": "#0072B2", "staging": "#E69F00", "communication": "#CC79A7"}
#: For plans other than local, which keeps its colour.
SERIES_COLOURS = ("#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#000000")


def new_figure(width: float = 8.0, height: float = 4.0) -> Figure:
    """An empty figure, inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def figure_svg(figure: Figure, description: str) -> str:
    """The figure as an SVG element with a description for screen readers; the same figure gives the same bytes."""
    from html import escape

    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "prism", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(description, quote=True)}" ', 1)
