"""Bandwidths with units, airtime."""

from __future__ import annotations

import pytest

from prism.errors import InputError
from prism.units import air_seconds, parse_bandwidth_mbps


@pytest.mark.parametrize(
    ("text", "mbps"),
    [
        (400, 400.0),
        (0.5, 0.5),
        ("400", 400.0),
        ("400 Mbps", 400.0),
        ("400mbps", 400.0),
        (" 0.4 Gbps ", 400.0),
        ("500 kbps", 0.5),
        ("1e2 Mbit/s", 100.0),
        ("1 Gbit/s", 1000.0),
        ("20 kbit/s", 0.02),
    ],
)
def test_bandwidths(text: str | float, mbps: float) -> None:
    assert parse_bandwidth_mbps(text) == pytest.approx(mbps, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("400 parsec", "unknown unit 'parsec'; use kbps, Mbps or Gbps"),
        ("400 MB/s", "unknown unit"),  # megabytes are not megabits
        ("400 Mibps", "unknown unit"),
        ("fast", "not a number"),
        ("", "not a number"),
        ("1.2.3", "not a number"),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("400 Mbps please", "not a number"),
        ("-400", "out of range"),
        ("0", "out of range"),
        ("1e999", "out of range"),
        ("200 Gbps", "out of range"),
        (float("nan"), "not a number"),
    ],
)
def test_what_is_no_bandwidth_is_refused(text: str | float, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        parse_bandwidth_mbps(text)
    assert "\n" not in str(refusal.value)


def test_a_megabit_is_a_million_bits() -> None:
    assert air_seconds(1_000_000, 8.0) == 1.0
