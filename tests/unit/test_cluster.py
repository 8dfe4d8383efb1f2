"""A study on a real Dask scheduler and real workers, one of which is killed on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import prism
from tests.helpers.command import PRISM, Cli, Outcome, child_environment, run_prism, without_leftovers

distributed = pytest.importorskip("distributed")

# Dask's own code warns on some Pythons; what it says is not ours to fail on.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

#: 10,500 points by the twin and 3,000 by SimPy, whose chunks take a worker long enough to be found at one.
TWIN = """
engine = "twin"
[sweep]
batch = [1, 2, 4, 8, 16]
bandwidth_mbps = { from = 200, to = 799, step = 2 }
segments = 10
devices = [2, 3]
exchange = ["blocking", "preposted"]
"""
SIMPY = """
[sweep]
batch = [1, 8]
bandwidth_mbps = { from = 200, to = 900, step = 100 }
"""


class Processes:
    """Real processes of Dask's, ended with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, path: str | None = None) -> subprocess.Popen[bytes]:
        environment = child_environment()
        environment.pop("PYTHONWARNINGS")
        environment["PYTHONPATH"] = path or environment["PYTHONPATH"]
        log = (self.folder / f"{arguments[0]}{len(self.children)}.log").open("wb")
        with log:
            child = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments], env=environment, stdout=log, stderr=log, cwd=self.folder
            )
        self.children.append(child)
        return child

    def scheduler(self) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.start(
            "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--dashboard-address", ":0"
        )
        return f"tcp://127.0.0.1:{port}"

    def worker(self, address: str, path: str | None = None) -> None:
        """Without a nanny: nobody starts it again. `path` is where it looks for prism first."""
        options = ("--no-nanny", "--nthreads=1", "--no-dashboard", "--host=127.0.0.1", "--memory-limit=0")
        self.start("worker", address, *options, f"--local-directory={self.folder}", path=path)

    def end(self) -> None:
        for child in reversed(self.children):
            child.kill()
        for child in self.children:
            child.wait(timeout=10)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    started = Processes(tmp_path_factory.mktemp("dask"))
    yield started
    started.end()


def until(holds: Callable[[], Any], what: str) -> None:
    for _ in range(1500):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def study_process(folder: Path, out: str, address: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PRISM, "study", "study.toml", "--out", out, "--json", "--executor", address],
        cwd=folder,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def prism_study(folder: Path, out: str, *more: str) -> Outcome:
    return run_prism("study", "study.toml", "--out", out, "--json", *more, cwd=folder)


def test_a_killed_worker_changes_no_bit(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(TWIN, encoding="utf-8")
    address = processes.scheduler()
    for _ in range(2):
        processes.worker(address)
    with distributed.Client(address, timeout=20) as client:
        client.wait_for_workers(2, timeout=20)
        victim, pid = next(iter(client.run(os.getpid).items()))
        far = study_process(tmp_path, "far", address)
        until(begun(client, victim), "work on the worker to be killed")
        assert far.poll() is None
        os.kill(pid, signal.SIGKILL)
        _, err = far.communicate(timeout=60)
        assert far.returncode == 0, err
        until(lambda: len(client.run(os.getpid)) == 1, "the scheduler to miss the worker")
    assert prism_study(tmp_path, "here").code == 0
    here, far_off = (tmp_path / out / "results.parquet" for out in ("here", "far"))
    assert here.read_bytes() == far_off.read_bytes()


def begun(client: Any, worker: str) -> Callable[[], bool]:
    """Asks whether the worker has done with one part of a study and is at another."""
    seen: set[str] = set()

    def holds() -> bool:
        under_way = {key for key in client.processing()[worker] if "_part" in key}
        seen.update(under_way)
        return bool(under_way) and seen > under_way

    return holds


def test_a_small_study_is_the_same_too(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(SIMPY, encoding="utf-8")
    address = processes.scheduler()
    processes.worker(address)
    far, here = prism_study(tmp_path, "far", "--executor", address), prism_study(tmp_path, "here")
    assert (far.code, here.code) == (0, 0), far.err
    for name in ("results.csv", "map.svg"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "far" / name).read_bytes()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.study.cluster.ANSWER_S", 1.0)


@pytest.mark.usefixtures("impatient")
def test_a_scheduler_without_workers_is_one_line(processes: Processes, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(SIMPY, encoding="utf-8")
    address = processes.scheduler()
    distributed.Client(address, timeout=20).close()
    refusal = cli("study", "study.toml", "--executor", address).refusal
    assert refusal == f"error: the scheduler at {address} has no worker; start some with 'dask worker {address}'"


def test_a_worker_with_another_prism_is_refused(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(SIMPY, encoding="utf-8")
    other = tmp_path / "other"
    (other / "prism").mkdir(parents=True)
    (other / "prism" / "__init__.py").write_text("__version__ = '0.0'\n", encoding="utf-8")
    address = processes.scheduler()
    processes.worker(address, path=str(other))
    refusal = prism_study(tmp_path, "far", "--executor", address).refusal
    assert f" has prism 0.0, this machine {prism.__version__}; install the same on both" in refusal


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "carrier://pigeon:1"])
def test_an_address_where_nobody_answers_is_one_line(cli: Cli, tmp_path: Path, address: str) -> None:
    (tmp_path / "study.toml").write_text(SIMPY, encoding="utf-8")
    refusal = cli("study", "study.toml", "--executor", address).refusal
    assert refusal.startswith(f"error: no Dask scheduler answers at '{address}'; start one with 'dask scheduler'")
    assert without_leftovers(tmp_path, "study.toml")
