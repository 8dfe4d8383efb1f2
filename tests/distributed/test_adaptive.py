"""The adaptive loop's backend on real processes: passes, probes, energies, and workers that go and come back."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from hw.adaptive.backend import HwBackend
from hw.adaptive.metering import RunMeter
from hw.power.sampler import PowerSampler
from hw.runtime.settings import Peer, Settings
from hw.runtime.terminal import Terminal
from hw.testbed import LoopbackTestbed, why_no_namespaces
from prism.cli.boards import Boards, on_testbed
from prism.plan import Plan
from prism.policy.adaptive import AdaptivePolicy, Observation
from prism.policy.backend import Order, Outcome
from prism.policy.loop import probe
from prism.policy.objective import Objective
from prism.policy.performance_map import write_map
from tests.helpers.boards import started_worker
from tests.helpers.command import run_prism
from tests.helpers.policy import a_map
from tests.helpers.steady_meter import SteadyMeter, steady_meter_code

pytestmark = [pytest.mark.torch, pytest.mark.slow]
needs_namespaces = pytest.mark.skipif(why_no_namespaces() is not None, reason=f"{why_no_namespaces()}")

LOCAL, SPLIT = Plan(), Plan("segment_means", 2, 5, exchange="preposted")
THREE = Plan("segment_means", 3, 5, exchange="preposted")
TIMEOUT_S = 2.0
#: No test hangs: what should take a second or two may take this long on a busy machine.
PATIENCE_S = 60.0


@contextmanager
def backend_on_testbed(ranks: int = 2, timeout_s: float = TIMEOUT_S) -> Iterator[tuple[HwBackend, Boards]]:
    with on_testbed(Settings("test_vit", timeout_s=timeout_s), ranks, 400, "--meter", "none") as boards:
        medium = None if isinstance(boards.bed, LoopbackTestbed) else boards.bed
        backend = HwBackend(boards.terminal, None, medium)
        try:
            yield backend, boards
        finally:
            backend.close()


def order(plan: Plan, index: int = 0, ranks: tuple[int, ...] = (1,), give_up_s: float = 60.0) -> Order:
    return Order(index, plan, 2, ranks if plan.devices > 1 else (), give_up_s)


def answered(backend: HwBackend) -> bool:
    """Whether a probe gets through: a backend whose workers are known to be out of reach sends none."""
    sent = backend.probe(16_384, 0.1)
    return sent is not None and sent.answered


def comes_true(what: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while not (true := what()) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return true


def send_signal(boards: Boards, rank: int, number: signal.Signals) -> None:
    assert boards.bed is not None
    worker, _ = boards.bed._processes[rank - 1]
    os.killpg(worker.pid, number)
    if number == signal.SIGKILL:
        worker.wait()


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
        send_signal(boards, 1, signal.SIGKILL)
        outcome = backend.run(order(SPLIT, 1))
        assert outcome.lost == (1,)
        assert outcome.why
        assert outcome.total_s < TIMEOUT_S
        assert backend.run(order(LOCAL, 2)).lost == ()
        assert not answered(backend)


def test_a_pass_is_given_up_when_the_policy_says_so() -> None:
    """By GLOO's own limit, 30 s without a byte, the frozen worker would keep it waiting."""
    with backend_on_testbed(timeout_s=30) as (backend, boards):
        assert backend.run(order(SPLIT)).lost == ()
        freezing = threading.Timer(0.2, send_signal, (boards, 1, signal.SIGSTOP))
        freezing.start()
        outcome = Outcome(0.0, 0.0)
        deadline_s = time.monotonic() + PATIENCE_S
        while not outcome.lost and time.monotonic() < deadline_s:
            outcome = backend.run(order(SPLIT, 1, give_up_s=1.0))
        assert (outcome.lost, outcome.why) == ((1,), "no answer within 1 s")
        assert outcome.total_s > 1.0
        assert backend.run(order(LOCAL, 2)).lost == ()
        freezing.join()
        assert not answered(backend)  # its kernel takes connections still; it does not greet back
        send_signal(boards, 1, signal.SIGCONT)
        assert comes_true(lambda: answered(backend))
        back = backend.run(order(SPLIT, 3))
        assert (back.lost, back.why) == ((), "")


@needs_namespaces
def test_a_message_that_the_link_drags_out_is_given_up_too() -> None:
    """Part of it is in, so hanging up does not end the wait for it, and GLOO's own limit is half a minute away."""
    whole = Plan("full_tensor", 2, exchange="preposted")
    with backend_on_testbed(timeout_s=30) as (backend, boards):
        assert boards.bed is not None
        large = replace(order(whole, give_up_s=60.0), batch=256)
        assert backend.run(large).lost == ()
        boards.bed.set_bandwidth(20)
        outcome = backend.run(replace(large, index=1, give_up_s=0.5))
        assert (outcome.lost, outcome.why) == ((1,), "no answer within 0.5 s")
        boards.bed.set_bandwidth(400)
        assert comes_true(lambda: answered(backend))
        assert backend.run(order(SPLIT, 2)).lost == ()


