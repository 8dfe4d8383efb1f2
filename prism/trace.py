"""Spans as a Chrome trace, which ui.perfetto.dev and chrome://tracing open. One process a rank, one thread a stage."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prism.files import write_text
from prism.record import Span

_THREADS = {"compute": 0, "staging": 1, "transfer": 2, "waiting": 3}
_MICROSECONDS = 1e6


def chrome_trace(spans: Iterable[Span], *, label: str) -> dict[str, Any]:
    """Spans in the Chrome trace event format; times in microseconds from the start of the pass."""
    spans = list(spans)
    events: list[dict[str, Any]] = []
    for rank in sorted({span.rank for span in spans}):
        name = f"{label}: rank {rank}" + (" (terminal device)" if rank == 0 else "")
        events.append({"ph": "M", "name": "process_name", "pid": rank, "args": {"name": name}})
        events += [
            {"ph": "M", "name": "thread_name", "pid": rank, "tid": thread, "args": {"name": stage}}
            for stage, thread in _THREADS.items()
        ]
    events += map(_event, spans)
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _event(span: Span) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": span.name if span.block is None else f"{span.name} {span.block}",
        "cat": span.stage,
        "pid": span.rank,
        "tid": _THREADS[span.stage],
        "ts": span.start_s * _MICROSECONDS,
        "dur": (span.end_s - span.start_s) * _MICROSECONDS,
        "args": {"bytes": span.nbytes},
    }


def write_trace(path: Path, spans: Iterable[Span], *, label: str) -> None:
    """Write spans as a Chrome trace file."""
    write_text(path, json.dumps(chrome_trace(spans, label=label)))
