"""One pass, measured and simulated, step by step: both in one trace, and where on the way they part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.corpus.cases import Case
from prism.files import write_text
from prism.profile import SystemProfile
from prism.record import Measurement, Span, SpanStage
from prism.trace import chrome_trace
from sim.simulate import simulate

#: Processes of the simulated ranks in a trace: beside those of the measured ones, which have their rank's number.
SIMULATED_PID = 100


@dataclass(frozen=True)
class SpanPair:
    """A measured pass with its spans, and the same pass simulated."""

    measured: Measurement
    simulated: Measurement


@dataclass(frozen=True)
class Parting:
    """What all steps of one kind took on one rank, in seconds, measured and simulated."""

    rank: int
    stage: SpanStage
    name: str
    measured_s: float
    simulated_s: float

    @property
    def apart_s(self) -> float:
        """Simulated less measured: positive where the simulator is too slow."""
        return self.simulated_s - self.measured_s


@dataclass(frozen=True)
class Lag:
    """How far the simulated rank is behind the measured one when it has computed a block; negative where ahead."""

    rank: int
    block: int
    measured_s: float
    simulated_s: float

    @property
    def lag_s(self) -> float:
        return self.simulated_s - self.measured_s


def typical_pass(cases: Sequence[Case], profile: SystemProfile) -> SpanPair | None:
    """The run with spans that lies nearest to its case's median, and its simulation; None where no run has spans.

    Of the cases that have any, a distributed one is taken before a local one, and the longest pass first.
    """
    traced = [case for case in cases if any(run.spans for run in case.runs)]
    if not traced:
        return None
    case = max(traced, key=lambda each: (each.key.plan.mode != "local", each.total_s))
    run = min((run for run in case.runs if run.spans), key=lambda each: abs(each.total_s - case.total_s))
    return SpanPair(run, simulate(run.scenario, profile, trace=True))


def partings(pair: SpanPair) -> tuple[Parting, ...]:
    """Every kind of step, those first that are furthest apart."""
    measured, simulated = (_durations(record.spans) for record in (pair.measured, pair.simulated))
    found = [
        Parting(rank, stage, name, measured.get((rank, stage, name), 0.0), simulated.get((rank, stage, name), 0.0))
        for rank, stage, name in sorted({*measured, *simulated})
    ]
    return tuple(sorted(found, key=lambda each: -abs(each.apart_s)))


def lags(pair: SpanPair) -> tuple[Lag, ...]:
    """How far apart the ranks are at the end of each block."""
    measured, simulated = (_block_ends(record.spans) for record in (pair.measured, pair.simulated))
    return tuple(Lag(rank, block, measured[rank, block], simulated[rank, block]) for rank, block in sorted(measured))


def parting_blocks(found: Sequence[Lag]) -> tuple[tuple[Lag, float], ...]:
    """Each block with what it added to the lag of its rank, in seconds; the largest first."""
    before: dict[int, float] = {}
    steps = []
    for lag in found:
        steps.append((lag, lag.lag_s - before.get(lag.rank, 0.0)))
        before[lag.rank] = lag.lag_s
    return tuple(sorted(steps, key=lambda step: -abs(step[1])))


def trace_of(pair: SpanPair) -> dict[str, Any]:
    """Both passes as one Chrome trace: measured ranks first, simulated ones beneath."""
    measured = chrome_trace(pair.measured.spans, label="measured")
    simulated = chrome_trace(pair.simulated.spans, label="simulated")
    events = [
        *measured["traceEvents"],
        *({**event, "pid": event["pid"] + SIMULATED_PID} for event in simulated["traceEvents"]),
    ]
    return {**measured, "traceEvents": events}


def write_pair_trace(path: Path, pair: SpanPair) -> None:
    """Write both passes into one file for ui.perfetto.dev."""
    write_text(path, json.dumps(trace_of(pair)))


def _durations(spans: Sequence[Span]) -> dict[tuple[int, SpanStage, str], float]:
    totals: dict[tuple[int, SpanStage, str], float] = {}
    for span in spans:
        key = span.rank, span.stage, span.name
        totals[key] = totals.get(key, 0.0) + span.end_s - span.start_s
    return totals


def _block_ends(spans: Sequence[Span]) -> dict[tuple[int, int], float]:
    return {(span.rank, span.block): span.end_s for span in spans if span.name == "block" and span.block is not None}
