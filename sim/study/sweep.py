"""Run every point of a study and lay the results out as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from prism.memory import InfeasiblePlan, memory_use
from prism.profile import Speedup, SystemProfile
from prism.record import Measurement
from sim.simulate import simulate
from sim.study.executor import Executor, Here
from sim.study.spec import Point

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


#: Points that an executor's machine takes at a time: some tens of milliseconds of work.
PART = 64


@dataclass(frozen=True)
class SweepJob:
    """What a part of the sweep needs to know."""

    points: Sequence[Point]
    profile: SystemProfile


def run_sweep(
    profile: SystemProfile,
    points: Sequence[Point],
    progress: Callable[[], None] = lambda: None,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """One row a point, in order. Times in milliseconds, energies in joules for the whole batch.

    A plan that a board's memory does not hold has ``feasible`` False, a reason, and no times. Points are simulated on
    `executor`, here if None; the table is the same.
    """
    rows = []
    parts = range(-(-len(points) // PART))
    for part in (executor or Here()).parts(part_rows, SweepJob(points, profile), parts):
        for row in part:
            rows.append(row)
            progress()
    table: pd.DataFrame = pd.DataFrame(rows)
    missing = (name for name in TIMES if name not in table.columns)
    whole: pd.DataFrame = table.reindex(columns=[*table.columns, *missing])
    return whole


def part_rows(job: SweepJob, number: int) -> list[dict[str, Any]]:
    """Rows of the points of one part."""
    profiles: dict[Speedup, SystemProfile] = {}
    rows = []
    for point in job.points[number * PART : (number + 1) * PART]:
        if point.speedup not in profiles:
            profiles[point.speedup] = point.speedup.of(job.profile)
        rows.append(_row(point, profiles[point.speedup]))
    return rows


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
