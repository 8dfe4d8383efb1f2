"""What a testbed is to the code that runs on it, whether of namespaces or on loopback."""

from __future__ import annotations

import atexit
import contextlib
import os
import platform
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, TypeAlias, TypeVar

from hw.testbed.guard import Guard
from hw.testbed.names import new_prefix
from hw.testbed.processes import ProcessId, identify, kill_group
from prism.errors import InputError
from prism.units import check_range

Stream: TypeAlias = IO[str] | int | None
B = TypeVar("B", bound="Bed")

MAX_RANKS = 16
GRACE_S = 2.0


class Bed(ABC):
    """Some ranks on this machine and a link between them. A context manager: what it started, it ends.

    Attributes:
        ranks: how many boards it plays.
        prefix: its name, unique on this machine.
        interface: the network interface of a rank.
        rate_range_mbps: the lowest and the highest rate it takes.
        cores: the core each rank is pinned to; empty where there are fewer cores than ranks.
    """

    interface: str
    rate_range_mbps = (20.0, 2000.0)

    def __init__(self, ranks: int, bandwidth_mbps: float) -> None:
        if not 1 <= ranks <= MAX_RANKS:
            raise InputError(f"a testbed has 1 to {MAX_RANKS} ranks, not {ranks}")
        check_range("bandwidth_mbps", bandwidth_mbps, *self.rate_range_mbps)
        self.ranks = ranks
        self.prefix = new_prefix()
        available = sorted(os.sched_getaffinity(0))
        self.cores = tuple(available[:ranks]) if ranks <= len(available) else ()
        self._bandwidth_mbps = bandwidth_mbps
        self._owner = os.getpid()
        self._guard: Guard | None = None
        self._processes: list[tuple[subprocess.Popen[str], ProcessId | None]] = []

    @property
    def bandwidth_mbps(self) -> float:
        """What the link is throttled to now."""
        return self._bandwidth_mbps

    @abstractmethod
    def address(self, rank: int) -> str:
        """IPv4 address of a rank."""

    @abstractmethod
    def set_bandwidth(self, bandwidth_mbps: float) -> None:
        """Change the rate of the running link, 20 to 2000 Mbps.

        Raises:
            InputError: out of that range.
        """

    @abstractmethod
    def cut(self, rank: int, *, interface: bool = False) -> None:
        """Cut a rank off: silently, as out of radio range, or with `interface` by taking its interface down."""

    @abstractmethod
    def restore(self, rank: int) -> None:
        """Undo `cut`. Calling it on a rank that was not cut does nothing."""

    @abstractmethod
    def provenance(self) -> dict[str, str]:
        """How the link was made, for the records."""

    @abstractmethod
    def _build(self) -> None: ...

    @abstractmethod
    def _destroy(self) -> None: ...

    @abstractmethod
    def _command(self, rank: int) -> list[str]:
        """What goes before a rank's command to put it in its place."""

    @abstractmethod
    def _inside(self, _rank: int) -> contextlib.AbstractContextManager[None]:
        """This thread in a rank's network."""

    def variables(self, rank: int) -> dict[str, str]:
        """Environment variables that tell a process which rank it is and where the others are."""
        self._check(rank)
        return {
            "PRISM_RANK": str(rank),
            "PRISM_ADDRESS": self.address(rank),
            "PRISM_PEERS": ",".join(self.address(peer) for peer in range(self.ranks)),
            "PRISM_INTERFACE": self.interface,
            "PRISM_BANDWIDTH_MBPS": f"{self._bandwidth_mbps:g}",
            "GLOO_SOCKET_IFNAME": self.interface,
            "OMP_NUM_THREADS": "1",
        }

    def spawn(
        self,
        rank: int,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command as a rank, on that rank's core, in a session of its own; the testbed ends it at the latest.

        Args:
            rank: whose place it takes.
            argv: the command.
            env: variables on top of this process's own and of `variables(rank)`.
            stdin: as for `subprocess.Popen`, as are the other streams; pipes carry text.
            stdout: see `stdin`.
            stderr: see `stdin`.
            cwd: folder to run in.

        Raises:
            InputError: no such rank, or the testbed is not open.
        """
        if self._guard is None:
            raise InputError("the testbed is not open; use it as a context manager")
        pin = ["taskset", "--cpu-list", str(self.cores[rank])] if self.cores and 0 <= rank < self.ranks else []
        process = subprocess.Popen(
            [*self._command(rank), *pin, *argv],
            env={**os.environ, **self.variables(rank), **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            text=True,
            start_new_session=True,
        )
        self._guard.watch(process)
        self._processes.append((process, identify(process.pid)))
        return process

    @contextlib.contextmanager
    def entered(self, rank: int) -> Iterator[None]:
        """Put this thread, and the threads it starts meanwhile, in a rank's place and on its core; undone on leaving.

        For the owner to be a rank itself. Connections it makes meanwhile stay in that place.

        Raises:
            InputError: no such rank.
        """
        self._check(rank)
        affinity = os.sched_getaffinity(0)
        with self._inside(rank):
            if self.cores:
                os.sched_setaffinity(0, {self.cores[rank]})
            try:
                yield
            finally:
                os.sched_setaffinity(0, affinity)

    def stop(self, grace_s: float = GRACE_S) -> None:
        """End all processes: SIGTERM, and after `grace_s` seconds SIGKILL. Their groups go with them."""
        for process, _ in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        for process, known in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            if known is not None:
                kill_group(known)
            process.wait()
        self._processes.clear()

    def close(self) -> None:
        """End all processes and take the testbed down. A second call, or one from a forked child, does nothing."""
        if self._guard is None or os.getpid() != self._owner:
            return
        atexit.unregister(self.close)
        guard, self._guard = self._guard, None
        try:
            self.stop()
        finally:
            try:
                self._destroy()
            finally:
                guard.close()

    def __enter__(self: B) -> B:
        self._guard = Guard(self.prefix)
        atexit.register(self.close)
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, rank: int) -> None:
        if not 0 <= rank < self.ranks:
            raise InputError(f"no rank {rank}: this testbed has ranks 0 to {self.ranks - 1}")

    def _common_provenance(self) -> dict[str, str]:
        return {
            "bandwidth_mbps": f"{self._bandwidth_mbps:g}",
            "kernel": platform.release(),
            "cores": (
                " ".join(f"rank{rank}:{core}" for rank, core in enumerate(self.cores))
                if self.cores
                else f"not pinned: {self.ranks} ranks on {len(os.sched_getaffinity(0))} cores"
            ),
        }
