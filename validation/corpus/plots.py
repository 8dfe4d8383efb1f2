"""The plots of a corpus's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.corpus.amounts import pass_amounts
from prism.record import STAGES
from prism.report.plot import MODE_COLOURS, STAGE_COLOURS, new_figure
from validation.corpus.learning import LearningPoint
from validation.corpus.predict import Prediction
from validation.corpus.spans import Lag

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def measured_against_simulated(predictions: Sequence[Prediction]) -> Figure:
    """Every held-out case with the interval of its median."""
    figure = new_figure(8, 5)
    axis = figure.subplots()
    for mode, pairs in _by_mode(predictions):
        measured = np.array([pair.case.total_s for pair in pairs]) * 1e3
        simulated = np.array([pair.simulated.total_s for pair in pairs]) * 1e3
        low, high = (np.array([getattr(pair, end) for pair in pairs]) * 1e3 for end in ("low_s", "high_s"))
        axis.errorbar(
            measured,
            simulated,
            yerr=[simulated - low, high - simulated],
            fmt="o",
            markersize=3,
            linewidth=0.7,
            color=MODE_COLOURS[mode],
            label=mode,
        )
    ends = _ends([value for pair in predictions for value in (pair.case.total_s * 1e3, pair.simulated.total_s * 1e3)])
    axis.plot(ends, ends, color="#888", linewidth=1, zorder=0)
    axis.set(xscale="log", yscale="log", xlabel="measured median, ms", ylabel="simulated, ms", xlim=ends, ylim=ends)
    axis.legend(frameon=False)
    _tidy(axis)
    return figure


def residuals(predictions: Sequence[Prediction]) -> Figure:
    """Error of the total by batch size, bandwidth and size of a message."""
    figure = new_figure(10, 3.6)
    panels = figure.subplots(1, 3, sharey=True)
    axes = (("batch size", _batch), ("bandwidth, Mbps", _bandwidth), ("message, KB", _message_kb))
    for axis, (label, x_of) in zip(panels, axes, strict=True):
        for mode, pairs in _by_mode(predictions):
            points = [(x, pair.error_pct()) for pair in pairs if (x := x_of(pair)) is not None]
            if points:
                axis.plot(
                    *zip(*points, strict=True), "o", markersize=3, alpha=0.6, color=MODE_COLOURS[mode], label=mode
                )
        axis.axhline(0, color="#888", linewidth=1)
        axis.set(xscale="log", xlabel=label)
        _tidy(axis)
    panels[0].set_ylabel("error of the total, %")
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def stage_bars(predictions: Sequence[Prediction]) -> Figure:
    """Mean stages of each mode and exchange, measured beside simulated, as shares of the measured total."""
    groups: dict[str, list[Prediction]] = {}
    for pair in predictions:
        plan = pair.case.key.plan
        name = plan.mode if plan.mode == "local" else f"{plan.mode}\n{plan.exchange}"
        groups.setdefault(name, []).append(pair)
    figure = new_figure(9, 3.8)
    axis = figure.subplots()
    places = np.arange(len(groups))
    for offset, hatch, simulated in ((-0.2, "", False), (0.2, "///", True)):
        bottom = np.zeros(len(groups))
        for stage in STAGES:
            height = np.array([_stage_share(pairs, stage, simulated=simulated) for pairs in groups.values()])
            label = f"{stage}, {'simulated' if simulated else 'measured'}"
            colour = STAGE_COLOURS[stage]
            axis.bar(
                places + offset, height, 0.36, bottom=bottom, color=colour, hatch=hatch, edgecolor="white", label=label
            )
            bottom += height
    axis.set_xticks(places, list(groups))
    axis.set_ylabel("% of the measured total")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False, fontsize=8)
    return figure


def learning_plot(curve: Sequence[LearningPoint]) -> Figure:
    """Held-out error against the number of cases that the calibration has seen."""
    figure = new_figure(7, 3.6)
    axis = figure.subplots()
    for name, attribute, colour in (("designed", "designed_pct", "#0072B2"), ("random", "random_pct", "#E69F00")):
        points = [(p.cases, value) for p in curve if (value := getattr(p, attribute)) is not None]
        if points:
            axis.plot(*zip(*points, strict=True), "o-", color=colour, label=f"{name} order")
    full = curve[-1].designed_pct
    if full is not None:
        axis.axhline(1.5 * full, color="#888", linewidth=1, linestyle="--", label="1.5 times the full fit's")
    axis.set(xscale="log", yscale="log", xlabel="cases measured", ylabel="held-out MAPE of the total, %")
    axis.legend(frameon=False)
    _tidy(axis)
    return figure


def lag_plot(found: Sequence[Lag]) -> Figure:
    """How far the simulated pass is behind the measured one, block by block."""
    figure = new_figure(7, 3.2)
    axis = figure.subplots()
    for rank, colour in zip(sorted({lag.rank for lag in found}), STAGE_COLOURS.values(), strict=False):
        of_rank = [lag for lag in found if lag.rank == rank]
        axis.plot([lag.block for lag in of_rank], [lag.lag_s * 1e3 for lag in of_rank], "o-", color=colour)
        axis.annotate(f"rank {rank}", (of_rank[-1].block, of_rank[-1].lag_s * 1e3), fontsize=8)
    axis.axhline(0, color="#888", linewidth=1)
    axis.set(xlabel="block", ylabel="simulated behind measured, ms")
    _tidy(axis)
    return figure


def _by_mode(predictions: Sequence[Prediction]) -> list[tuple[str, list[Prediction]]]:
    groups = [(mode, [pair for pair in predictions if pair.case.key.plan.mode == mode]) for mode in MODE_COLOURS]
    return [(mode, pairs) for mode, pairs in groups if pairs]


def _batch(pair: Prediction) -> float | None:
    return pair.case.key.batch


def _bandwidth(pair: Prediction) -> float | None:
    return None if pair.case.key.plan.mode == "local" else pair.case.key.bandwidth_mbps


def _message_kb(pair: Prediction) -> float | None:
    scenario = pair.case.scenario
    rounds = pass_amounts(scenario.shape, scenario.plan, scenario.batch).rounds
    return 1e3 * max(rounds[-1].sizes_mb) if rounds else None


def _stage_share(pairs: Sequence[Prediction], stage: str, *, simulated: bool) -> float:
    shares = [
        (pair.simulated.stage_s(stage) if simulated else pair.case.median_s(stage)) / pair.case.total_s
        for pair in pairs
    ]
    return 100 * float(np.mean(shares))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values) / 1.2, max(values) * 1.2


def _tidy(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)
