"""The ways to split a pass as bars: where the terminal device's time goes, and what all boards send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prism.report.plot import STAGE_COLOURS, new_figure
from sim.comparators.compare import Way

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ways_figure(ways: Sequence[Way]) -> Figure:
    """Two panels, one row a way, those that cannot be done left out. At least one can."""
    done = [way for way in ways if way.terminal is not None]
    names = [way.name if way.exact else f"{way.name} *" for way in done]
    figure = new_figure(10, 1.4 + 0.4 * len(done))
    times, sent = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    start = [0.0] * len(done)
    for stage, colour in STAGE_COLOURS.items():
        width = [1e3 * way.terminal.stage_s(stage) for way in done if way.terminal is not None]
        times.barh(names, width, left=start, color=colour, label=stage)
        start = [before + more for before, more in zip(start, width, strict=True)]
    times.invert_yaxis()
    times.set_xlabel("ms on the terminal device (simulated); * gives another answer")
    times.legend(fontsize=8)
    sent.barh(names, [way.sent_bytes / 1e6 for way in done], color="#56B4E9")
    sent.set_xlabel("MB sent by all boards")
    for axis in (times, sent):
        axis.grid(alpha=0.3, axis="x")
        axis.spines[["top", "right"]].set_visible(False)
    return figure
