"""The plots of the validation report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from prism.record import STAGES
from prism.report.plot import MODE_COLOURS, STAGE_COLOURS, new_figure
from validation.compare import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def measured_against_simulated(held_out: Sequence[Comparison]) -> Figure:
    """Each left-out batch: simulated over published total latency, and its error."""
    figure = new_figure(10, 4.2)
    scatter, residual = figure.subplots(1, 2)
    batches = sorted({pair.measured.batch for pair in held_out})
    for mode, colour in MODE_COLOURS.items():
        pairs = sorted((pair for pair in held_out if pair.mode == mode), key=lambda pair: pair.measured.batch)
        measured = [pair.measured.total_s * 1e3 for pair in pairs]
        scatter.plot(measured, [pair.simulated.total_s * 1e3 for pair in pairs], "o", color=colour, label=mode)
        residual.plot(
            [pair.measured.batch for pair in pairs],
            [pair.error_pct() for pair in pairs],
            "o-",
            color=colour,
            label=mode,
        )
    ends = [60, 5000]
    scatter.plot(ends, ends, color="#888", linewidth=1, zorder=0)
    scatter.set(xscale="log", yscale="log", xlabel="published, ms", ylabel="simulated, ms", xlim=ends, ylim=ends)
    scatter.legend(frameon=False)
    residual.axhspan(-10, 10, color="#000", alpha=0.05)
    residual.axhline(0, color="#888", linewidth=1)
    residual.set_xscale("log", base=2)
    residual.set(xlabel="left-out batch size", ylabel="error of total, %")
    residual.set_xticks(batches, [str(batch) for batch in batches])
    for axis in (scatter, residual):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    return figure


def stage_bars(pairs: Sequence[Comparison]) -> Figure:
    """Published beside simulated stages of every case, a panel a mode."""
    modes = [mode for mode in MODE_COLOURS if any(pair.mode == mode for pair in pairs)]
    figure = new_figure(10, 4.1)
    for axis, mode in zip(figure.subplots(1, len(modes)), modes, strict=True):
        of_mode = sorted((pair for pair in pairs if pair.mode == mode), key=lambda pair: pair.measured.batch)
        places = np.arange(len(of_mode))
        for offset, hatch, runs in (
            (-0.2, "", [pair.measured for pair in of_mode]),
            (0.2, "///", [pair.simulated for pair in of_mode]),
        ):
            bottom = np.zeros(len(runs))
            for stage in STAGES:
                height = np.array([run.stage_s(stage) * 1e3 / run.batch for run in runs])
                label = f"{stage}, {'simulated' if hatch else 'published'}"
                axis.bar(
                    places + offset,
                    height,
                    0.36,
                    bottom=bottom,
                    color=STAGE_COLOURS[stage],
                    hatch=hatch,
                    edgecolor="white",
                    linewidth=0,
                    label=label,
                )
                bottom += height
        axis.set_xticks(places, [str(pair.measured.batch) for pair in of_mode])
        axis.set_title(mode, fontsize=10, loc="left")
        axis.set_xlabel("batch size")
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("ms a sample")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=3, frameon=False, fontsize=8)
    return figure
