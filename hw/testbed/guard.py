"""The owner's end of the guard, a small process that cleans up when its owner dies: see `hw.testbed.reaper`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from hw.testbed.processes import identify

WAIT_S = 10.0


class Guard:
    """The owner's end: tell the guard of every process started, and `close` once all is cleaned up."""

    def __init__(self, prefix: str) -> None:
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hw.testbed.reaper", prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C at the terminal is for the owner
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, process: subprocess.Popen[str]) -> None:
        """Have a process, the leader of its own group, killed when the owner dies."""
        known = identify(process.pid)
        if known is not None:
            self._tell(f"{known.pid} {known.start}")

    def close(self) -> None:
        """Let go of the guard, which finds nothing left to do."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # a guard that was killed guards nothing; the owner still cleans up
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
