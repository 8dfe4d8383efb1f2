"""The self-test of a testbed's link, between real processes in two of its ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from hw.link.selftest import REPEATS, self_test
from hw.link.verdict import SelfTest
from hw.testbed.base import Bed
from hw.testbed.testbed import Testbed

ROOT = Path(__file__).parents[2]


class ProbeFailed(RuntimeError):
    """A probe of the self-test ended before it was done. The message has what it said."""


def check(
    bed: Bed,
    *,
    server: int = 1,
    client: int = 0,
    repeats: int = REPEATS,
    progress: Callable[[], None] | None = None,
) -> SelfTest:
    """Test the link between two ranks of an open testbed. Nothing else should be sent meanwhile.

    On loopback the probes pace their own sockets.

    Raises:
        InputError: no such rank.
        ProbeFailed: the ranks cannot reach each other.
    """
    on_medium = isinstance(bed, Testbed)
    with _Probes(bed, server, client) as probes:
        return self_test(
            probes,
            bed.bandwidth_mbps,
            half_duplex=on_medium,
            wire_counter=(lambda: bed.counters()["bytes"]) if isinstance(bed, Testbed) else None,
            segment_bytes=probes.segment_bytes,
            provenance=bed.provenance(),
            repeats=repeats,
            progress=progress,
        )


class _Probes(AbstractContextManager["_Probes"]):
    """A serving and a driving process, connected."""

    def __init__(self, bed: Bed, server: int, client: int) -> None:
        pace = [] if isinstance(bed, Testbed) else ["--pace", str(bed.bandwidth_mbps)]
        self._bed = bed
        self._processes: list[subprocess.Popen[str]] = []
        try:
            serving = self._start(server, "serve", bed.address(server), *pace)
            port = self._answer(serving)["port"]
            self._driving = self._start(client, "drive", bed.address(server), str(port), *pace)
            self.segment_bytes = int(self._answer(self._driving)["segment_bytes"])
        except BaseException:
            self._end()
            raise

    def send(self, to_server: int, to_client: int, idle_s: float) -> float:
        assert self._driving.stdin is not None
        request = {"to_server": to_server, "to_client": to_client, "idle_s": idle_s}
        try:
            self._driving.stdin.write(json.dumps(request) + "\n")
            self._driving.stdin.flush()
        except BrokenPipeError:
            pass  # its answer says why
        return float(self._answer(self._driving)["seconds"])

    def _start(self, rank: int, *arguments: str) -> subprocess.Popen[str]:
        process = self._bed.spawn(
            rank,
            [sys.executable, "-m", "hw.link.probe", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        self._processes.append(process)
        return process

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        if not line:
            said = process.stderr.read().strip().splitlines()
            raise ProbeFailed(f"the self-test's process ended early: {said[-1] if said else 'it said nothing'}")
        return dict(json.loads(line))

    def _end(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
