"""What makes two runs of the profiler one sweep, and the facts about it that every record keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from hw.profiler.grid import Grid
from hw.profiler.visits import Visits
from prism.errors import InputError
from prism.policy.build_map import build_map
from prism.policy.performance_map import PerformanceMap, parse_time
from prism.record import Measurement
from prism.scenario import Scenario

#: Keys of a record's provenance.
SESSION, VISIT, TIME, MACHINE = "session", "visit", "measured_at", "machine."


@dataclass(frozen=True)
class Session:
    """One sweep, over as many interruptions as it takes.

    Attributes:
        machine: facts that identify the system, by name: boards, power mode, versions. What changes from run to run,
            such as clocks and temperatures, belongs into the provenance that the measurements bring along.
        warm_up_passes: of each visit, not recorded.
    """

    grid: Grid
    visits: Visits
    machine: Mapping[str, str]
    warm_up_passes: int = 5

    @cached_property
    def facts(self) -> dict[str, str]:
        """What must agree for a sweep to go on; provenance of each of its records."""
        return {
            **{MACHINE + name: value for name, value in sorted(self.machine.items())},
            "sweep_grid": self.grid.digest,
            "sweep_order": self.visits.name,
            "sweep_seed": str(self.visits.seed),
            "sweep_warm_up_passes": str(self.warm_up_passes),
        }

    @cached_property
    def _cases(self) -> frozenset[Scenario]:
        return frozenset(self.grid.cases)

    @cached_property
    def fingerprint(self) -> str:
        """Of the facts, short."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()[:16]

    def stamped(self, record: Measurement, visit: int, time: datetime) -> Measurement:
        """The record with the sweep's facts in its provenance."""
        own = {SESSION: self.fingerprint, VISIT: str(visit), TIME: time.isoformat()}
        return replace(record, provenance={**record.provenance, **self.facts, **own})

    def check(self, record: Measurement, where: str) -> None:
        """Refuse a record of another session.

        Raises:
            InputError: names the first fact that differs.
        """
        there = record.provenance
        if there.get(SESSION) != self.fingerprint:
            names = (*self.facts, *(name for name in there if name.startswith(MACHINE)))
            differing = next((name for name in names if there.get(name) != self.facts.get(name)), SESSION)
            was, now = there.get(differing), self.facts.get(differing, self.fingerprint)
            raise InputError(
                f"{where}: belongs to another sweep ({differing} was {was!r}, now {now!r}); "
                "resume with the same settings or give another file"
            )
        if not there.get(VISIT, "").isdecimal() or record.scenario not in self._cases:
            raise InputError(f"{where}: not a run of this sweep; give another file")


def map_of(records: Iterable[Measurement]) -> PerformanceMap:
    """The performance map of a sweep's records: their machine, and as old as the last of them.

    Raises:
        InputError: records of several sweeps, or without the facts of one.
    """
    runs = list(records)
    sessions = {run.provenance.get(SESSION) for run in runs}
    if len(sessions) != 1 or None in sessions:
        raise InputError(f"records of one sweep make a performance map, these are of {len(sessions)} or of none")
    facts = runs[0].provenance
    machine = {name.removeprefix(MACHINE): value for name, value in facts.items() if name.startswith(MACHINE)}
    created = max(parse_time(run.provenance.get(TIME, ""), TIME) for run in runs)
    return build_map(runs, machine, created)
