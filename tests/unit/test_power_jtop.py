"""The jtop adapter on a client that does as it is told: errors, silence, repeated and strange statistics."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hw.power.jtop import JtopClient, JtopMeter, make_client, parse_power
from hw.power.jtop_errors import explain
from hw.power.meter import MeterError, MeterUnavailable
from tests.hardware_fakes.meter import HandClock

POWER: dict[str, Any] = {
    "rail": {
        "VDD_CPU_GPU_CV": {"volt": 5000, "curr": 500, "power": 2500, "avg": 1, "online": True},
        "VDD_SOC": {"volt": 5000, "curr": 300, "power": 1500, "avg": 1, "online": True},
    },
    "tot": {"name": "VDD_IN", "volt": 5000, "curr": 1400, "power": 7000, "avg": 1, "online": True},
}


class FakeClient:
    """Sends statistics when told to; the first set when it is started."""

    def __init__(self, power: Any = POWER, fails: Exception | None = None) -> None:
        self.power = power
        self.fails = fails
        self.died: Exception | None = None
        self.hangs = threading.Event()
        self.hangs.set()
        self.silent = False
        self.uptime = timedelta(seconds=50)
        self.interval = 0.1
        self.temperature: Mapping[str, Mapping[str, Any]] = {
            "cpu": {"temp": 48.25, "online": True},
            "cv0": {"temp": -256, "online": False},
        }
        self.nvpmodel: Any = SimpleNamespace(name="15W")
        self.jetson_clocks: Any = True
        self.observers: list[Callable[[JtopClient], None]] = []
        self.closed = 0
        self.joined = 0

    def attach(self, observer: Callable[[JtopClient], None]) -> None:
        self.observers.append(observer)

    def start(self) -> None:
        self.hangs.wait()
        if self.fails is not None:
            raise self.fails
        if not self.silent:
            self.send()

    def send(self, seconds: float = 0.0) -> None:
        self.uptime += timedelta(seconds=seconds)
        for observer in self.observers:
            observer(self)

    def ok(self, spin: bool = False) -> bool:
        assert spin
        if self.died is not None:
            raise self.died
        return True

    def close(self) -> None:
        self.closed += 1

    def join(self, timeout: float | None = None) -> None:
        assert timeout is not None
        self.joined += 1


def test_power_is_total_and_rails_in_watts() -> None:
    client, clock = FakeClient(), HandClock()
    with JtopMeter(clock=clock, client=lambda _: client) as meter:
        clock.advance(0.1)
        client.send(0.1)
        reading = meter.read()
    assert reading.power_w == pytest.approx(7.0)
    assert reading.rails_w == pytest.approx({"VDD_CPU_GPU_CV": 2.5, "VDD_SOC": 1.5})
    assert reading.time_s == pytest.approx(100.1)
    assert meter.scope.startswith("VDD_IN of the board")
    assert meter.scope.endswith("through jtop")
    assert (client.closed, client.joined) == (1, 1)


def test_repeated_statistics_are_no_new_reading() -> None:
    client = FakeClient()
    meter = JtopMeter(timeout_s=0.02, client=lambda _: client)
    client.send(0.0)
    with pytest.raises(MeterError, match=r"nothing new for 0\.02 s"):
        meter.read()
    assert meter.describe()["power_repeated_samples"] == "1"
    client.send(0.1)
    assert meter.read().power_w == pytest.approx(7.0)


def test_a_client_that_died_says_why() -> None:
    client = FakeClient()
    meter = JtopMeter(timeout_s=0.02, client=lambda _: client)
    client.died = ConnectionResetError(104, "Connection reset by peer")
    with pytest.raises(MeterError, match=r"has gone away.*restart jtop"):
        meter.read()


def test_a_service_that_sends_nothing_does_not_hang() -> None:
    client = FakeClient()
    client.silent = True
    with pytest.raises(MeterUnavailable, match="nothing new"):
        JtopMeter(timeout_s=0.02, client=lambda _: client)
    assert (client.closed, client.joined) == (1, 1)


def test_a_service_that_never_answers_does_not_hang() -> None:
    client = FakeClient()
    client.hangs.clear()
    with pytest.raises(MeterUnavailable, match=r"does not answer within 0\.02 s"):
        JtopMeter(timeout_s=0.02, client=lambda _: client)
    client.hangs.set()
    assert (client.closed, client.joined) == (1, 0)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("The jtop.service is not active. Please run:\nsudo jtop --install-service", "systemctl start jtop"),
        ("I can't access jtop.service.\nPlease logout or reboot this board.", "usermod -aG jtop"),
        (
            "Mismatch version jtop service: [4.2.9] and client: [7.2.2]. Please run:\n\nsudo jtop --install-service",
            "pip install 'jetson-stats==4.2.*'",
        ),
        ("Mismatch of Python versions between library and service", "use the Python that"),
        ("Authentication with jetson-stats server failed", "same version"),
        ("Error connection", "journalctl -u jtop"),
        ("Lost connection with jtop server", "restart jtop"),
        ("something\nelse", "jtop: something else"),
    ],
)
def test_each_error_becomes_one_line_with_a_remedy(text: str, remedy: str) -> None:
    client = FakeClient(fails=RuntimeError(text))
    with pytest.raises(MeterUnavailable) as caught:
        JtopMeter(client=lambda _: client)
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (client.closed, client.joined) == (1, 0)


def test_an_error_without_words_has_a_name() -> None:
    assert explain(RuntimeError()) == "jtop: RuntimeError"
    assert "gone away" in explain(EOFError())


@pytest.mark.parametrize("power", [{}, None, {"rail": {}, "tot": {"power": 0, "avg": 0}}], ids=["empty", "none", "0"])
def test_a_board_without_sensors_has_no_power_rather_than_none(power: Any) -> None:
    with pytest.raises(MeterUnavailable, match="no power sensor"):
        JtopMeter(client=lambda _: FakeClient(power))


def test_the_old_form_is_refused_with_the_way_out() -> None:
    with pytest.raises(MeterUnavailable, match=r"older than 4\.2.*upgrade"):
        parse_power(({"cur": 7000}, {}))


def test_rails_without_a_total_rail_are_a_sum_and_say_so() -> None:
    power = {"rail": POWER["rail"], "tot": {"power": 4000, "avg": 1}}
    power_w, _, scope = parse_power(power)
    assert power_w == pytest.approx(4.0)
    assert scope.startswith("sum of the rails VDD_CPU_GPU_CV, VDD_SOC")


def test_sensors_that_vanish_are_an_error_of_that_reading() -> None:
    client = FakeClient()
    meter = JtopMeter(client=lambda _: client)
    client.power = {}
    client.send(0.1)
    with pytest.raises(MeterError, match="no power sensor"):
        meter.read()


def test_provenance_holds_mode_clocks_and_temperatures() -> None:
    client = FakeClient()
    meter = JtopMeter(client=lambda _: client)
    facts = meter.describe()
    assert facts["nvpmodel"] == "15W"
    assert facts["jetson_clocks"] == "on"
    assert facts["temperature_cpu_c"] == "48.2"
    assert "temperature_cv0_c" not in facts
    assert meter.cpu_s() >= 0
    client.nvpmodel = client.jetson_clocks = None
    assert {"nvpmodel", "jetson_clocks"}.isdisjoint(meter.describe())


def test_importing_jetson_stats_leaves_the_start_method_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = multiprocessing.get_start_method(allow_none=True)

    def load(name: str) -> Any:
        assert name == "jtop"
        multiprocessing.set_start_method("fork", force=True)
        return SimpleNamespace(jtop=lambda interval: f"client at {interval}")

    monkeypatch.setattr("hw.power.jtop.importlib.import_module", load)
    client: Any = make_client(0.1)
    assert client == "client at 0.1"
    assert multiprocessing.get_start_method(allow_none=True) == before


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jtop", None)
    with pytest.raises(MeterUnavailable, match=r"pip install 'prism-edge\[jetson\]'"):
        make_client(0.1)
