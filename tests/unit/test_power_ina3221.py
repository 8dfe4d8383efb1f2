"""The INA3221 reader on a tree of files like an Orin Nano's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw.power.ina3221 import Ina3221Meter
from hw.power.meter import MeterError, MeterUnavailable
from hw.power.rails import rail_scope, total_power_w
from tests.hardware_fakes.board import ORIN_NANO, FakeMonitor, put
from tests.hardware_fakes.meter import HandClock


@pytest.fixture
def monitor(tmp_path: Path) -> FakeMonitor:
    monitor = FakeMonitor(tmp_path / "1-0040")
    monitor.install(ORIN_NANO)
    return monitor


def test_the_input_rail_is_the_total(monitor: FakeMonitor, tmp_path: Path) -> None:
    meter = Ina3221Meter(tmp_path, clock=HandClock())
    reading = meter.read()
    assert reading.power_w == pytest.approx(7.0)
    assert reading.rails_w == pytest.approx({"VDD_IN": 7.0, "VDD_CPU_GPU_CV": 2.5, "VDD_SOC": 1.5})
    assert reading.time_s == 100.0
    assert "VDD_IN" in meter.scope
    assert "WiFi" in meter.scope
    monitor.draw(1, 2000)
    assert meter.read().power_w == pytest.approx(10.0)


def test_without_an_input_rail_the_rails_add_up_over_all_monitors(tmp_path: Path) -> None:
    FakeMonitor(tmp_path / "1-0040").install({"VDD_GPU_SOC": (12000, 500), "NC": (0, 0)})
    FakeMonitor(tmp_path / "1-0041").install({"VDDQ_VDD2_1V8AO": (5000, 200)})
    meter = Ina3221Meter(tmp_path)
    assert meter.read().power_w == pytest.approx(7.0)
    assert meter.scope.startswith("sum of the rails VDDQ_VDD2_1V8AO, VDD_GPU_SOC;")


def test_where_there_is_no_monitor_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(MeterUnavailable, match="no INA3221"):
        Ina3221Meter(tmp_path / "nowhere")
    with pytest.raises(MeterUnavailable, match="names no rail"):
        Ina3221Meter(tmp_path)


@pytest.mark.usefixtures("monitor")
def test_rails_of_the_same_name_are_refused(tmp_path: Path) -> None:
    FakeMonitor(tmp_path / "1-0041").install({"VDD_IN": (5000, 1)})
    with pytest.raises(MeterUnavailable, match="same label"):
        Ina3221Meter(tmp_path)


def test_a_channel_that_cannot_be_read_is_an_error_of_that_reading(monitor: FakeMonitor, tmp_path: Path) -> None:
    meter = Ina3221Meter(tmp_path)
    put(monitor.hwmon / "curr2_input", "garbage")
    with pytest.raises(MeterError, match="garbage"):
        meter.read()
    monitor.draw(2, 600)
    assert meter.read().rails_w["VDD_CPU_GPU_CV"] == pytest.approx(3.0)
    (monitor.hwmon / "in1_input").unlink()
    with pytest.raises(MeterError, match="in1_input"):
        meter.read()
    with pytest.raises(MeterUnavailable, match="cannot be read"):
        Ina3221Meter(tmp_path)


@pytest.mark.usefixtures("monitor")
def test_provenance_names_rails_and_release(tmp_path: Path) -> None:
    put(tmp_path / "release", "# R36 (release), REVISION: 4.3")
    facts = Ina3221Meter(tmp_path, release_file=tmp_path / "release").describe()
    assert facts["power_rails"] == "VDD_IN, VDD_CPU_GPU_CV, VDD_SOC"
    assert facts["l4t"] == "R36 (release), REVISION: 4.3"


def test_the_widest_input_rail_wins() -> None:
    assert total_power_w({"VDD_IN": 7.0, "VIN": 12.0, "VDD_SOC": 1.0}) == 12.0
    assert rail_scope(["VIN", "VDD_IN"]) == "VIN of the board"
