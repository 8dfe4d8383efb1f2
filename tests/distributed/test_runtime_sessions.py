"""One session after another: clocks that differ, idle hours, and everything that can go wrong between boards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from hw.link.sockets import pacing_rate, tcp_sockets
from hw.power.none import NoMeter
from hw.power.sampler import PowerSampler
from hw.runtime.clock import ClockAlignment
from hw.runtime.errors import PeerLost, PeerRefused
from hw.runtime.settings import Peer, Settings
from hw.runtime.terminal import Prepared, Terminal
from hw.runtime.workers import RemoteWorker
from hw.testbed import Testbed, why_no_namespaces
from prism.cli.boards import Boards, on_testbed
from prism.errors import InputError
from prism.plan import Plan
from prism.record import read_measurements, write_measurements
from tests.helpers.boards import bent_worker, started_worker
from tests.helpers.command import PRISM, child_environment, run_prism
from tests.helpers.steady_meter import SteadyMeter, steady_meter_code

pytestmark = [pytest.mark.torch, pytest.mark.slow]
needs_namespaces = pytest.mark.skipif(why_no_namespaces() is not None, reason=f"{why_no_namespaces()}")

TIMEOUT_S = 2.0
#: No test of a timeout hangs: what should take 2 s may take this long on a busy machine.
PATIENCE_S = 60.0


def test_a_record_names_what_it_was_measured_on_and_reads_back(tmp_path: Path) -> None:
    settings = Settings("vit_tiny_patch16_224", timeout_s=30)
    with on_testbed(settings, 2, 400, "--meter", "none") as boards:
        boards.terminal.set_bandwidth(400)
        record = boards.terminal.prepare(Plan("segment_means", 2, 10), 1).run(spans=True).record
    write_measurements(tmp_path / "runs.jsonl", [record])
    assert read_measurements(tmp_path / "runs.jsonl") == [record]
    assert record.source == "measured"
    assert record.bandwidth_mbps == 400
    assert set(record.provenance) >= {
        "prism", "torch", "timm", "python", "host", "machine", "kernel", "threads", "weights", "date", "staging",
        "link_method", "link_congestion_control", "link_bandwidth_mbps", "rank1_host",
    }  # fmt: skip
    assert record.provenance["staging"] == "memcpy"
    assert torch.get_num_threads() == 1


def test_idling_for_longer_than_the_timeout_does_no_harm() -> None:
    with on_testbed(Settings("test_vit", timeout_s=1), 2, 400, "--meter", "none") as boards:
        prepared = boards.terminal.prepare(Plan("full_tensor", 2, exchange="preposted"), 1)
        first = prepared.run()
        time.sleep(3)
        assert torch.equal(prepared.run().logits, first.logits)


def test_a_clock_that_is_a_second_ahead_and_gains_is_told_in_ours(tmp_path: Path) -> None:
    """The ranks of one machine share a clock, which would hide a missing alignment: this worker's is bent."""
    with bent_worker(tmp_path, ahead_s=1.0, gains=50e-6) as port:
        worker = RemoteWorker(1, Peer("127.0.0.1", port), 30)
        before = worker.read_clock(time.perf_counter)
        time.sleep(2)
        after = worker.read_clock(time.perf_counter)
        worker.dismiss()
    aligned = ClockAlignment(before, after)
    middle_s = (before.ours_s + after.ours_s) / 2
    assert abs(aligned.ours(middle_s * (1 + 50e-6) + 1.0) - middle_s) <= aligned.uncertainty_s
    assert aligned.uncertainty_s < 0.01
    drift_error = 2 * aligned.uncertainty_s / (after.ours_s - before.ours_s)
    assert abs(1 / aligned.rate - 1 - 50e-6) <= drift_error


def test_spans_of_a_worker_with_a_bent_clock_lie_where_they_belong(tmp_path: Path) -> None:
    with bent_worker(tmp_path, ahead_s=1.0, gains=50e-6) as port:
        settings = Settings("test_vit", (Peer("127.0.0.1", port),), interface="lo", timeout_s=30)
        with Terminal(settings) as terminal:
            answer = terminal.prepare(Plan("full_tensor", 2), 1).run(spans=True)
    slack_s = answer.record.clock_uncertainty_s
    assert slack_s is not None
    last = max(span.end_s for span in answer.record.spans if span.rank == 1)
    # The worker ends its last block when the terminal device does; unaligned it would end a second later.
    assert last < answer.record.total_s + 0.5
    arrivals = {span.block: span.end_s for span in answer.record.spans if span.name == "exchange" and span.rank == 0}
    for step in answer.timelines[1]:
        if type(step.step).__name__ == "Exchange":
            assert arrivals[step.step.block] >= step.entered_s - slack_s  # type: ignore[union-attr]


def kill(boards: Boards, rank: int) -> None:
    os.killpg(worker_of(boards, rank).pid, signal.SIGKILL)


def freeze(boards: Boards, rank: int) -> None:
    os.killpg(worker_of(boards, rank).pid, signal.SIGSTOP)


def cut_link(boards: Boards, rank: int) -> None:
    assert boards.bed is not None
    boards.bed.cut(rank)


