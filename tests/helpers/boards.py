"""Workers in processes of their own, bent from outside where a test needs a board that is not as it should be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.command import child_environment

_WORKER = """{before}
import json, sys, time
from hw.runtime.control import listen
from hw.runtime.worker import Worker
with listen("127.0.0.1", 0) as listening:
    print(json.dumps(listening.getsockname()), flush=True)
    Worker(interface="lo", timeout_s={timeout_s}, **dict(dict(meter="none"), {arguments})).serve(listening)
"""


@contextmanager
def started_worker(
    folder: Path, *, before: str = "import prism", arguments: str = "", timeout_s: float = 30
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A worker on loopback and its port.

    Args:
        folder: where its output goes.
        before: Python code that it runs before it imports the runtime.
        arguments: more arguments of `Worker`, as Python.
        timeout_s: how long it waits inside a pass.
    """
    code = _WORKER.format(before=before, arguments=arguments, timeout_s=timeout_s)
    with (folder / "worker.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, text=True, env=child_environment()
        )
        assert process.stdout is not None
        try:
            with process.stdout:
                line = process.stdout.readline()
            assert line, (folder / "worker.log").read_text()
            yield process, json.loads(line)[1]
        finally:
            process.kill()
            process.wait()


@contextmanager
def bent_worker(folder: Path, *, ahead_s: float, gains: float) -> Iterator[int]:
    """Port of a worker whose clock is ahead and gains on ours by so many seconds a second."""
    clock = f"clock=lambda: time.perf_counter() * (1 + {gains!r}) + {ahead_s!r}"
    with started_worker(folder, arguments=clock) as (_, port):
        yield port
