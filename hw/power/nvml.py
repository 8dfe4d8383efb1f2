"""A discrete NVIDIA GPU's own meter, through nvidia-ml-py. Jetsons have no such meter."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from hw.power.meter import Clock, MeterError, MeterUnavailable, PowerMeter, Reading

_MILLI = 1e-3


def load_pynvml() -> Any:
    """The module that package nvidia-ml-py installs.

    Raises:
        MeterUnavailable: it is not installed.
    """
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        raise MeterUnavailable("nvidia-ml-py is not installed; pip install nvidia-ml-py") from None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class NvmlMeter(PowerMeter):
    """One GPU: its energy counter where it has one (Volta and later), else its present power."""

    name = "nvml"

    def __init__(
        self,
        device: int = 0,
        interval_s: float = 0.05,
        clock: Clock = time.monotonic,
        load: Callable[[], Any] = load_pynvml,
    ) -> None:
        """Open GPU number `device` in NVML's order, which CUDA_VISIBLE_DEVICES does not change.

        Raises:
            MeterUnavailable: no package, no driver, no such GPU, or a GPU that tells neither energy nor power.
        """
        self.interval_s = interval_s
        self._clock = clock
        self._device = device
        self._nvml = load()
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            raise MeterUnavailable(f"NVML does not start ({error}); is NVIDIA's driver loaded?") from None
        try:
            self._handle = self._nvml.nvmlDeviceGetHandleByIndex(device)
            self._board = _text(self._nvml.nvmlDeviceGetName(self._handle))
            self._driver = _text(self._nvml.nvmlSystemGetDriverVersion())
            self._first_mj = self._counter_mj()
            if self._first_mj is None:
                self._nvml.nvmlDeviceGetPowerUsage(self._handle)
        except self._nvml.NVMLError as error:
            self.close()
            raise MeterUnavailable(f"GPU {device} tells NVML neither energy nor power ({error})") from None
        self.scope = f"GPU {device} alone, {self._board} (NVML); without processor, memory modules and network card"

    def _counter_mj(self) -> int | None:
        try:
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._nvml.NVMLError_NotSupported:
            return None

    def read(self) -> Reading:
        begun_s = self._clock()
        try:
            if self._first_mj is None:
                power_w = self._nvml.nvmlDeviceGetPowerUsage(self._handle) * _MILLI
                return Reading((begun_s + self._clock()) / 2, power_w=power_w)
            now_mj = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        except self._nvml.NVMLError as error:
            raise MeterError(f"NVML: {error}") from None
        return Reading((begun_s + self._clock()) / 2, energy_j=(now_mj - self._first_mj) * _MILLI)

    def describe(self) -> dict[str, str]:
        return {
            "power_meter": self.name,
            "power_gpu": f"{self._device}: {self._board}",
            "power_quantity": "power" if self._first_mj is None else "energy counter",
            "nvidia_driver": self._driver,
            "power_interval_s": f"{self.interval_s:g}",
        }

    def close(self) -> None:
        self._nvml.nvmlShutdown()
