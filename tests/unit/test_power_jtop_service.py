"""The jtop adapter through jetson-stats' real client and its real service, on a fake board."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hw.power.choose import open_meter
from hw.power.jtop import JtopMeter, make_client
from hw.power.meter import MeterError, MeterUnavailable
from hw.power.sampler import PowerSampler
from tests.hardware_fakes.jtop_service import FakeBoard, why_not

pytestmark = [
    pytest.mark.jetson,
    pytest.mark.slow,
    # jetson-stats' client asks for the distribution in an outdated way and leaves files to the garbage collector.
    pytest.mark.filterwarnings("ignore:distro.linux_distribution:DeprecationWarning", "ignore::ResourceWarning"),
]
START_S = 20.0
NOBODY = 65534


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    method = multiprocessing.get_start_method(allow_none=True)
    pytest.importorskip("jtop", reason="needs jetson-stats")
    multiprocessing.set_start_method(method, force=True)
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def _litter() -> Iterator[None]:
    """What jetson-stats left open is collected here, where it is allowed, and not in some later test."""
    yield
    gc.collect()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBoard]:
    """A board whose socket this process's client looks for; its service is not running yet."""
    with FakeBoard(tmp_path) as board:
        board.build()
        monkeypatch.setattr("jtop.service.JTOP_PIPE", str(board.socket))
        yield board


def start(board: FakeBoard) -> None:
    board.start()
    deadline_s = time.monotonic() + START_S
    while "service ready" not in board.log:
        assert time.monotonic() < deadline_s, board.log
        time.sleep(0.02)


def read_until(meter: JtopMeter, done: Callable[[float], bool]) -> float:
    power_w = None
    for _ in range(20):
        power_w = meter.read().power_w
        assert power_w is not None
        if done(power_w):
            return power_w
    raise AssertionError(f"the power stays at {power_w} W")


def test_power_follows_the_boards_sensors(board: FakeBoard) -> None:
    start(board)
    with JtopMeter() as meter:
        first = meter.read()
        assert first.power_w == pytest.approx(7.0)
        assert first.rails_w == pytest.approx({"VDD_CPU_GPU_CV": 2.5, "VDD_SOC": 1.5})
        board.monitor.draw(1, 2400)
        assert read_until(meter, lambda power_w: power_w != pytest.approx(7.0)) == pytest.approx(12.0)
        assert meter.scope.startswith("VDD_IN of the board")
        facts = meter.describe()
        assert facts["nvpmodel"] == "15W"
        assert facts["temperature_cpu_c"] == "48.2"
        assert facts["power_interval_s"] == "0.1"


def test_a_block_of_two_seconds_counts(board: FakeBoard) -> None:
    start(board)
    with open_meter("jtop") as choice, PowerSampler(choice.meter) as sampler:
        found = sampler.run_block(lambda: time.sleep(0.05))
        assert found.counts, found.note
        assert found.mean_w == pytest.approx(7.0)
        assert found.energy_j == pytest.approx(7.0 * found.duration_s)
        assert found.samples >= 20
        assert 0 < found.overhead_cpu < 0.5
        assert sampler.missed == 0


def test_a_step_of_power_is_integrated(board: FakeBoard) -> None:
    start(board)
    with JtopMeter() as meter, PowerSampler(meter) as sampler:
        block = sampler.begin()
        while time.monotonic() < block.start_s + 1.0:
            time.sleep(0.01)
        board.monitor.draw(1, 2400)
        stepped_s = time.monotonic() - block.start_s
        while not block.long_enough():
            time.sleep(0.01)
        found = block.end()
    assert found.energy_j is not None
    expected_j = 7.0 * stepped_s + 12.0 * (found.duration_s - stepped_s)
    one_sample_j = (12.0 - 7.0) * found.longest_gap_s
    assert found.energy_j == pytest.approx(expected_j, abs=one_sample_j)
    assert found.uncertainty_j is not None
    assert 0 < found.uncertainty_j < one_sample_j


def test_a_service_that_dies_is_named(board: FakeBoard) -> None:
    start(board)
    with JtopMeter() as meter:
        meter.read()
        board.kill()
        with pytest.raises(MeterError, match="gone away"):
            read_until(meter, lambda _: False)


def test_no_service_is_named(board: FakeBoard) -> None:
    assert not board.socket.exists()
    with pytest.raises(MeterUnavailable, match=r"not running; start it: sudo systemctl start jtop"):
        JtopMeter()


def test_a_socket_that_a_crash_left_behind_is_no_service(board: FakeBoard) -> None:
    start(board)
    board.kill()
    assert board.socket.exists()
    with pytest.raises(MeterUnavailable, match=r"not running|gone away"):
        JtopMeter()


def test_another_version_is_named_with_the_way_out(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's client takes itself for another release; the service is as it is."""
    start(board)
    make_client(0.1)
    monkeypatch.setattr(sys.modules["jtop.jtop"], "get_var", lambda _: "4.3.2")
    with pytest.raises(MeterUnavailable, match=r"service is version \d+\.\d.*jetson-stats is 4\.3\.2"):
        JtopMeter()


def test_a_user_outside_of_the_group_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process steps down to an ordinary user while it connects; only the socket's own mode is in the way."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, FakeBoard(Path(folder)) as board:
        board.build()
        board.root.chmod(0o755)
        monkeypatch.setattr("jtop.service.JTOP_PIPE", str(board.socket))
        start(board)
        client: Any = make_client(0.1)
        assert client.board
        try:
            os.seteuid(NOBODY)
            with pytest.raises(MeterUnavailable, match="usermod -aG jtop"):
                JtopMeter(client=lambda _: client)
        finally:
            os.seteuid(0)


def test_a_board_without_sensors_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeBoard(tmp_path) as board:
        board.build(sensors=False)
        monkeypatch.setattr("jtop.service.JTOP_PIPE", str(board.socket))
        start(board)
        with pytest.raises(MeterUnavailable, match="no power sensor"):
            JtopMeter()
