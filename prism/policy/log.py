"""The decision log: one JSON line a batch, with all that the decision was made from and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from prism.errors import InputError
from prism.files import parse_json, read_text, to_json
from prism.policy.names import plan_name
from prism.stored import Stored
from prism.streams.bandwidth import BandwidthTrace

if TYPE_CHECKING:
    from prism.policy.adaptive import Candidate
    from prism.policy.loop import Served


@dataclass(frozen=True)
class RunFacts(Stored):
    """What was served, on what: runs whose facts agree, but for the backend, can be laid side by side.

    Attributes:
        backend: ``sim`` or ``hw``.
        objective: with its limits.
        requests: how many, and how they arrive.
        trace: the bandwidth's name.
        trace_digest: of its times and bandwidths, which a name does not tell.
    """

    backend: str
    model: str
    objective: str
    requests: str
    trace: str
    trace_digest: str


@dataclass(frozen=True)
class SeenRow(Stored):
    """What was decided on; `samples` had arrived and were in the batch."""

    time_s: float
    batch: Annotated[int, Ge(1)]
    samples: Annotated[int, Ge(1)]


@dataclass(frozen=True)
class LinkRow(Stored):
    """What the trace says for that time, which the policy does not know, and since when it does."""

    bandwidth_mbps: float
    since_s: float


@dataclass(frozen=True)
class EstimateRow(Stored):
    """What was believed of the link."""

    bandwidth_mbps: float | None
    uncertainty: float | None


@dataclass(frozen=True)
class CandidateRow(Stored):
    """A plan that was weighed; as `prism.policy.adaptive.Candidate`."""

    plan: str
    total_s: float
    terminal_j: float | None
    all_boards_j: float | None
    value: float | None
    spread_s: float | None


@dataclass(frozen=True)
class ChoiceRow(Stored):
    """What was chosen, and why; a local pass is never given up."""

    plan: str
    reason: str
    switched: bool
    give_up_s: float | None


@dataclass(frozen=True)
class OutcomeRow(Stored):
    """What came of it; as `prism.policy.backend.Outcome`."""

    start_s: float
    total_s: float
    communication_s: float | None
    terminal_j: float | None
    all_boards_j: float | None
    lost_workers: tuple[int, ...]
    restore_s: float
    why: str


@dataclass(frozen=True)
class LogLine(Stored):
    """One batch. Times are in seconds, energies in joules, bandwidths in Mbps."""

    run: RunFacts
    index: Annotated[int, Ge(0)]
    observation: SeenRow
    link: LinkRow
    estimate: EstimateRow
    candidates: tuple[CandidateRow, ...]
    choice: ChoiceRow
    outcome: OutcomeRow
    format: Literal["prism.decision/2"] = "prism.decision/2"


def decision_log(served: Iterable[Served], facts: RunFacts, trace: BandwidthTrace) -> list[LogLine]:
    """The log of what was served, on the trace that the facts name."""
    return [_line(done, facts, trace) for done in served]


def _line(done: Served, facts: RunFacts, trace: BandwidthTrace) -> LogLine:
    decision, outcome, seen = done.decision, done.outcome, done.seen
    order = decision.order
    return LogLine(
        run=facts,
        index=order.index,
        observation=SeenRow(seen.now_s, seen.batch, done.samples),
        link=LinkRow(trace.at(seen.now_s), trace.since_s(seen.now_s)),
        estimate=EstimateRow(decision.bandwidth_mbps, decision.uncertainty),
        candidates=tuple(map(_candidate, decision.candidates)),
        choice=ChoiceRow(
            plan_name(order.plan),
            decision.reason,
            decision.switched,
            order.give_up_s if order.plan.devices > 1 else None,
        ),
        outcome=OutcomeRow(
            outcome.start_s,
            outcome.total_s,
            outcome.communication_s,
            outcome.terminal_j,
            outcome.all_boards_j,
            outcome.lost,
            outcome.restore_s,
            outcome.why,
        ),
    )


def _candidate(found: Candidate) -> CandidateRow:
    return CandidateRow(
        plan_name(found.plan), found.total_s, found.terminal_j, found.all_boards_j, found.value, found.spread_s
    )


def log_text(lines: Sequence[LogLine]) -> str:
    """The log as it is stored."""
    return "".join(to_json(line) + "\n" for line in lines)


def read_log(path: Path) -> list[LogLine]:
    """The decision log in a file.

    Raises:
        InputError: unreadable, empty, of another version, broken, or of more than one run; names file and line.
    """
    lines: list[LogLine] = []
    for number, text in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path}:{number}"
        line = parse_json(LogLine, text, where)
        if lines and line.run != lines[0].run:
            raise InputError(f"{where}: a line of another run than line 1; give the log of one")
        lines.append(line)
    if not lines:
        raise InputError(f"{path}: holds no decisions")
    return lines
