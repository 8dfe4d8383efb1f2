"""The state that a machine measures in: what it is, its clocks, power mode and temperatures. Kept with every run."""

from __future__ import annotations

import platform
from pathlib import Path

ROOT = Path("/")
_BOARD = "proc/device-tree/model"
_GOVERNORS = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
_FREQUENCIES = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"
_TEMPERATURES = "sys/class/thermal/thermal_zone*/temp"
_GPU_FREQUENCY = "sys/class/devfreq/*gpu*/cur_freq"


def machine(root: Path = ROOT) -> dict[str, str]:
    """What the machine is: host, board or processor, kernel."""
    return {
        "host": platform.node(),
        "machine": _read(root / _BOARD) or _processor(root) or platform.machine(),
        "kernel": platform.release(),
    }


def state(root: Path = ROOT) -> dict[str, str]:
    """What its clocks and temperatures are now; what the machine does not tell is left out."""
    governors = sorted({_read(path) for path in root.glob(_GOVERNORS)} - {""})
    clocks_mhz = [int(text) // 1000 for path in root.glob(_FREQUENCIES) if (text := _read(path)).isdigit()]
    gpu_mhz = [int(text) // 1_000_000 for path in root.glob(_GPU_FREQUENCY) if (text := _read(path)).isdigit()]
    # A zone that is offline reads -256 degrees.
    zones = [int(text) / 1000 for path in root.glob(_TEMPERATURES) if (text := _read(path)).lstrip("-").isdigit()]
    celsius = [value for value in zones if value > -200]
    facts = {
        "governor": " ".join(governors),
        "cpu_mhz": f"{min(clocks_mhz)} to {max(clocks_mhz)}" if clocks_mhz else "",
        "gpu_mhz": " ".join(map(str, gpu_mhz)),
        "hottest_celsius": f"{max(celsius):.1f}" if celsius else "",
        "load_1min": _read(root / "proc/loadavg").partition(" ")[0],
    }
    return {name: value for name, value in facts.items() if value}


def _processor(root: Path) -> str:
    for line in _read(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().rstrip("\0")
    except OSError:
        return ""
