"""The state that a machine measures in: what it is, its clocks, power mode and temperatures. Kept with every run."""

from __future__ import annotations

import platform
import re

from hw.host import Host

_GOVERNORS = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
_FREQUENCIES = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"
_GPU_FREQUENCY = "/sys/class/devfreq/*gpu*/cur_freq"
_TEMPERATURES = "/sys/class/thermal/thermal_zone*/temp"
_MILLIDEGREES_OFF = -200_000  # a sensor that is off reads -256 degrees


def machine(host: Host | None = None) -> dict[str, str]:
    """What the machine is: host, board or processor, kernel, and a Jetson's power mode."""
    host = host or Host()
    facts = {
        "host": platform.node(),
        "machine": host.read("/proc/device-tree/model") or _processor(host) or platform.machine(),
        "kernel": platform.release(),
        "power_mode": power_mode(host) or "",
    }
    return {name: value for name, value in facts.items() if value}


def state(host: Host | None = None) -> dict[str, str]:
    """What its clocks and temperatures are now; what the machine does not tell is left out."""
    host = host or Host()
    cpu_mhz = [value // 1000 for value in _numbers(host, _FREQUENCIES)]
    degrees = [value / 1000 for value in _numbers(host, _TEMPERATURES) if value > _MILLIDEGREES_OFF]
    facts = {
        "governor": " ".join(sorted({host.read(path) or "" for path in host.glob(_GOVERNORS)} - {""})),
        "cpu_mhz": f"{min(cpu_mhz)} to {max(cpu_mhz)}" if cpu_mhz else "",
        "gpu_mhz": " ".join(str(value // 1_000_000) for value in _numbers(host, _GPU_FREQUENCY)),
        "hottest_celsius": f"{max(degrees):.1f}" if degrees else "",
        "load_1min": (host.read("/proc/loadavg") or "").partition(" ")[0],
    }
    return {name: value for name, value in facts.items() if value}


def power_mode(host: Host) -> str | None:
    """Name of a Jetson's power mode; None where there is no nvpmodel to name it."""
    found = re.search(r"NV Power Mode: *(.+)", host.ask("nvpmodel", "-q").text)
    return found[1].strip() if found else None


def _processor(host: Host) -> str:
    found = re.search(r"^model name\s*: *(.+)", host.read("/proc/cpuinfo") or "", re.MULTILINE)
    return found[1].strip() if found else ""


def _numbers(host: Host, pattern: str) -> list[int]:
    return [value for path in host.glob(pattern) if (value := host.read_number(path)) is not None]
