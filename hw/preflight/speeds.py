"""How fast the machine is set to run, and how warm it is."""

from __future__ import annotations

import re
from collections import Counter

from hw.conditions import power_mode as mode_of
from hw.host import Host
from hw.preflight.check import Check

_JETSON_CLOCKS = "sudo jetson_clocks holds all clocks at the power mode's highest"
#: A board this close to where its kernel slows it down will reach it in a run.
_MARGIN_C = 10.0
#: A sensor that is off reads -256 degrees.
_OFF_C = -200.0


def cpu_clock(host: Host, *, jetson: bool) -> list[Check]:
    """Governor and frequencies, and whether processors are switched off, as small power modes do."""
    name = "cpu clock"
    folders = host.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq")
    online = host.read("/sys/devices/system/cpu/online")
    present = host.read("/sys/devices/system/cpu/present")
    off = f"; online are {online} of {present}" if online and present and online != present else ""
    described = Counter(filter(None, (_frequency(host, folder) for folder in folders)))
    if not described:
        return [Check(name, "skipped", f"not known: no cpufreq under /sys/devices/system/cpu{off}")]
    found = "; ".join(f"{count} CPU{'' if count == 1 else 's'}: {text}" for text, count in described.items()) + off
    steady = all(host.read(f"{folder}/scaling_governor") == "performance" for folder in folders)
    if not jetson or (steady and not off):
        return [Check(name, "ok", found)]
    remedy = _JETSON_CLOCKS + ("; a larger power mode brings the other CPUs back: nvpmodel -q --verbose" if off else "")
    return [Check(name, "warning", f"{found}; a clock that moves spreads the figures", remedy)]


def _frequency(host: Host, folder: str) -> str | None:
    governor = host.read(f"{folder}/scaling_governor")
    highest = host.read_number(f"{folder}/scaling_max_freq")
    if governor is None and highest is None:
        return None
    lowest, possible = (host.read_number(f"{folder}/{name}") for name in ("scaling_min_freq", "cpuinfo_max_freq"))
    return f"{governor or 'no governor'}, {_mhz(lowest, 1e3)} to {_mhz(highest, 1e3)} of {_mhz(possible, 1e3)} MHz"


def _mhz(value: int | None, per_mhz: float) -> str:
    return "?" if value is None else f"{value / per_mhz:.0f}"


def gpu_clock(host: Host, *, jetson: bool) -> list[Check]:
    """The integrated GPU's clock, where devfreq has one."""
    name = "gpu clock"
    for folder in host.glob("/sys/class/devfreq/*"):
        if not re.search(r"gpu|\.(ga10b|gv11b|gp10b)$", folder.rpartition("/")[2]):
            continue
        now, low, high = (host.read_number(f"{folder}/{file}_freq") for file in ("cur", "min", "max"))
        found = f"{_mhz(now, 1e6)} MHz now, {_mhz(low, 1e6)} to {_mhz(high, 1e6)} MHz"
        if low == high or not jetson:
            return [Check(name, "ok", found)]
        return [Check(name, "warning", f"{found}; a clock that moves spreads the figures", _JETSON_CLOCKS)]
    return [Check(name, "skipped", "not known: no GPU under /sys/class/devfreq")]


def power_mode(host: Host, *, jetson: bool) -> list[Check]:
    """The Jetson's power mode by name; it belongs with every figure."""
    name = "power mode"
    if not jetson:
        return [Check(name, "skipped", "no Jetson")]
    mode = mode_of(host)
    if mode is None:
        why = host.ask("nvpmodel", "-q").problem or "nvpmodel -q named none"
        return [Check(name, "warning", f"not known: {why}", "sudo nvpmodel -q")]
    return [Check(name, "ok", f"{mode}; it has to be the same on every board")]


def temperature(host: Host) -> list[Check]:
    """Temperatures, beside the lowest at which the kernel slows the machine down."""
    name = "temperature"
    told, hot = [], []
    for zone in host.glob("/sys/class/thermal/thermal_zone*"):
        now = host.read_number(f"{zone}/temp")
        if now is None or now / 1e3 < _OFF_C:
            continue
        sensor, now_c = host.read(f"{zone}/type") or zone.rpartition("/")[2], now / 1e3
        told.append(f"{sensor} {now_c:.0f}")
        slows_c = _slows_at(host, zone)
        if slows_c is not None and now_c > slows_c - _MARGIN_C:
            hot.append(f"{sensor} is slowed down from {slows_c:.0f} degrees C on")
    if not told:
        return [Check(name, "skipped", "not known: no sensor under /sys/class/thermal can be read")]
    found = f"{', '.join(told)} degrees C"
    if hot:
        return [Check(name, "warning", f"{found}; {'; '.join(hot)}", "let it cool down, and see to its fan")]
    return [Check(name, "ok", found)]


def _slows_at(host: Host, zone: str) -> float | None:
    passive = [
        host.read_number(f"{path.removesuffix('_type')}_temp")
        for path in host.glob(f"{zone}/trip_point_*_type")
        if host.read(path) == "passive"
    ]
    # A trip point that is not in use is 0 or less.
    used = [value / 1e3 for value in passive if value is not None and value > 0]
    return min(used, default=None)
