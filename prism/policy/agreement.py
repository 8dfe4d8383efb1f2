"""Whether two runs of the same requests on the same trace went alike: decision by decision, and in the time they took.

Meant for a simulated and a measured run. It works on their logs alone.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from prism.errors import InputError
from prism.policy.log import LogLine, RunFacts
from prism.units import check_range

#: Of a normal variable, standard deviation over median absolute deviation.
NORMAL = 1.4826
#: Costs that lie closer are the policy's own hysteresis apart: which of the two it keeps is a matter of history.
NOISE = 0.03


@dataclass(frozen=True)
class PhaseAgreement:
    """One piece of the trace.

    Attributes:
        begin_s: when the piece begins.
        bandwidth_mbps: what the link was throttled to; 0 is an outage.
        batches: served in it by the one run and the other.
        agree: decisions that are the same.
        inside_noise: that differ, between plans whose predicted costs differ by no more than noise.
        disagree: that differ clearly.
        unpaired: that the other run has no counterpart of: no batch of that size in this piece.
        mean_s: of a batch, in the one run and the other; None where there was none.
    """

    begin_s: float
    bandwidth_mbps: float
    batches: tuple[int, int]
    agree: int
    inside_noise: int
    disagree: int
    unpaired: int
    mean_s: tuple[float | None, float | None]

    @property
    def agreement_pct(self) -> float | None:
        """Share of the decisions outside the noise that agree; None where there is none."""
        return _share_pct(self.agree, self.disagree)

    @property
    def latency_ratio(self) -> float | None:
        """Mean time of a batch, the one run's over the other's."""
        mine_s, theirs_s = self.mean_s
        return None if mine_s is None or theirs_s is None else mine_s / theirs_s


@dataclass(frozen=True)
class Agreement:
    """How alike two runs are.

    Attributes:
        backends: of the one and the other.
        total_s: what all batches took together, and what had to be done before them.
        phases: piece by piece of the trace.
    """

    backends: tuple[str, str]
    total_s: tuple[float, float]
    phases: tuple[PhaseAgreement, ...]

    @property
    def agree(self) -> int:
        return sum(phase.agree for phase in self.phases)

    @property
    def inside_noise(self) -> int:
        return sum(phase.inside_noise for phase in self.phases)

    @property
    def disagree(self) -> int:
        return sum(phase.disagree for phase in self.phases)

    @property
    def unpaired(self) -> int:
        return sum(phase.unpaired for phase in self.phases)

    @property
    def agreement_pct(self) -> float | None:
        """Share of the decisions outside the noise that agree; None where there is none."""
        return _share_pct(self.agree, self.disagree)

    @property
    def latency_ratio(self) -> float:
        """Total time, the one run's over the other's."""
        return self.total_s[0] / self.total_s[1]


def agreement(mine: Sequence[LogLine], theirs: Sequence[LogLine], noise: float = NOISE) -> Agreement:
    """Lay two logs side by side.

    Both runs come to a request at other times as soon as one batch takes longer, but the link changes at the same
    times. So a decision's counterpart is the other run's decision nearest in time, for the same batch size and in the
    same piece of the trace.

    Two choices count as equal within noise where either run predicted costs for both that differ by less than `noise`,
    relatively, or by less than one pass of each varies by the map's own repeats (one standard deviation).

    Args:
        mine: log of one run, at least one line.
        theirs: log of the other.
        noise: relative difference of costs.

    Raises:
        InputError: the runs served other requests, or on another trace, for another model or objective.
    """
    check_range("noise", noise, 0, 1)
    require_same_task(mine[0].run, theirs[0].run)
    begins = sorted({line.link.since_s for line in (*mine, *theirs)})
    phases = [_phase(begin_s, _within(mine, begin_s), _within(theirs, begin_s), noise) for begin_s in begins]
    return Agreement((mine[0].run.backend, theirs[0].run.backend), (_total_s(mine), _total_s(theirs)), tuple(phases))


def require_same_task(mine: RunFacts, theirs: RunFacts) -> None:
    """Refuse runs that did not have the same to do.

    Raises:
        InputError: names the first fact that differs.
    """
    for name in ("model", "objective", "requests", "trace"):
        one, other = getattr(mine, name), getattr(theirs, name)
        if one != other:
            raise InputError(f"the two runs differ in {name}: {one!r} here, {other!r} in the log; repeat one of them")
    if mine.trace_digest != theirs.trace_digest:
        raise InputError(f"the two runs had different traces of the name {mine.trace!r}; repeat one of them")


def _within(lines: Sequence[LogLine], begin_s: float) -> list[LogLine]:
    return [line for line in lines if line.link.since_s == begin_s]


def _phase(begin_s: float, mine: Sequence[LogLine], theirs: Sequence[LogLine], noise: float) -> PhaseAgreement:
    counts = {"agree": 0, "inside_noise": 0, "disagree": 0, "unpaired": 0}
    by_batch: dict[int, list[LogLine]] = {}
    for line in theirs:
        by_batch.setdefault(line.observation.batch, []).append(line)
    for line in mine:
        other = _nearest(by_batch.get(line.observation.batch, ()), line.observation.time_s)
        counts[_verdict(line, other, noise)] += 1
    return PhaseAgreement(
        begin_s,
        (*mine, *theirs)[0].link.bandwidth_mbps,
        (len(mine), len(theirs)),
        mean_s=(_mean_s(mine), _mean_s(theirs)),
        **counts,
    )


def _nearest(lines: Sequence[LogLine], time_s: float) -> LogLine | None:
    """Of lines in order of time."""
    index = bisect_left(lines, time_s, key=lambda line: line.observation.time_s)
    around = lines[max(index - 1, 0) : index + 1]
    return min(around, key=lambda line: abs(line.observation.time_s - time_s), default=None)


def _verdict(line: LogLine, other: LogLine | None, noise: float) -> str:
    if other is None:
        return "unpaired"
    plans = line.choice.plan, other.choice.plan
    if plans[0] == plans[1]:
        return "agree"
    return "inside_noise" if any(_close(each, plans, noise) for each in (line, other)) else "disagree"


def _close(line: LogLine, plans: tuple[str, str], noise: float) -> bool:
    """Whether a decision weighed both plans and found their costs as good as equal."""
    weighed = {row.plan: row for row in line.candidates}
    if not all(plan in weighed for plan in plans):
        return False
    rows = [weighed[plan] for plan in plans]
    # Where one of them misses a deadline, neither's objective is weighed but their times.
    values = [row.value for row in rows if row.value is not None]
    costs = values if len(values) == len(rows) else [row.total_s for row in rows]
    spread = NORMAL * math.hypot(*((row.spread_s or 0.0) / row.total_s for row in rows))
    return abs(costs[0] - costs[1]) < max(noise, spread) * min(costs)


def _batch_s(line: LogLine) -> float:
    return line.outcome.restore_s + line.outcome.total_s


def _mean_s(lines: Sequence[LogLine]) -> float | None:
    return fmean(map(_batch_s, lines)) if lines else None


def _total_s(lines: Sequence[LogLine]) -> float:
    return sum(map(_batch_s, lines))


def _share_pct(agree: int, disagree: int) -> float | None:
    return 100 * agree / (agree + disagree) if agree + disagree else None


def agreement_summary(found: Agreement) -> dict[str, Any]:
    """As one JSON object. Times of batches are in milliseconds."""
    return {
        "backends": list(found.backends),
        "agreement_pct": found.agreement_pct,
        "agree": found.agree,
        "inside_noise": found.inside_noise,
        "disagree": found.disagree,
        "unpaired": found.unpaired,
        "latency_ratio": found.latency_ratio,
        "phases": [
            {
                "begin_s": phase.begin_s,
                "bandwidth_mbps": phase.bandwidth_mbps,
                "batches": list(phase.batches),
                "agreement_pct": phase.agreement_pct,
                "agree": phase.agree,
                "inside_noise": phase.inside_noise,
                "disagree": phase.disagree,
                "unpaired": phase.unpaired,
                "mean_ms": [None if mean_s is None else 1e3 * mean_s for mean_s in phase.mean_s],
                "latency_ratio": phase.latency_ratio,
            }
            for phase in found.phases
        ],
    }
