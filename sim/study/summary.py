"""A study in a few tables and one JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from prism.plan import Plan
from prism.profile import Speedup
from sim.study.crossover import SEARCH_MBPS, BandwidthCrossover, BatchCrossover
from sim.study.result import StudyResult

#: Title, columns, rows.
TextTable = tuple[str, Sequence[str], list[list[str]]]

SPEEDUP_COLUMNS = ["compute_speedup", "staging_speedup", "link_latency_speedup", "air_speedup"]
#: What tells one plan from another in the table.
PLAN_COLUMNS = ["mode", "devices", "segments", "exchange", "input_distribution", "wire_dtype"]


def views(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The table split by model and speed-up, each with a label; the model is named where the study has several."""
    several = table["model"].nunique() > 1
    changes = table[SPEEDUP_COLUMNS].drop_duplicates().shape[0] > 1
    for _, rows in table.groupby(["model", *SPEEDUP_COLUMNS], sort=False):
        model, *factors = rows[["model", *SPEEDUP_COLUMNS]].iloc[0]
        changed = Speedup(*factors).changed
        parts = [str(model)] if several or not (changes or changed) else []
        yield ", ".join((*parts, *(changed or (("as fitted",) if changes else ())))), rows


def plan_labels(table: pd.DataFrame) -> pd.Series:
    """A short name for each row's plan; options are named only where the study varies them."""
    varied = [column for column in PLAN_COLUMNS[3:] if table.loc[table["mode"] != "local", column].nunique() > 1]

    def label(row: pd.Series) -> str:
        parts = [str(row["mode"])]
        if row["mode"] != "local":
            parts.append(f"P={row['devices']}")
            parts += [] if pd.isna(row["segments"]) else [f"L={int(row['segments'])}"]
            parts += [str(row[column]) for column in varied]
        return " ".join(parts)

    return table.apply(label, axis=1)


