"""Processes told apart for good, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process for good: its pid, and its start time in clock ticks since boot."""

    pid: int
    start: int

    @property
    def alive(self) -> bool:
        return start_ticks(self.pid) == self.start


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is none or it is only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name in parentheses may hold anything
    return None if fields[0] in "ZX" else int(fields[19])


def identify(pid: int) -> ProcessId | None:
    """A running process as a `ProcessId`; None if it is gone."""
    start = start_ticks(pid)
    return None if start is None else ProcessId(pid, start)


def kill_group(process: ProcessId) -> None:
    """Kill the group that a process leads. It may have ended before its group: its pid is then not given out again."""
    if start_ticks(process.pid) in (None, process.start):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def kill(pid: int) -> None:
    """Kill one process, if it is there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
