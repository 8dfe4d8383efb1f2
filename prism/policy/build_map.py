"""From runs to a performance map: medians by plan, batch and bandwidth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median

from prism.errors import InputError
from prism.plan import MODES, Plan
from prism.policy.performance_map import Curve, PerformanceMap
from prism.record import Measurement

#: The runs of one plan at one batch size, by bandwidth; `local` has them all under 0.
Cell = dict[float, list[Measurement]]


def build_map(records: Iterable[Measurement], machine: Mapping[str, str], created: datetime) -> PerformanceMap:
    """The performance map of measured, simulated or published runs.

    Medians, as one pass in twenty that a radio holds up must not move a decision. The order of the runs is of no
    matter.

    Args:
        records: runs of one model by one backend.
        machine: facts that identify the system that ran them.
        created: when the last was measured, with its offset from UTC.

    Raises:
        InputError: no runs, or runs of several models, sources, energy scopes or reverse bandwidths.
    """
    runs = list(records)
    if not runs:
        raise InputError("a performance map needs at least one run; there is none")
    cells: dict[tuple[Plan, int], Cell] = {}
    for run in runs:
        # What the network does matters not to a board that works alone.
        mbps = 0.0 if run.plan.mode == "local" else run.bandwidth_mbps
        cells.setdefault((run.plan, run.batch), {}).setdefault(mbps, []).append(run)
    _only("models", (run.model for run in runs))
    _only("sources", (run.source for run in runs))
    scopes = [run.energy.scope for run in runs if run.energy is not None]
    reverse_mbps = [run.reverse_bandwidth_mbps for run in runs if run.plan.mode != "local"]
    _only("energy scopes", scopes)
    _only("reverse bandwidths", reverse_mbps)
    return PerformanceMap(
        model=runs[0].model,
        source=runs[0].source,
        machine=dict(machine),
        created=created.isoformat(),
        curves=tuple(_curve(*key, cells[key]) for key in sorted(cells, key=_order)),
        reverse_bandwidth_mbps=reverse_mbps[0] if reverse_mbps else None,
        energy_scope=scopes[0] if scopes else None,
    )


def _curve(plan: Plan, batch: int, cell: Cell) -> Curve:
    bandwidths = sorted(cell)
    points = [cell[mbps] for mbps in bandwidths]

    def medians(value: Callable[[Measurement], float]) -> tuple[float, ...]:
        return tuple(median(map(value, runs)) for runs in points)

    def joules(value: Callable[[Measurement], float | None]) -> tuple[float | None, ...]:
        known = ([joule for run in runs if (joule := value(run)) is not None] for runs in points)
        return tuple(median(values) if values else None for values in known)

    return Curve(
        plan=plan,
        batch=batch,
        bandwidth_mbps=() if plan.mode == "local" else tuple(bandwidths),
        total_s=medians(lambda run: run.total_s),
        spread_s=tuple(_spread([run.total_s for run in runs]) for runs in points),
        runs=tuple(sum(run.runs for run in runs) for runs in points),
        compute_s=medians(lambda run: run.stage_s("compute")),
        staging_s=medians(lambda run: run.stage_s("staging")),
        communication_s=medians(lambda run: run.stage_s("communication")),
        terminal_j=joules(lambda run: None if run.energy is None else run.energy.terminal_j),
        all_boards_j=joules(lambda run: None if run.energy is None else run.energy.all_boards_j),
        extrapolated=tuple(tuple(dict.fromkeys(note for run in runs for note in run.extrapolated)) for runs in points),
    )


def _spread(values: Sequence[float]) -> float | None:
    """Median absolute deviation. One run has no spread, which is not a spread of 0."""
    if len(values) < 2:
        return None
    middle = median(values)
    return median(abs(value - middle) for value in values)


def _only(kind: str, values: Iterable[object]) -> None:
    """Refuse runs that differ in this."""
    found = list(dict.fromkeys(values))
    if len(found) > 1:
        raise InputError(f"runs of several {kind} ({found[0]!r}, {found[1]!r}) make no performance map; separate them")


def _order(key: tuple[Plan, int]) -> tuple[int, int, int, str, int]:
    plan, batch = key
    return MODES.index(plan.mode), plan.devices, plan.segments or 0, repr(plan), batch
