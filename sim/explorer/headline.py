"""The answer in a sentence: is it worth splitting?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.explorer.breakdown import Bar, split_bars
from sim.explorer.objectives import OBJECTIVES, values
from sim.explorer.question import BATCH, Question
from sim.twin.scenarios import Scenarios
from sim.twin.simulate import simulate_many


@dataclass(frozen=True)
class Headline:
    """What the page says first.

    Attributes:
        verdict: `split`, `stay`, or `neither` where nothing fits.
        sentence: the answer.
        detail: the two values behind it, and where splitting starts to pay.
        extrapolated: each way in which what was compared lies outside what was measured.
    """

    verdict: str
    sentence: str
    detail: str
    extrapolated: tuple[str, ...]


def headline(question: Question, bars: tuple[Bar, ...]) -> Headline:
    """The sentence for the bars of `sim.explorer.breakdown.breakdown`, `local` first among them."""
    local, where = bars[0], f"At batch {question.batch} and {question.bandwidth_mbps:g} Mbps"
    splits = [bar for bar in split_bars(bars) if bar.value is not None]
    best = min(splits, key=lambda bar: bar.value or 0.0, default=None)
    compared = (local, *([best] if best else split_bars(bars)))
    outside = tuple(dict.fromkeys(reason for bar in compared for reason in bar.extrapolated))
    if best is None:
        fits = local.value is not None
        told = "stay on one board: no split fits in a board's memory." if fits else "no plan fits in a board's memory."
        return Headline("stay" if fits else "neither", f"{where}, {told}", "", outside)
    noun = OBJECTIVES[question.objective].noun
    split = f"split over {question.boards} boards with {split_name(best)}"
    if local.value is None or best.change_pct is None:
        return Headline("split", f"{where}, {split}: one board cannot hold it.", str(local.refusal or ""), outside)
    detail = " ".join(filter(None, (_values(question, local, best), _pays(question))))
    amount = f"{_percent(abs(best.change_pct))} %"
    if best.change_pct < 0:
        return Headline("split", f"{where}, {split}: {amount} less {noun} than one board.", detail, outside)
    stay = f"{where}, stay on one board: the best split takes {amount} more {noun}."
    return Headline("stay", stay, detail, outside)


def split_name(bar: Bar) -> str:
    """A split plan for people."""
    return "full tensors" if bar.segments is None else f"L = {bar.segments}"


def _percent(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:.2g}"


def _values(question: Question, local: Bar, best: Bar) -> str:
    unit = OBJECTIVES[question.objective].unit
    return f"{best.value:.4g} {unit} a batch with {split_name(best)}, {local.value:.4g} {unit} on one board."


def _pays(question: Question) -> str:
    """At which batch sizes the best split beats one board on this link, tried one by one."""
    plans = question.plans()
    batches = np.arange(BATCH[0], BATCH[1] + 1)
    many = Scenarios.grid(question.shape, plans, batches, question.bandwidth_mbps)
    times = simulate_many(many, question.profile)
    by_plan = values(times, question.objective).reshape(len(plans), -1)
    wins = np.where(np.isnan(by_plan[1:]), np.inf, by_plan[1:]).min(axis=0) < by_plan[0]
    paying = batches[wins].tolist()
    link = f"At {question.bandwidth_mbps:g} Mbps splitting"
    if not paying:
        return f"{link} does not pay at any batch size up to {BATCH[1]}."
    if paying == batches.tolist():
        return f"{link} pays at every batch size up to {BATCH[1]}."
    if paying == list(range(paying[0], BATCH[1] + 1)):
        return f"{link} pays from batch {paying[0]} up."
    return f"{link} pays at {len(paying)} of the batch sizes up to {BATCH[1]}, {paying[0]} the first."