def take_interface_down(boards: Boards, rank: int) -> None:
    assert boards.bed is not None
    boards.bed.cut(rank, interface=True)


def take_own_interface_down(boards: Boards, _rank: int) -> None:
    take_interface_down(boards, 0)


def worker_of(boards: Boards, rank: int) -> subprocess.Popen[str]:
    assert boards.bed is not None
    return boards.bed._processes[rank - 1][0]


def run_until(prepared: Prepared, deadline_s: float) -> None:
    while time.monotonic() < deadline_s:
        prepared.run()


@needs_namespaces
@pytest.mark.parametrize(
    ("exchange", "ranks", "harm", "told"),
    [
        ("blocking", 2, kill, r"worker 1 \(10\.77\.0\.2\).*(gone|connection lost)"),
        ("blocking", 2, freeze, r"worker 1 \(10\.77\.0\.2\).*(no answer|did not answer) within 2 s"),
        ("preposted", 2, kill, r"worker 1 \(10\.77\.0\.2\).*(gone|connection lost)"),
        ("preposted", 3, kill, r"worker 2 \(10\.77\.0\.3\).*(gone|connection lost)"),
        ("preposted", 2, freeze, r"worker 1 \(10\.77\.0\.2\).*(no answer|did not answer) within 2 s"),
        ("preposted", 3, freeze, r"worker 2 \(10\.77\.0\.3\).*(no answer|did not answer) within 2 s"),
        ("preposted", 2, cut_link, r"worker 1 \(10\.77\.0\.2\).*(no answer|did not answer) within 2 s"),
        ("preposted", 2, take_interface_down, r"worker 1 \(10\.77\.0\.2\).*within 2 s"),
        ("preposted", 2, take_own_interface_down, r"worker 1 \(10\.77\.0\.2\).*(within 2 s|unreachable)"),
    ],
)
def test_harm_in_the_middle_of_a_pass_names_the_board(
    exchange: str, ranks: int, harm: Callable[[Boards, int], None], told: str
) -> None:
    with on_testbed(Settings("test_vit", timeout_s=TIMEOUT_S), ranks, 50, "--meter", "none") as boards:
        assert isinstance(boards.bed, Testbed)
        plan = Plan("full_tensor", ranks, exchange=exchange)  # type: ignore[arg-type]
        prepared = boards.terminal.prepare(plan, 8)
        prepared.run()
        harming = threading.Timer(0.2, harm, (boards, ranks - 1))
        harming.start()
        start_s = time.monotonic()
        with pytest.raises(PeerLost, match=told) as failure:
            run_until(prepared, start_s + PATIENCE_S)
        harming.join()
        assert "\n" not in str(failure.value)
        assert time.monotonic() < start_s + PATIENCE_S


def run_once(port: int, timeout_s: float = 30) -> torch.Tensor:
    settings = Settings("test_vit", (Peer("127.0.0.1", port),), interface="lo", timeout_s=timeout_s)
    with Terminal(settings) as terminal:
        return terminal.prepare(Plan("full_tensor", 2), 1).run().logits


def test_a_worker_serves_one_terminal_device_after_another(tmp_path: Path) -> None:
    with started_worker(tmp_path) as (_, port):
        assert torch.equal(run_once(port), run_once(port))


def test_a_worker_outlives_a_terminal_device_that_is_killed_in_a_pass(tmp_path: Path) -> None:
    code = """
import sys
from hw.runtime.settings import Peer, Settings
from hw.runtime.terminal import Prepared, Terminal
from hw.runtime.workers import Peer
from prism.errors import InputError
from prism.plan import Plan
with Terminal(Settings("test_vit", (Peer("127.0.0.1", int(sys.argv[1])),), interface="lo")) as terminal:
    prepared = terminal.prepare(Plan("full_tensor", 2, exchange="preposted"), 4)
    prepared.run()
    print("running", flush=True)
    while True:
        prepared.run()
"""
    with started_worker(tmp_path, timeout_s=TIMEOUT_S) as (_, port):
        terminal = subprocess.Popen(
            [sys.executable, "-c", code, str(port)], stdout=subprocess.PIPE, text=True, env=child_environment()
        )
        assert terminal.stdout is not None
        with terminal.stdout:
            assert terminal.stdout.readline() == "running\n"
        terminal.kill()
        terminal.wait()
        assert run_once(port).shape == (1, 1000)


