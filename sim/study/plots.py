"""The plots of a study's report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from prism.report.plot import MODE_COLOURS, SERIES_COLOURS, STAGE_COLOURS, new_figure
from sim.study.summary import best_rows, plan_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A plot with more lines than this cannot be read; the table has them all.
MAX_SERIES = 1 + len(SERIES_COLOURS)


def breakdown(rows: pd.DataFrame, bandwidth_mbps: float) -> Figure:
    """Stacked bars: where the latency of each plan goes, batch by batch, each batch on an axis of its own."""
    rows = _at(rows, bandwidth_mbps)
    batches = sorted(rows["batch"].unique())
    columns = min(len(batches), 3)
    lines = -(-len(batches) // columns)
    labels = _shown(rows)
    figure = new_figure(10, 0.55 + lines * (0.75 + 0.27 * len(labels)))
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axis, batch in zip(axes, batches, strict=False):
        of_batch = rows[rows["batch"] == batch].set_index("plan").reindex(labels)
        left = np.zeros(len(labels))
        for stage, colour in STAGE_COLOURS.items():
            width = of_batch[f"{stage}_ms"].fillna(0).to_numpy()
            axis.barh(labels, width, left=left, color=colour, label=stage)
            left += width
        axis.set_title(f"batch {batch}", fontsize=10, loc="left")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    for axis in axes[len(batches) :]:
        axis.set_visible(False)
    for axis in axes[max(len(batches) - columns, 0) : len(batches)]:
        axis.set_xlabel("ms for the batch")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return figure


def per_sample(rows: pd.DataFrame, bandwidth_mbps: float) -> Figure:
    """Latency and energy of one sample against batch size, a line a plan."""
    rows = _at(rows, bandwidth_mbps)
    has_energy = bool(rows["terminal_j"].notna().any())
    figure = new_figure(10, 3.9)
    axes = figure.subplots(1, 2 if has_energy else 1, squeeze=False).ravel()
    rows = rows.assign(sample_j=rows["terminal_j"] / rows["batch"])
    what = [("per_sample_ms", "ms a sample"), ("sample_j", "J a sample, terminal device")]
    for axis, (column, title) in zip(axes, what, strict=False):
        colours = iter(SERIES_COLOURS)
        for label in _shown(rows):
            line = rows[rows["plan"] == label].sort_values("batch")
            colour = MODE_COLOURS["local"] if label == "local" else next(colours)
            axis.plot(line["batch"], line[column], marker="o", markersize=4, color=colour, label=label)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted(rows["batch"].unique()), [str(batch) for batch in sorted(rows["batch"].unique())])
        axis.set_xlabel("batch size")
        axis.set_ylabel(title)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def crossover_map(rows: pd.DataFrame) -> Figure:
    """The fastest plan over batch and bandwidth; each cell names it and its change against local."""
    best = best_rows(rows)
    batches, bandwidths = sorted(best["batch"].unique()), sorted(best["bandwidth_mbps"].unique())
    change = best.pivot(index="batch", columns="bandwidth_mbps", values="change_pct").reindex(index=batches)
    cells = {(row["bandwidth_mbps"], row["batch"]): _cell(row) for _, row in best.iterrows()}
    lines = max(cell.count("\n") + 1 for cell in cells.values())
    figure = new_figure(max(5.0, 2.2 + 0.95 * len(bandwidths)), max(2.4, 1.2 + (0.14 + 0.18 * lines) * len(batches)))
    axis = figure.subplots()
    limit = max(1.0, float(np.nanmax(np.abs(change.to_numpy()))) if change.notna().any(axis=None) else 1.0)
    image = axis.imshow(-change.fillna(0), origin="lower", aspect="auto", cmap="YlGn", vmin=0, vmax=limit)
    for _, row in best.iterrows():
        x, y = bandwidths.index(row["bandwidth_mbps"]), batches.index(row["batch"])
        dark = -row["change_pct"] > 0.6 * limit
        text = cells[row["bandwidth_mbps"], row["batch"]]
        axis.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axis.set_xticks(range(len(bandwidths)), [f"{mbps:g}" for mbps in bandwidths])
    axis.set_yticks(range(len(batches)), [str(batch) for batch in batches])
    axis.set_xlabel("bandwidth, Mbps")
    axis.set_ylabel("batch size")
    figure.colorbar(image, ax=axis, label="% of local latency saved")
    return figure


def _cell(row: pd.Series) -> str:
    """The plan and its gain on short lines: mode (unless Segment Means), boards and segments, then options."""
    words = str(row["plan"]).removeprefix("segment_means ").replace("full_tensor", "full").split()
    sizes = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word]
    lines = [" ".join(sizes), *names] if sizes else names
    if row["mode"] != "local" and not pd.isna(row["change_pct"]):
        lines.append(f"{row['change_pct']:+.0f} %")
    return "\n".join(lines)


def _at(rows: pd.DataFrame, bandwidth_mbps: float) -> pd.DataFrame:
    shown: pd.DataFrame = rows[(rows["bandwidth_mbps"] == bandwidth_mbps) & rows["feasible"]]
    labelled: pd.DataFrame = shown.assign(plan=plan_labels(shown))
    return labelled


def _shown(rows: pd.DataFrame) -> list[str]:
    """The plans that fit into one plot, in the order of the study."""
    labels = list(dict.fromkeys(rows["plan"]))
    return labels[: MAX_SERIES if "local" in labels else len(SERIES_COLOURS)]
