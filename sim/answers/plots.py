"""Pictures of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prism.plan import Plan
from prism.profile import SystemProfile
from prism.report.plot import MODE_COLOURS, new_figure
from prism.shape import TransformerShape
from sim.answers.crossover import BandwidthCrossover
from sim.answers.errors import StageErrors
from sim.answers.pareto import Front
from sim.answers.passes import PlanLatency
from sim.answers.roots import scan_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 60
#: Draws that a band is made from; more do not show.
_BAND_DRAWS = 200


def crossover_figure(
    shape: TransformerShape, profile: SystemProfile, answer: BandwidthCrossover, errors: StageErrors | None
) -> Figure:
    """Latency against bandwidth, split and local, with the band that 90 % of the draws lie in, and the crossings."""
    figure = new_figure(8, 4)
    axis = figure.subplots()
    mbps = scan_points(*_around(answer), _POINTS)
    split = PlanLatency(shape, answer.plan, profile)
    colour = MODE_COLOURS[answer.plan.mode]
    axis.plot(mbps, 1e3 * split.seconds(answer.batch, mbps), color=colour, label=answer.plan.label)
    axis.axhline(1e3 * answer.local_s, color=MODE_COLOURS["local"], label="local")
    if errors is not None and split.by_simpy is None:
        draws = min(errors.draws, _BAND_DRAWS)
        row, point = np.divmod(np.arange(draws * len(mbps)), len(mbps))
        drawn = split.seconds(answer.batch, mbps[point], errors.of(answer.plan.mode, row)).reshape(draws, len(mbps))
        low, high = np.quantile(1e3 * drawn, (0.05, 0.95), axis=0)
        axis.fill_between(mbps, low, high, color=colour, alpha=0.2, linewidth=0, label="90 % of draws")
    for root in answer.crossings:
        axis.axvline(root.x, color="#000000", linewidth=0.8, linestyle="--")
        axis.annotate(
            f"{root.x:.0f} Mbps", (root.x, 1e3 * answer.local_s), (4, 6), textcoords="offset points", fontsize=9
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.set_xlabel("bandwidth, Mbps")
    axis.set_ylabel(f"simulated ms, batch {answer.batch}")
    axis.set_ylim(0, 4e3 * answer.local_s)
    _plain(axis)
    return figure


def _around(answer: BandwidthCrossover) -> tuple[float, float]:
    """The part of the range that shows the crossings; all of it where there are none."""
    low, high = answer.searched_mbps
    if not answer.crossings:
        return low, high
    return max(low, answer.crossings[0].x / 8), min(high, answer.crossings[-1].x * 8)


def pareto_figure(front: Front, batch: int, bandwidth_mbps: float) -> Figure:
    """Latency against compression, and against energy where it is known; the front is filled and named."""
    figure = new_figure(10 if "energy" in front.objectives else 6, 4)
    panels = [("compression rate", [choice.compression_rate for choice in front.choices])]
    if "energy" in front.objectives:
        panels.append(("J, all boards", [choice.all_boards_j or 0.0 for choice in front.choices]))
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    for axis, (title, heights) in zip(axes, panels, strict=True):
        for choice, height in zip(front.choices, heights, strict=True):
            colour = MODE_COLOURS[choice.plan.mode]
            face = colour if choice.on_front else "none"
            axis.scatter(1e3 * choice.latency_s, height, s=28, edgecolor=colour, facecolor=face)
            if choice.on_front:
                axis.annotate(
                    short(choice.plan),
                    (1e3 * choice.latency_s, height),
                    (5, 3),
                    textcoords="offset points",
                    fontsize=8,
                )
        axis.set_xlabel(f"simulated ms, batch {batch}, {bandwidth_mbps:g} Mbps")
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def short(plan: Plan) -> str:
    """A name that fits beside a point: ``local``, ``full P=2``, ``P=2 L=10``."""
    return plan.label.removeprefix("segment_means ").replace("full_tensor", "full")


def _plain(axis: Axes) -> None:
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
