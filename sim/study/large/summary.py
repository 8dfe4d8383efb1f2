"""A large study in one JSON object and one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from prism.plan import Plan
from prism.profile import SystemProfile
from sim.study.estimate import duration_text, estimated_s
from sim.study.large.layout import Layout
from sim.study.large.tally import PlanTally, SectionTally, Tally
from sim.study.spec import Study

#: Title, columns, rows.
TextTable = tuple[str, Sequence[str], list[list[str]]]

_IN_LABEL = {"mode", "devices", "segments"}


def ahead_text(layout: Layout) -> str:
    """What is about to run: points, by which engine, and the time that it will take on one core."""
    engines = ", ".join(f"{count:,} by {engine}" for engine, count in layout.by_engine().items())
    reasons = "".join(f"; {one['points']:,} by simpy: {one['because']}" for one in left_to_simpy(layout))
    about = duration_text(estimated_s(layout.by_engine()))
    return f"{layout.points:,} points in {len(layout.chunks)} chunks ({engines}), about {about} on one core{reasons}"


def left_to_simpy(layout: Layout) -> list[dict[str, Any]]:
    """Points that the twin leaves to SimPy, by reason."""
    counts: Counter[str] = Counter()
    for section in layout.sections:
        for reason in section.by_simpy.values():
            counts[reason] += layout.cells
    return [{"points": count, "because": reason} for reason, count in counts.items()]


def large_summary(study: Study, profile: SystemProfile, layout: Layout, tally: Tally) -> dict[str, Any]:
    """What `prism study --json` prints of a large study, but for files and times."""
    return {
        "name": study.name,
        "profile": profile.name,
        "engine": study.engine,
        "points": tally.points,
        "points_by_engine": layout.by_engine(),
        "left_to_simpy": left_to_simpy(layout),
        "feasible": tally.feasible,
        "extrapolated": tally.extrapolated,
        "answer": answer(tally),
        "best": [_section(section) for section in tally.sections],
    }


def answer(tally: Tally) -> str:
    """The study's answer in one or two sentences."""
    cells = sum(section.cells for section in tally.sections)
    if not cells:
        return "No plan of this study fits in a board's memory."
    plans = [(section, plan) for section in tally.sections for plan in section.plans]
    split = sum(plan.fastest for _, plan in plans if plan.plan.mode != "local")
    begin = (
        f"Simulated: splitting is fastest at {100 * split / cells:.0f} % of {cells:,} combinations of model, batch, "
        "bandwidth and speed-up"
    )
    saving = [(section, plan, plan.most) for section, plan in plans if plan.most is not None]
    if not saving:
        return f"{begin}."
    section, plan, most = min(saving, key=lambda item: item[2].change_pct)
    return (
        f"{begin}; it saves most with {_case(section)} at batch {most.batch} and {most.bandwidth_mbps:g} Mbps: "
        f"{-most.change_pct:.0f} % of local latency with {label(plan.plan, section)}."
    )


def label(plan: Plan, section: SectionTally) -> str:
    """A plan's name, with those of its options that vary between the split plans of the section."""
    if plan.mode == "local":
        return plan.label
    split = [each.plan for each in section.plans if each.plan.mode != "local"]
    names = [field.name for field in fields(Plan) if field.name not in _IN_LABEL]
    varied = [name for name in names if len({getattr(each, name) for each in split}) > 1]
    return " ".join((plan.label, *(str(getattr(plan, name)) for name in varied)))


def _case(section: SectionTally) -> str:
    return ", ".join((section.model, *section.speedup.changed))


def _section(section: SectionTally) -> dict[str, Any]:
    return {
        "model": section.model,
        "what_if": list(section.speedup.changed),
        "cells": section.cells,
        "plans": [_plan(plan, section) for plan in section.plans],
    }


def _plan(tally: PlanTally, section: SectionTally) -> dict[str, Any]:
    return {
        "plan": label(tally.plan, section),
        "fastest_in_cells": tally.fastest,
        "saves_most": None if tally.most is None else asdict(tally.most),
        "beats_local": {
            "at_bandwidth": [
                {"bandwidth_mbps": mbps, "batch": first, "until": until}
                for mbps, (first, until) in tally.batches.items()
            ],
            "at_batch": [
                {"batch": batch, "bandwidth_mbps": bandwidth} for batch, bandwidth in tally.bandwidths.items()
            ],
        },
    }


def fastest_plans(tally: Tally) -> TextTable:
    """The plans that are the fastest somewhere, most often first."""
    rows = [row for section in tally.sections for row in _rows(section)]
    title = "Where each plan is the fastest, and where it saves most"
    return title, ["", "points, %", "change", "batch", "Mbps"], rows


def _rows(section: SectionTally) -> Iterator[list[str]]:
    for plan in sorted(section.plans, key=lambda each: -each.fastest):
        if not plan.fastest:
            continue
        name, share = f"{_case(section)}: {label(plan.plan, section)}", f"{100 * plan.fastest / section.cells:.1f}"
        most = plan.most
        where = ["-"] * 3 if most is None else [f"{most.change_pct:+.0f}%", str(most.batch), f"{most.bandwidth_mbps:g}"]
        yield [name, share, *where]
