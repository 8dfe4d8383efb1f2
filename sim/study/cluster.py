"""Parts of a study on a Dask cluster: `distributed` schedules them, does them again where a worker dies, and we wait.

Dask, because a study's parts are plain Python functions without a graph between them, its scheduler and workers are two
commands on any machine with Python, and a part of a dead worker goes to another one without our doing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import islice
from types import TracebackType
from typing import Any

import numpy as np

from prism import __version__
from prism.errors import InputError, RunFailed
from sim.study.executor import Job, Part

#: How long a scheduler may take to answer, and how long a study waits where there is no worker, in seconds.
ANSWER_S = 5.0
NO_WORKER_S = 30.0
#: Parts that are under way at a time, for each thread of the workers: none is idle, and few results wait in line.
AHEAD = 3

_POLL_S = 1.0


class Cluster:
    """The executor at `address`, such as ``tcp://10.0.0.1:8786``. Use it as a context; it leaves the cluster running.

    Raises:
        InputError: Dask is not installed here, no scheduler answers, it has no worker, or one that would not compute
            the same: another version of prism or numpy.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._distributed = _import_distributed()
        self._client = self._connect()
        try:
            self._check_workers()
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def parts(self, compute: Callable[[Job, int], Part], job: Job, numbers: Sequence[int]) -> Iterator[Part]:
        """See `sim.study.executor.Executor`."""
        # The job is a task as well, so that it goes to each worker once and is there again when one dies.
        shared = self._client.submit(_job, job, _versions(), pure=False)
        futures = (self._client.submit(_part, compute, shared, number, pure=False) for number in numbers)
        threads = sum(worker["nthreads"] for worker in self._workers().values())
        waiting = deque(islice(futures, AHEAD * max(threads, 1)))
        while waiting:
            part: Part = self._result(waiting.popleft())
            waiting.extend(islice(futures, 1))
            yield part

    def _connect(self) -> Any:
        try:
            return self._distributed.Client(self.address, timeout=ANSWER_S, set_as_default=False)
        except (OSError, ValueError, ImportError, TimeoutError, asyncio.TimeoutError):
            raise InputError(
                f"no Dask scheduler answers at {self.address!r}; start one with 'dask scheduler' and give the address "
                "that it prints, such as tcp://10.0.0.1:8786"
            ) from None

    def _check_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=ANSWER_S)
        except (TimeoutError, asyncio.TimeoutError):
            raise InputError(
                f"the scheduler at {self.address} has no worker; start some with 'dask worker {self.address}'"
            ) from None
        for worker, found in self._client.run(_version_question(), on_error="return").items():
            versions = found if isinstance(found, dict) else dict.fromkeys(_versions(), "missing or broken")
            for package, version in _versions().items():
                if versions[package] != version:
                    raise InputError(
                        f"worker {worker} has {package} {versions[package]}, this machine {version}; install the same "
                        "on both, or results would differ"
                    )

    def _workers(self) -> dict[str, Any]:
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return workers

    def _result(self, future: Any) -> Any:
        """The future's result, waited for as long as there are workers that may bring it."""
        idle_s = 0.0
        while True:
            try:
                return future.result(timeout=_POLL_S)
            except (TimeoutError, asyncio.TimeoutError):
                idle_s = 0.0 if self._workers() else idle_s + _POLL_S
            except self._distributed.KilledWorker:
                raise RunFailed(
                    f"executor {self.address}: every worker that took one part of the study died with it; look at the "
                    "workers' logs, memory first"
                ) from None
            except (CancelledError, asyncio.CancelledError, OSError):
                raise RunFailed(f"executor {self.address}: its scheduler is gone; start it and run again") from None
            if idle_s >= NO_WORKER_S:
                raise RunFailed(f"executor {self.address}: no worker for {NO_WORKER_S:g} s; start some and run again")

    def _close(self) -> None:
        self._client.close(timeout=_POLL_S)


def _import_distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise InputError(
            "--executor needs Dask, which is not installed; run: pip install 'prism-edge[distributed]'"
        ) from None
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is told in one line
    return distributed


def _versions() -> dict[str, str]:
    """What decides about the last bit of a result."""
    return {"prism": __version__, "numpy": np.__version__}


def _version_question() -> Callable[[], dict[str, str]]:
    """What to ask a worker whose prism may lack this module: a function that travels as code, not by its name."""

    def versions() -> dict[str, str]:
        from importlib import import_module

        return {name: str(import_module(name).__version__) for name in ("prism", "numpy")}

    return versions


def _job(job: Job, versions: dict[str, str]) -> tuple[Job, dict[str, str]]:
    return job, versions


def _part(compute: Callable[[Job, int], Part], shared: tuple[Job, dict[str, str]], number: int) -> Part:
    """On a worker: it may have joined after versions were compared."""
    job, versions = shared
    if versions != _versions():
        raise InputError(
            f"a worker joined with {_versions()}, the study runs with {versions}; install the same on both"
        )
    return compute(job, number)
