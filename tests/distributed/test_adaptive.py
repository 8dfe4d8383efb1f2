"""The adaptive loop's backend on real processes: passes, probes, and workers that go and come back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("torch")

from hw.adaptive.backend import HwBackend
from hw.runtime.settings import Settings
from hw.testbed import LoopbackTestbed, why_no_namespaces
from prism.cli.boards import Boards, on_testbed
from prism.plan import Plan
from prism.policy.backend import Order

pytestmark = [pytest.mark.torch, pytest.mark.slow]
needs_namespaces = pytest.mark.skipif(why_no_namespaces() is not None, reason=f"{why_no_namespaces()}")

LOCAL, SPLIT = Plan(), Plan("segment_means", 2, 5, exchange="preposted")
TIMEOUT_S = 2.0


@contextmanager
def backend_on_testbed(ranks: int = 2) -> Iterator[tuple[HwBackend, Boards]]:
    with on_testbed(Settings("test_vit", timeout_s=TIMEOUT_S), ranks, 400, "--meter", "none") as boards:
        medium = None if isinstance(boards.bed, LoopbackTestbed) else boards.bed
        backend = HwBackend(boards.terminal, None, medium)
        try:
            yield backend, boards
        finally:
            backend.close()


def order(plan: Plan, index: int = 0, ranks: tuple[int, ...] = (1,)) -> Order:
    return Order(index, plan, 2, ranks if plan.devices > 1 else (), 1.0)


def answered(backend: HwBackend) -> bool:
    """Whether a probe gets through: a backend whose workers are known to be out of reach sends none."""
    probe = backend.probe(16_384, 0.1)
    return probe is not None and probe.answered


def test_passes_and_probes() -> None:
    with backend_on_testbed() as (backend, _):
        split, local = backend.run(order(SPLIT)), backend.run(order(LOCAL))
        assert split.communication_s is not None
        assert 0 < split.communication_s < split.total_s
        assert local.communication_s is None
        assert (split.lost, local.lost) == ((), ())
        assert split.end_s <= local.start_s <= backend.now_s()
        probes = [backend.probe(nbytes, 1.0) for nbytes in (16_384, 262_144) * 5]
        small, large = (min(probe.seconds for probe in probes[first::2] if probe) for first in (0, 1))
        assert all(probe is not None and probe.answered for probe in probes)
        assert large > small
        assert backend.run(order(SPLIT)).lost == ()


def test_a_killed_worker_costs_no_answer() -> None:
    with backend_on_testbed() as (backend, boards):
        assert backend.run(order(SPLIT)).lost == ()
        assert boards.bed is not None
        (worker, _) = boards.bed._processes[0]
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        outcome = backend.run(order(SPLIT, 1))
        assert outcome.lost == (1,)
        assert outcome.why
        assert outcome.total_s < TIMEOUT_S
        assert backend.run(order(LOCAL, 2)).lost == ()
        assert not answered(backend)


@needs_namespaces
def test_a_worker_that_was_cut_off_comes_back() -> None:
    with backend_on_testbed() as (backend, boards):
        assert boards.bed is not None
        assert backend.run(order(SPLIT)).lost == ()
        boards.bed.cut(1)
        outcome = backend.run(order(SPLIT, 1))
        assert outcome.lost == (1,)
        assert outcome.total_s > TIMEOUT_S / 2
        assert not answered(backend)
        boards.bed.restore(1)
        deadline = time.monotonic() + 60
        while not (back := answered(backend)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert back
        assert backend.run(order(SPLIT, 2)).lost == ()