def best_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The fastest feasible row at each batch and bandwidth, with its label and its change against local in percent."""
    feasible = rows[rows["feasible"]].assign(plan=plan_labels)
    fastest = feasible.loc[feasible.groupby(["batch", "bandwidth_mbps"])["total_ms"].idxmin()]
    local = feasible[feasible["mode"] == "local"].groupby("batch")["total_ms"].first()
    change_pct = 100 * (fastest["total_ms"] / fastest["batch"].map(local) - 1)
    best: pd.DataFrame = fastest.assign(change_pct=change_pct)
    return best


def best_plans(result: StudyResult) -> TextTable:
    """The fastest plan of each batch and bandwidth, with what it saves against local execution."""
    rows = []
    bandwidths = sorted(result.table["bandwidth_mbps"].unique())
    labelled = list(views(result.table))
    for label, view in labelled:
        prefix = f"{label}, " if len(labelled) > 1 else ""
        for batch, of_batch in best_rows(view).groupby("batch"):
            cells = {row["bandwidth_mbps"]: _best_cell(row) for _, row in of_batch.iterrows()}
            rows.append([f"{prefix}batch {batch}", *(cells.get(mbps, "-") for mbps in bandwidths)])
    return "Fastest plan, change of latency against local", ["", *(f"{mbps:g} Mbps" for mbps in bandwidths)], rows


def _best_cell(row: pd.Series) -> str:
    if row["mode"] == "local":
        return "local"
    saved = "" if pd.isna(row["change_pct"]) else f" {row['change_pct']:+.0f}%"
    return str(row["plan"]).replace("segment_means", "means").replace("full_tensor", "full") + saved


def batch_rows(result: StudyResult) -> TextTable:
    """From which batch each plan beats local, and up to which where it does not stay so, by bandwidth."""
    bandwidths = sorted({crossover.bandwidth_mbps for crossover in result.batch_crossovers})
    cells: dict[str, dict[float, str]] = {}
    for crossover in result.batch_crossovers:
        cells.setdefault(_case(crossover, result), {})[crossover.bandwidth_mbps] = batch_text(crossover)
    rows = [[case, *(by_mbps.get(mbps, "-") for mbps in bandwidths)] for case, by_mbps in cells.items()]
    return "Batch sizes from which the plan beats local", ["", *(f"{mbps:g} Mbps" for mbps in bandwidths)], rows


def bandwidth_rows(result: StudyResult) -> TextTable:
    """From which bandwidth each plan beats local, by batch."""
    batches = sorted({crossover.batch for crossover in result.bandwidth_crossovers})
    cells: dict[str, dict[int, str]] = {}
    for crossover in result.bandwidth_crossovers:
        cells.setdefault(_case(crossover, result), {})[crossover.batch] = bandwidth_text(crossover)
    rows = [[case, *(by_batch.get(batch, "-") for batch in batches)] for case, by_batch in cells.items()]
    return "Bandwidth in Mbps from which the plan beats local", ["", *(f"batch {batch}" for batch in batches)], rows


def batch_text(crossover: BatchCrossover) -> str:
    """The crossover as a cell."""
    if crossover.batch is None:
        return f"> {crossover.searched_to}"
    return str(crossover.batch) if crossover.until is None else f"{crossover.batch} to {crossover.until}"


def bandwidth_text(crossover: BandwidthCrossover) -> str:
    """The crossover as a cell."""
    if crossover.bandwidth_mbps is None:
        return "never"
    return f"< {SEARCH_MBPS[0]:g}" if crossover.bandwidth_mbps == 0 else f"{crossover.bandwidth_mbps:.0f}"


def _case(crossover: BandwidthCrossover | BatchCrossover, result: StudyResult) -> str:
    """Model and speed-up only where the study has several."""
    parts = [_plan_text(crossover.plan, result)]
    if len(result.study.sweep["model"]) > 1:
        parts.insert(0, crossover.model)
    return ", ".join((*parts, *crossover.speedup.changed))


def _plan_text(plan: Plan, result: StudyResult) -> str:
    sweep = result.study.sweep
    options = ("exchange", "input_distribution", "wire_dtype")
    return " ".join((plan.label, *(str(getattr(plan, name)) for name in options if len(sweep[name]) > 1)))


def headline(result: StudyResult) -> str:
    """The study's answer in one or two sentences."""
    if not result.table["feasible"].any():
        return "No plan of this study fits in a board's memory."
    _, view = next(views(result.table[result.table["feasible"]]))
    bandwidths = sorted(view["bandwidth_mbps"].unique())
    reference = result.profile.link.reference_bandwidth_mbps
    mbps = min(bandwidths, key=lambda value: abs(value - reference))
    best = best_rows(view)
    best = best[best["bandwidth_mbps"] == mbps]
    winners = best[(best["mode"] != "local") & (best["change_pct"] < 0)]
    if winners.empty:
        return (
            f"At {mbps:g} Mbps splitting is not worth it at any batch size of this study: local execution is fastest."
        )
    gain = winners.loc[winners["change_pct"].idxmin()]
    model, unchanged = str(gain["model"]), Speedup()
    solved = [
        crossover
        for crossover in result.batch_crossovers
        if (crossover.model, crossover.speedup, crossover.bandwidth_mbps) == (model, unchanged, mbps)
        and crossover.batch is not None
    ]
    first = min(solved, key=lambda crossover: crossover.batch or 0, default=None)
    start = "at some batch sizes"
    if first is not None:
        until = "up" if first.until is None else f"to {first.until}"
        start = f"from batch {first.batch} {until} ({_plan_text(first.plan, result)})"
    return (
        f"{model} at {mbps:g} Mbps, simulated: splitting is worth it {start}, and saves most at batch {gain['batch']}: "
        f"{-gain['change_pct']:.0f} % of local latency with {gain['plan']}."
    )


def study_summary(result: StudyResult) -> dict[str, Any]:
    """What `prism study --json` prints."""
    table = result.table
    best = [
        {
            "case": label,
            "batch": int(row["batch"]),
            "bandwidth_mbps": float(row["bandwidth_mbps"]),
            "plan": row["plan"],
            "total_ms": float(row["total_ms"]),
            "change_against_local_pct": None if pd.isna(row["change_pct"]) else float(row["change_pct"]),
            "extrapolated": [reason for reason in row["extrapolated"].split("; ") if reason],
        }
        for label, view in views(table)
        for _, row in best_rows(view).iterrows()
    ]
    return {
        "name": result.study.name,
        "profile": result.profile.name,
        "points": len(table),
        "feasible": int(table["feasible"].sum()),
        "extrapolated": int((table["extrapolated"] != "").sum()),
        "answer": headline(result),
        "best": best,
        "crossovers": {
            "batch": [
                _crossover(c) | {"bandwidth_mbps": c.bandwidth_mbps, "batch": c.batch, "until": c.until}
                for c in result.batch_crossovers
            ],
            "bandwidth_mbps": [
                _crossover(c) | {"batch": c.batch, "bandwidth_mbps": c.bandwidth_mbps}
                for c in result.bandwidth_crossovers
            ],
        },
    }


def _crossover(crossover: BandwidthCrossover | BatchCrossover) -> dict[str, Any]:
    plan = crossover.plan
    return {
        "model": crossover.model,
        "mode": plan.mode,
        "devices": plan.devices,
        "segments": plan.segments,
        "exchange": plan.exchange,
        "input_distribution": plan.input_distribution,
        "wire_dtype": plan.wire_dtype,
        "what_if": list(crossover.speedup.changed),
    }
