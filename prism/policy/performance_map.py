"""The performance map: what every plan costs by batch and bandwidth, from measured or simulated runs of one system.

The stored map holds medians. Asked, it interpolates, says where it was never measured, and refuses another system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from prism.errors import InputError
from prism.files import parse_json, read_text, to_json, write_text
from prism.plan import Plan
from prism.policy.lookup import PlanCurves, Prediction
from prism.record import Source
from prism.schedule import MAX_BATCH
from prism.stored import Stored
from prism.units import BANDWIDTH_MBPS, check_range

Seconds = Annotated[float, Gt(0)]
StageSeconds = Annotated[float, Ge(0)]
Joules = Annotated[float, Ge(0)]
#: A clock that is off by less than this is not called wrong: boards are synchronised now and then.
CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True)
class Curve(Stored):
    """One plan at one batch size, as measured: column by column, one entry a bandwidth.

    Attributes:
        bandwidth_mbps: rising; empty for `local`, whose one entry holds at every bandwidth.
        total_s: median time of a pass, as measured: not made monotone yet.
        spread_s: median absolute deviation from it; None where there was one record.
        runs: timed passes behind each entry.
        compute_s, staging_s, communication_s: medians of the terminal device's stages.
        terminal_j, all_boards_j: median energies of a pass; None where none was measured.
        extrapolated: for simulated maps, in which ways each entry lies outside what the profile was measured on.
    """

    plan: Plan
    batch: Annotated[int, Ge(1), Le(MAX_BATCH)]
    bandwidth_mbps: tuple[Annotated[float, Ge(BANDWIDTH_MBPS[0]), Le(BANDWIDTH_MBPS[1])], ...]
    total_s: Annotated[tuple[Seconds, ...], MinLen(1)]
    spread_s: tuple[StageSeconds | None, ...]
    runs: tuple[Annotated[int, Ge(1)], ...]
    compute_s: tuple[StageSeconds, ...]
    staging_s: tuple[StageSeconds, ...]
    communication_s: tuple[StageSeconds, ...]
    terminal_j: tuple[Joules | None, ...]
    all_boards_j: tuple[Joules | None, ...]
    extrapolated: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        where = f"curve {self.plan.label} at batch {self.batch}"
        entries = len(self.total_s)
        for name in ("spread_s", "runs", "compute_s", "staging_s", "communication_s", "terminal_j", "all_boards_j"):
            if len(getattr(self, name)) != entries:
                raise InputError(f"{where}: {name} has {len(getattr(self, name))} entries, total_s {entries}")
        if len(self.extrapolated) != entries:
            raise InputError(f"{where}: extrapolated has {len(self.extrapolated)} entries, total_s {entries}")
        if (entries, self.bandwidth_mbps) != (1, ()) and self.plan.mode == "local":
            raise InputError(f"{where}: local execution has one entry and no bandwidths")
        if len(self.bandwidth_mbps) != entries and self.plan.mode != "local":
            raise InputError(f"{where}: bandwidth_mbps has {len(self.bandwidth_mbps)} entries, total_s {entries}")
        if sorted(set(self.bandwidth_mbps)) != list(self.bandwidth_mbps):
            raise InputError(f"{where}: bandwidths must rise")


@dataclass(frozen=True)
class PerformanceMap(Stored):
    """What each plan costs on one system, for one model.

    Attributes:
        machine: facts that identify the system, by name: boards, power mode, versions. All must agree to use the map.
        created: when its last run was measured (or it was simulated), ISO 8601 with an offset from UTC.
        reverse_bandwidth_mbps: the rate towards the terminal device where one end alone was throttled; None if equal.
        energy_scope: what the energies cover; None where there are none.
        curves: one for each plan and batch size.
    """

    model: str
    source: Source
    machine: dict[str, str]
    created: str
    curves: Annotated[tuple[Curve, ...], MinLen(1)]
    reverse_bandwidth_mbps: float | None = None
    energy_scope: str | None = None
    format: Literal["prism.performance_map/1"] = "prism.performance_map/1"

    def __post_init__(self) -> None:
        parse_time(self.created, "created")
        seen: set[tuple[Plan, int]] = set()
        for curve in self.curves:
            if (curve.plan, curve.batch) in seen:
                raise InputError(f"two curves for {curve.plan.label} at batch {curve.batch}")
            seen.add((curve.plan, curve.batch))

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans that it knows, in its order."""
        return tuple(self._lookup)

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes that any plan was measured at."""
        return tuple(sorted({curve.batch for curve in self.curves}))

    @property
    def bandwidths_mbps(self) -> tuple[float, ...]:
        """The bandwidths that any plan was measured at."""
        return tuple(sorted({mbps for curve in self.curves for mbps in curve.bandwidth_mbps}))

    @property
    def runs(self) -> int:
        """Timed passes behind it."""
        return sum(sum(curve.runs) for curve in self.curves)

    @cached_property
    def _lookup(self) -> dict[Plan, PlanCurves]:
        """Made at the first question, so that each later one is a few comparisons and products."""
        plans = dict.fromkeys(curve.plan for curve in self.curves)
        return {plan: PlanCurves([curve for curve in self.curves if curve.plan == plan]) for plan in plans}

    def predict(self, plan: Plan, batch: int, bandwidth_mbps: float) -> Prediction:
        """What a pass costs, and in which ways it lies outside what was measured (`docs/profiling.md` says how).

        Raises:
            InputError: the map does not hold the plan, or batch or bandwidth are out of any range.
        """
        curves = self._lookup.get(plan)
        if curves is None:
            held = ", ".join(known.label for known in self.plans)
            raise InputError(f"the performance map does not hold plan {plan.label}, only {held}; profile it")
        check_range("batch", batch, 1, MAX_BATCH)
        check_range("bandwidth_mbps", bandwidth_mbps, *BANDWIDTH_MBPS)
        return curves.predict(batch, bandwidth_mbps)

    def fastest(self, batch: int, bandwidth_mbps: float, plans: Iterable[Plan] | None = None) -> Plan:
        """The plan that takes the shortest time, among `plans` or all; of equals the first."""
        return min(
            self.plans if plans is None else plans, key=lambda plan: self.predict(plan, batch, bandwidth_mbps).total_s
        )

    def require_usable(
        self, model: str, machine: Mapping[str, str], now: datetime, max_age: timedelta | None = None
    ) -> None:
        """Refuse to be used for another model, on another machine, or when too old.

        Args:
            model: name of the model that is to be run.
            machine: facts of the system that is to be driven; more of them than the map holds do no harm.
            now: with its offset from UTC.
            max_age: None for any age.

        Raises:
            InputError: names the first thing that does not agree.
        """
        again = "profile this one"
        if model != self.model:
            raise InputError(f"the performance map is of model {self.model!r}, not {model!r}; {again}")
        for name, value in self.machine.items():
            if machine.get(name) != value:
                here = repr(machine[name]) if name in machine else "unknown"
                raise InputError(f"the performance map is of {name} {value!r}, here it is {here}; {again}")
        age = now - parse_time(self.created, "created")
        if age < -CLOCK_SLACK:
            raise InputError(f"the performance map was created at {self.created}, after now; set this machine's clock")
        if max_age is not None and age > max_age:
            days, allowed = age / timedelta(days=1), max_age / timedelta(days=1)
            raise InputError(
                f"the performance map is {days:.1f} days old, at most {allowed:.4g} are allowed; profile again"
            )


def parse_time(text: str, name: str) -> datetime:
    """A point in time, ISO 8601.

    Raises:
        InputError: not one, or without an offset from UTC.
    """
    try:
        time = datetime.fromisoformat(text.removesuffix("Z") + "+00:00" * text.endswith("Z"))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InputError(f"{name} = {text!r} is no ISO 8601 time with an offset, such as 2026-05-01T12:00:00+00:00")
    return time


def read_map(path: Path) -> PerformanceMap:
    """The performance map in a file.

    Raises:
        InputError: missing, broken, or of an unknown version.
    """
    return parse_json(PerformanceMap, read_text(path), str(path))


def map_json(performance_map: PerformanceMap) -> str:
    """The map as it is stored: one line, as nobody reads it in a terminal and a board has to."""
    return to_json(performance_map) + "\n"


def write_map(path: Path, performance_map: PerformanceMap) -> None:
    """Write the map, whole or not at all."""
    write_text(path, map_json(performance_map))
