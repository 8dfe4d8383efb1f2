"""How NVML's calls are mapped, on an object with the module's functions. No real GPU stands behind this."""

from __future__ import annotations

from typing import Any

import pytest

from hw.power.meter import MeterError, MeterUnavailable
from hw.power.nvml import NvmlMeter, load_pynvml
from tests.hardware_fakes.meter import HandClock


class FakeNvml:
    """The functions of pynvml that are used, for one GPU."""

    class NVMLError(Exception):
        pass

    class NVMLError_NotSupported(NVMLError):  # noqa: N801  the name of the real one
        pass

    def __init__(self, counter: bool = True, power: bool = True) -> None:
        self.counter, self.power = counter, power
        self.energy_mj, self.power_mw = 1_000_000, 70_000
        self.open = 0
        self.lost = False

    def nvmlInit(self) -> None:  # noqa: N802
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index != 0:
            raise self.NVMLError("Invalid Argument")
        return 7

    def nvmlDeviceGetName(self, _: int) -> bytes:  # noqa: N802
        return b"NVIDIA Test"

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.1"

    def _give(self, supported: bool, value: int) -> int:
        if self.lost:
            raise self.NVMLError("GPU is lost")
        if not supported:
            raise self.NVMLError_NotSupported("Not Supported")
        return value

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        assert handle == 7
        return self._give(self.counter, self.energy_mj)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        assert handle == 7
        return self._give(self.power, self.power_mw)


def test_the_counter_is_preferred() -> None:
    nvml = FakeNvml()
    with NvmlMeter(clock=HandClock(), load=lambda: nvml) as meter:
        nvml.energy_mj += 2_500
        reading = meter.read()
        assert (reading.energy_j, reading.power_w, reading.time_s) == (2.5, None, 100.0)
        assert meter.describe()["power_quantity"] == "energy counter"
        assert meter.describe()["power_gpu"] == "0: NVIDIA Test"
        assert "alone" in meter.scope
    assert nvml.open == 0


def test_without_a_counter_power_is_read() -> None:
    meter = NvmlMeter(load=lambda: FakeNvml(counter=False))
    assert meter.read().power_w == 70.0
    assert meter.describe()["power_quantity"] == "power"


def test_a_gpu_that_tells_nothing_is_refused_and_let_go() -> None:
    nvml = FakeNvml(counter=False, power=False)
    with pytest.raises(MeterUnavailable, match="neither energy nor power"):
        NvmlMeter(load=lambda: nvml)
    with pytest.raises(MeterUnavailable, match="GPU 3"):
        NvmlMeter(device=3, load=lambda: nvml)
    assert nvml.open == 0


@pytest.mark.parametrize("counter", [True, False])
def test_a_lost_gpu_is_an_error_of_that_reading(counter: bool) -> None:
    nvml = FakeNvml(counter=counter)
    meter = NvmlMeter(load=lambda: nvml)
    nvml.lost = True
    with pytest.raises(MeterError, match="GPU is lost"):
        meter.read()


def test_no_driver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()

    def fail() -> None:
        raise nvml.NVMLError("NVML Shared Library Not Found")

    monkeypatch.setattr(nvml, "nvmlInit", fail)
    with pytest.raises(MeterUnavailable, match="driver"):
        NvmlMeter(load=lambda: nvml)


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> Any:
        raise ImportError

    monkeypatch.setattr("hw.power.nvml.importlib.import_module", absent)
    with pytest.raises(MeterUnavailable, match="pip install nvidia-ml-py"):
        load_pynvml()


@pytest.mark.jetson
def test_the_real_package_has_what_is_used() -> None:
    """Same names in nvidia-ml-py, which jetson-stats brings along."""
    pynvml = pytest.importorskip("pynvml")
    for name in vars(FakeNvml):
        assert not name.lower().startswith("nvml") or hasattr(pynvml, name), name
