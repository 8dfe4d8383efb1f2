"""The loop of a sweep: visit after visit, every run kept at once, progress and time left told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from hw.profiler.log import RunLog
from hw.profiler.session import VISIT
from hw.profiler.visits import Visit
from prism.memory import InfeasiblePlan
from prism.record import Measurement
from prism.scenario import Scenario

#: Called with passes done, passes in all, and seconds left (None while nothing was timed).
Progress = Callable[[int, int, float | None], None]


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to.

    Attributes:
        records: of the whole sweep, those of earlier starts included.
        infeasible: cases that a board's memory does not hold, and why. They have no records.
    """

    records: tuple[Measurement, ...]
    infeasible: dict[Scenario, str]


class TimeLeft:
    """Estimates the time left from what passes took, warm-up included.

    A case not timed yet counts as the mean of those that were: they come in random order, so the mean is a fair sample.
    """

    def __init__(self) -> None:
        self._by_case: dict[Scenario, tuple[float, int]] = {}

    def add(self, case: Scenario, seconds: float, passes: int) -> None:
        """A visit took so long for so many timed passes."""
        before_s, before = self._by_case.get(case, (0.0, 0))
        self._by_case[case] = before_s + seconds, before + passes

    def left_s(self, ahead: Sequence[Scenario], unknown: int = 0) -> float | None:
        """Seconds for a pass of each case in `ahead` and for more passes of cases that are not known beforehand."""
        if not self._by_case:
            return None
        each = {case: seconds / passes for case, (seconds, passes) in self._by_case.items()}
        mean = sum(each.values()) / len(each)
        return sum(each.get(case, mean) for case in ahead) + unknown * mean


class Sweep:
    """Measures what a session asks for and the log does not hold yet."""

    def __init__(
        self,
        log: RunLog,
        prepare: Callable[[Scenario, int], None],
        measure: Callable[[Scenario], Measurement],
        progress: Progress = lambda done, total, left_s: None,  # noqa: ARG005
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        """Make a sweep that has not begun.

        Args:
            log: open, of the session that is to be measured.
            prepare: makes a case ready and runs so many warm-up passes. It may raise `InfeasiblePlan`.
            measure: one timed pass of the case that was prepared last. What it raises ends the sweep; what was measured
                is kept, and the same session goes on from there.
            progress: called at the start and after every run.
            clock: monotonic, in seconds.
            now: for the records.
        """
        self._log = log
        self._prepare = prepare
        self._measure = measure
        self._progress = progress
        self._clock = clock
        self._now = now
        self._time_left = TimeLeft()
        self._infeasible: dict[Scenario, str] = {}

    def run(self) -> SweepResult:
        """Go through all visits; those that are done are passed over."""
        done: dict[int, list[Measurement]] = {}
        for record in self._log.records:
            done.setdefault(int(record.provenance[VISIT]), []).append(record)
        runs: dict[Scenario, list[float]] = {}
        number = 0
        while (visit := self._log.session.visits.visit(number, runs)) is not None:
            records = done.get(number, [])
            if records:
                visit = replace(visit, case=records[0].scenario)  # a visit that was begun keeps its case
            missing = visit.passes - len(records)
            if missing > 0 and visit.case not in self._infeasible:
                records = [*records, *self._carry_out(replace(visit, passes=missing))]
            if records:
                runs.setdefault(visit.case, []).extend(record.total_s for record in records)
            number += 1
        self._progress(len(self._log.records), len(self._log.records), 0.0)
        return SweepResult(tuple(self._log.records), dict(self._infeasible))

    def _carry_out(self, visit: Visit) -> list[Measurement]:
        session = self._log.session
        # Once a visit: on a long sweep it is too much work for between two timed passes.
        total, later_s = self._later(visit)
        here_s = self._time_left.left_s([visit.case] * visit.passes)
        self._progress(len(self._log.records), total, None if here_s is None or later_s is None else here_s + later_s)
        began_s = self._clock()
        records: list[Measurement] = []
        try:
            self._prepare(visit.case, session.warm_up_passes)
            for left in reversed(range(visit.passes)):
                record = session.stamped(self._measure(visit.case), visit.number, self._now())
                if record.scenario != visit.case:
                    raise RuntimeError(f"asked for {visit.case}, measured {record.scenario}")
                self._log.append(record)
                records.append(record)
                here_s = (self._clock() - began_s) / len(records) * left
                self._progress(len(self._log.records), total, None if later_s is None else here_s + later_s)
        except InfeasiblePlan as reason:
            self._infeasible[visit.case] = str(reason)
        if records:
            self._time_left.add(visit.case, self._clock() - began_s, len(records))
        return records

    def _later(self, visit: Visit) -> tuple[int, float | None]:
        """Passes of the sweep in all, and seconds for those after this visit."""
        visits, done = self._log.session.visits, len(self._log.records)
        ahead = [case for case in visits.ahead(visit.number + 1) if case not in self._infeasible]
        total = done + visit.passes + len(ahead) if visits.budget is None else visits.budget
        return total, self._time_left.left_s(ahead, max(total - done - visit.passes - len(ahead), 0))
