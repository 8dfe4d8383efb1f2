"""Run every point of a study and lay the results out as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import pandas as pd

from prism.memory import InfeasiblePlan, memory_use
from prism.profile import SystemProfile
from prism.record import Measurement
from sim.simulate import simulate
from sim.study.spec import Point, Study

#: Columns that an infeasible plan leaves empty.
TIMES = (
    "total_ms",
    "per_sample_ms",
    "compute_ms",
    "staging_ms",
    "communication_ms",
    "transfer_ms",
    "waiting_ms",
    "terminal_j",
    "all_boards_j",
)


def run_sweep(
    study: Study, profile: SystemProfile, points: Iterable[Point], progress: Callable[[], None] = lambda: None
) -> pd.DataFrame:
    """One row a point, in order. Times in milliseconds, energies in joules for the whole batch.

    A plan that a board's memory does not hold has ``feasible`` False, a reason, and no times.
    """
    profiles = {speedup: speedup.of(profile) for speedup in study.speedups()}
    rows = []
    for point in points:
        rows.append(_row(point, profiles[point.speedup]))
        progress()
    table: pd.DataFrame = pd.DataFrame(rows)
    missing = (name for name in TIMES if name not in table.columns)
    whole: pd.DataFrame = table.reindex(columns=[*table.columns, *missing])
    return whole


def _row(point: Point, profile: SystemProfile) -> dict[str, Any]:
    scenario, plan = point.scenario, point.scenario.plan
    schedule = scenario.schedule()
    row: dict[str, Any] = {
        "model": scenario.shape.name,
        "mode": plan.mode,
        "devices": plan.devices,
        "segments": plan.segments,
        "compression_rate": plan.compression_rate(scenario.shape.tokens) if plan.devices > 1 else None,
        "batch": scenario.batch,
        "bandwidth_mbps": scenario.bandwidth_mbps,
        "exchange": plan.exchange,
        "input_distribution": plan.input_distribution,
        "wire_dtype": plan.wire_dtype,
        **{f"{part}_speedup": factor for part, factor in asdict(point.speedup).items()},
        "memory_mb": max(memory_use(schedule, rank).total_bytes for rank in range(plan.devices)) / 1e6,
    }
    try:
        return row | {"feasible": True, "infeasible_because": ""} | _times(simulate(scenario, profile), point)
    except InfeasiblePlan as reason:
        return row | {"feasible": False, "infeasible_because": str(reason), "extrapolated": ""}


def _times(result: Measurement, point: Point) -> dict[str, Any]:
    terminal, energy = result.terminal, result.energy
    changed = tuple(f"what-if {part}" for part in point.speedup.changed)
    return {
        "total_ms": result.total_s * 1e3,
        "per_sample_ms": result.total_s * 1e3 / result.batch,
        "compute_ms": terminal.compute_s * 1e3,
        "staging_ms": terminal.staging_s * 1e3,
        "communication_ms": terminal.communication_s * 1e3,
        "transfer_ms": terminal.transfer_s * 1e3,
        "waiting_ms": terminal.waiting_s * 1e3,
        "terminal_j": energy.terminal_j if energy else None,
        "all_boards_j": energy.all_boards_j if energy else None,
        "extrapolated": "; ".join((*result.extrapolated, *changed)),
    }