def test_a_worker_that_starts_late_is_waited_for_and_one_that_never_does_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PeerLost, match=rf"worker 1 .*cannot be reached at 127.0.0.1:{port}.*start `prism worker`"):
        run_once(port, timeout_s=0.5)
    listening: list[socket.socket] = []
    late = threading.Timer(1.0, lambda: listening.append(socket.create_server(("127.0.0.1", port))))
    late.start()
    with pytest.raises(PeerLost, match="did not answer within 3 s while greeting it"):
        run_once(port, timeout_s=3)  # it was found, though nobody speaks there
    late.join()
    listening[0].close()


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    older = "import prism; prism.__version__ = '0.0.1'"
    with started_worker(tmp_path, before=older) as (_, port), pytest.raises(PeerRefused) as refusal:
        run_once(port)
    assert "worker 1 (127.0.0.1) runs prism 0.0.1 instead of" in str(refusal.value)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    from prism.nn.load import load_model

    torch.save(load_model("test_vit", seed=1).state_dict(), tmp_path / "other.pth")
    checkpoint = f"checkpoint=__import__('pathlib').Path({str(tmp_path / 'other.pth')!r})"
    with started_worker(tmp_path, arguments=checkpoint) as (_, port), pytest.raises(PeerRefused) as refusal:
        run_once(port)
    assert "worker 1 (127.0.0.1) has other weights for test_vit" in str(refusal.value)


def test_a_model_that_the_worker_cannot_build_is_told(tmp_path: Path) -> None:
    missing = "checkpoint=__import__('pathlib').Path('nowhere.pth')"
    with started_worker(tmp_path, arguments=missing) as (_, port), pytest.raises(PeerLost) as failure:
        run_once(port)
    assert "worker 1 (127.0.0.1) failed while loading the model: checkpoint nowhere.pth does not exist" in str(
        failure.value
    )


def test_an_address_in_use_and_one_that_is_not_ours_are_bad_input(tmp_path: Path) -> None:
    with started_worker(tmp_path) as (_, port):
        taken = run_prism("worker", "--address", "127.0.0.1", "--port", str(port), "--meter", "none", cwd=tmp_path)
    assert f"cannot listen on 127.0.0.1:{port}" in taken.refusal
    assert "choose another --port" in taken.refusal
    elsewhere = run_prism("worker", "--address", "192.0.2.1", "--port", "0", cwd=tmp_path)
    assert "no interface of this machine has that address" in elsewhere.refusal
    nowhere = run_prism("worker", "--interface", "wlan7", cwd=tmp_path)
    assert "unknown network interface 'wlan7'" in nowhere.refusal


def test_an_address_of_the_terminal_device_that_is_not_its_own(tmp_path: Path) -> None:
    with started_worker(tmp_path) as (_, port):
        settings = Settings("test_vit", (Peer("127.0.0.1", port),), address="192.0.2.1", interface="lo")
        with pytest.raises(InputError, match=r"cannot be met at 192\.0\.2\.1.*--address"), Terminal(settings):
            pass
        assert run_once(port).shape == (1, 1000)


def test_ctrl_c_ends_a_worker(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PRISM, "worker", "--address", "127.0.0.1", "--port", "0", "--meter", "none", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
        cwd=tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert said == "interrupted: no file was left half-written\n"


def test_every_board_reports_its_energy(tmp_path: Path) -> None:
    with (
        started_worker(tmp_path, before=steady_meter_code(7.0), arguments="meter='steady'") as (_, port),
        PowerSampler(SteadyMeter(5.0)) as sampler,
        Terminal(Settings("test_vit", (Peer("127.0.0.1", port),), interface="lo", timeout_s=30)) as terminal,
    ):
        for plan in (Plan("full_tensor", 2), Plan("local")):
            prepared = terminal.prepare(plan, 1)
            energy = prepared.warm_up(3, sampler)
            assert energy is not None
            record = prepared.run(energy=energy).record
            assert record.energy == energy
            assert len(energy.boards_j) == 2  # the worker idles in a local pass, and that costs energy too
            assert energy.boards_j[1] / energy.boards_j[0] == pytest.approx(7 / 5, rel=0.2)
            assert energy.scope == "each board: a steady load"


def test_without_a_meter_there_is_no_energy(tmp_path: Path) -> None:
    with (
        started_worker(tmp_path) as (_, port),
        PowerSampler(NoMeter()) as sampler,
        Terminal(Settings("test_vit", (Peer("127.0.0.1", port),), interface="lo", timeout_s=30)) as terminal,
    ):
        assert terminal.prepare(Plan("full_tensor", 2), 1).warm_up(3, sampler) is None


def test_without_namespaces_the_ranks_pace_their_own_sockets() -> None:
    mbps = 20.0
    with on_testbed(Settings("test_vit", timeout_s=30), 2, 800, "--meter", "none", loopback=True) as boards:
        terminal = boards.terminal
        assert terminal.set_bandwidth(mbps)["method"].startswith("paced sockets")
        with tcp_sockets() as connections:
            peers = {connection.getpeername()[0] for connection in connections}
            rates = [pacing_rate(connection) for connection in connections]
        assert "127.0.0.2" in peers  # the control channel, beside GLOO's own connections
        assert len(rates) >= 2
        assert all(rate is not None and rate <= mbps * 1e6 / 8 for rate in rates)
        assert int(terminal.workers[0].throttle("paced", mbps)["sockets"]) >= 2
        prepared = terminal.prepare(Plan("full_tensor", 2), 8)
        prepared.run()
        record = prepared.run().record
    # Of each of 6 messages of 102 KB up to 64 KB may pass unpaced; the rest takes its time.
    assert record.terminal.communication_s > 6 * (102e3 - 64e3) * 8 / (mbps * 1e6)