def test_the_policy_leaves_out_the_worker_that_was_killed() -> None:
    """By the map three boards are better than two, and those than one."""
    table = a_map(LOCAL, SPLIT, THREE, seconds=lambda plan, *_: (8.0 - 2 * plan.devices, 0.1))
    policy = AdaptivePolicy(table, Objective(), 2)
    with backend_on_testbed(ranks=3) as (backend, boards):
        state = probe(policy, backend, policy.start(backend.now_s()))
        plans: list[tuple[Plan, tuple[int, ...], tuple[int, ...]]] = []

        def serve_one() -> bool:
            """Whether the two boards that are left served it together."""
            nonlocal state
            decision, state = policy.decide(state, Observation(backend.now_s(), 2))
            taken = replace(decision.order, index=len(plans))
            outcome = backend.run(taken)
            state = probe(policy, backend, policy.learn(state, taken, outcome))
            plans.append((taken.plan, taken.ranks, outcome.lost))
            return plans[-1] == (SPLIT, (2,), ())

        assert comes_true(lambda: serve_one() or plans[-1] == (THREE, (1, 2), ()))
        send_signal(boards, 1, signal.SIGKILL)
        assert comes_true(serve_one)
        assert any(1 in lost for _, _, lost in plans)
        again = backend.run(order(THREE, 0, (1, 2)))
        assert again.lost == (1,)
        assert "worker 1" in again.why
        kept = backend.run(order(SPLIT, 1, (2,)))
        assert (kept.lost, kept.why) == ((), "")


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
        assert comes_true(lambda: answered(backend))
        assert backend.run(order(SPLIT, 2)).lost == ()


def test_batches_have_the_energies_of_their_blocks(tmp_path: Path) -> None:
    with (
        started_worker(tmp_path, before=steady_meter_code(7.0), arguments="meter='steady'") as (_, port),
        PowerSampler(SteadyMeter(5.0)) as sampler,
        Terminal(Settings("test_vit", (Peer("127.0.0.1", port),), interface="lo", timeout_s=30)) as terminal,
    ):
        backend = HwBackend(terminal, None, meter=RunMeter(sampler, terminal.devices))
        totals: dict[int, tuple[Plan, float]] = {}
        for plan in (SPLIT, LOCAL):
            begin_s, first = time.monotonic(), len(totals)
            while time.monotonic() < begin_s + 2.3:
                totals[len(totals)] = plan, 0.0
                assert backend.run(order(plan, len(totals) - 1)).terminal_j is None
            each_s = (time.monotonic() - begin_s) / (len(totals) - first)
            totals |= dict.fromkeys(range(first, len(totals)), (plan, each_s))
        energies = backend.energies()
        backend.close()
    assert sorted(energies) == list(range(len(totals)))
    for index, (_, each_s) in totals.items():
        found = energies[index]
        assert found.all_boards_j is not None
        # A worker idles in a local pass, and that costs energy too. What a block's ends take is shared out as well.
        assert found.all_boards_j / found.terminal_j == pytest.approx(12 / 5, rel=0.1)
        assert found.terminal_j == pytest.approx(5 * each_s, rel=0.3)


@needs_namespaces
def test_a_run_on_the_testbed_and_the_same_one_simulated(tmp_path: Path) -> None:
    model = "vit_tiny_patch16_224"
    table = a_map(LOCAL, Plan("segment_means", 2, 10, exchange="preposted"))
    write_map(tmp_path / "map.json", replace(table, model=model, source="simulated"))
    same = ("--map", "map.json", "--trace", "phases:400,100:0.5", "--requests", "12", "--batch", "2", "--json")
    real = run_prism("run", "--backend", "hw", "--testbed", "--log", "hw.jsonl", *same, cwd=tmp_path)
    assert real.code == 0, real.err
    assert (real.json["requests"], real.json["lost"], real.json["backend"]) == (12, 0, "hw")
    assert {"regret_pct", "vs_local_pct", "switches", "decisions"} <= set(real.json)
    assert sum(real.json["decisions"].values()) == 12
    assert len((tmp_path / "hw.jsonl").read_text().splitlines()) == 12
    simulated = run_prism("run", "--against", "hw.jsonl", *same, cwd=tmp_path)
    assert simulated.code == 0, simulated.err
    against = simulated.json["against"]
    assert against["backends"] == ["sim", "hw"]
    counted = sum(against[name] for name in ("agree", "inside_noise", "disagree", "unpaired"))
    assert counted == 12
    first = json.loads((tmp_path / "hw.jsonl").read_text().splitlines()[0])
    assert first["run"]["trace"] == "phases:400,100:0.5"
