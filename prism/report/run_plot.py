"""The plot of an adaptive run: bandwidth, choice and latency over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prism.policy.loop import Served
from prism.policy.names import plan_name
from prism.report.plot import MODE_COLOURS, SERIES_COLOURS, new_figure
from prism.streams.bandwidth import BandwidthTrace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run_figure(served: Sequence[Served], trace: BandwidthTrace) -> Figure:
    """Three panels over one time axis. At least one batch must have been served."""
    figure = new_figure(10, 6.4)
    link, choice, latency = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 2))
    end_s = served[-1].outcome.end_s
    _bandwidth(link, served, trace, end_s)
    names = list(dict.fromkeys(plan_name(done.decision.order.plan) for done in served))
    spare = iter(SERIES_COLOURS * (1 + len(names) // len(SERIES_COLOURS)))
    colours = {name: MODE_COLOURS["local"] if name == "local" else next(spare) for name in names}
    for row, name in enumerate(names):
        mine = [done for done in served if plan_name(done.decision.order.plan) == name]
        spans = [(done.outcome.start_s, done.outcome.total_s) for done in mine]
        choice.broken_barh(spans, (row - 0.4, 0.8), color=colours[name])
        latency.plot(
            [start_s for start_s, _ in spans],
            [1e3 * (done.outcome.total_s + done.outcome.restore_s) for done in mine],
            ".",
            markersize=3,
            color=colours[name],
            label=name,
        )
    choice.set_yticks(range(len(names)), names, fontsize=8)
    choice.invert_yaxis()
    latency.set_ylabel("ms for the batch")
    latency.set_ylim(bottom=0)
    latency.set_xlabel("s")
    latency.set_xlim(0, end_s)
    for axis in (link, choice, latency):
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _bandwidth(axis: object, served: Sequence[Served], trace: BandwidthTrace, end_s: float) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    pieces = [(begin_s, mbps) for begin_s, _, mbps in trace.pieces() if begin_s <= end_s]
    pieces.append((end_s, pieces[-1][1]))
    # On an axis of logarithms an outage has no place: the line breaks.
    axis.step(
        [begin_s for begin_s, _ in pieces],
        [mbps or float("nan") for _, mbps in pieces],
        where="post",
        color="#000000",
        linewidth=1.2,
        label="link",
    )
    known = [
        (done.outcome.start_s, done.decision.bandwidth_mbps)
        for done in served
        if done.decision.bandwidth_mbps is not None
    ]
    axis.plot(
        [at for at, _ in known], [mbps for _, mbps in known], ".", markersize=3, color="#CC79A7", label="estimate"
    )
    axis.set_yscale("log")
    for each in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        each(_plain_number)
    axis.set_ylabel("Mbps")
    axis.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _plain_number(value: float, _position: float) -> str:
    """People read 200, not 2 x 10^2. What would not fit below its neighbour is left out."""
    return f"{value:g}" if f"{value:e}"[0] in "1235" else ""
