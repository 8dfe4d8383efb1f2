"""RAPL on a tree of files like the kernel's: packages alone, across the counter's end."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw.power.meter import MeterError, MeterUnavailable
from hw.power.rapl import RaplMeter
from tests.hardware_fakes.board import install_zone, put


def test_packages_count_once(tmp_path: Path) -> None:
    first = install_zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    second = install_zone(tmp_path, "intel-rapl:1", "package-1", 5_000_000)
    others = [
        install_zone(tmp_path, "intel-rapl:0:0", "core", 0),
        install_zone(tmp_path, "intel-rapl:0:1", "dram", 0),
        install_zone(tmp_path, "intel-rapl:2", "psys", 0),
        install_zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    meter = RaplMeter(tmp_path)
    assert meter.read().energy_j == 0.0
    put(first, 3_000_000)
    put(second, 9_000_000)
    for other in others:
        put(other, 77_000_000)
    assert meter.read().energy_j == pytest.approx(6.0)
    assert meter.scope.startswith("processor package-0, package-1 (RAPL); without")
    assert meter.describe()["power_domains"] == "package-0, package-1"


def test_the_counter_wraps(tmp_path: Path) -> None:
    counter = install_zone(tmp_path, "intel-rapl:0", "package-0", 9_500_000, range_uj=10_000_000)
    meter = RaplMeter(tmp_path)
    total_j = []
    for now_uj in (9_900_000, 400_000, 8_000_000, 100_000, 100_000):
        put(counter, now_uj)
        total_j.append(meter.read().energy_j)
    assert total_j == pytest.approx([0.4, 0.9, 8.5, 10.6, 10.6])


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeterUnavailable, match="no intel-rapl zone"):
        RaplMeter(tmp_path)
    install_zone(tmp_path, "intel-rapl:0", "psys", 0)
    with pytest.raises(MeterUnavailable, match="no package domain"):
        RaplMeter(tmp_path)


def test_a_counter_for_root_alone_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's answer to anyone else; the tests may run as root, whom no file mode stops."""
    counter = install_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    read_text = Path.read_text

    def refuse(path: Path) -> str:
        if path == counter:
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(MeterUnavailable, match="only root may read RAPL"):
        RaplMeter(tmp_path)


def test_a_lost_counter_is_an_error_of_that_reading(tmp_path: Path) -> None:
    counter = install_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = RaplMeter(tmp_path)
    put(counter, "")
    with pytest.raises(MeterError):
        meter.read()
    counter.unlink()
    with pytest.raises(MeterError):
        meter.read()
    (tmp_path / "intel-rapl:0/max_energy_range_uj").unlink()
    with pytest.raises(MeterUnavailable, match="cannot be read"):
        RaplMeter(tmp_path)
