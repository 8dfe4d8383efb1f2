"""Unit conversions, each defined once. A megabit is 1e6 bits and a megabyte 1e6 bytes, never powers of two."""

from __future__ import annotations

import re

from prism.errors import InputError

BITS_PER_MEGABIT = 1e6
BYTES_PER_MB = 1e6
FLOPS_PER_GFLOP = 1e9

_BANDWIDTH_UNITS_MBPS = {"": 1.0, "kbps": 1e-3, "mbps": 1.0, "gbps": 1e3, "kbit/s": 1e-3, "mbit/s": 1.0, "gbit/s": 1e3}


def air_seconds(nbytes: float, rate_mbps: float) -> float:
    """Seconds that `nbytes` bytes take at `rate_mbps` (1e6 bit/s)."""
    return nbytes * 8 / (rate_mbps * BITS_PER_MEGABIT)


def parse_bandwidth_mbps(text: str | float) -> float:
    """Read ``400``, ``"400 Mbps"`` or ``"0.4Gbps"`` as a number of Mbps.

    Raises:
        InputError: not a number, an unknown unit, or not positive.
    """
    match = re.fullmatch(r"\s*([-+]?[0-9.]+(?:e[-+]?\d+)?)\s*([a-z/]*)\s*", str(text), re.IGNORECASE)
    if match is None:
        raise InputError(f"bandwidth {text!r} is not a number with a unit; write for example 400 or '400 Mbps'")
    number, unit = match.groups()
    if unit.lower() not in _BANDWIDTH_UNITS_MBPS:
        raise InputError(f"bandwidth {text!r}: unknown unit {unit!r}; use kbps, Mbps or Gbps (1 Mbps = 1e6 bit/s)")
    try:
        value = float(number) * _BANDWIDTH_UNITS_MBPS[unit.lower()]
    except ValueError:
        raise InputError(f"bandwidth {text!r} is not a number; write for example 400 or '400 Mbps'") from None
    check_range("bandwidth_mbps", value, *BANDWIDTH_MBPS)
    return value


BANDWIDTH_MBPS = (0.01, 100_000.0)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise `InputError` unless ``low <= value <= high``; NaN is refused too. The bounds catch absurd input only."""
    if not low <= value <= high:
        raise InputError(f"{name} = {value!r} is out of range; it must lie between {low:g} and {high:g}")
