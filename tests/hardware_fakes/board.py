"""A Jetson Orin Nano's power sensors, and a processor's RAPL zones, as trees of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Millivolts and milliamperes by rail, about those of an Orin Nano at work.
ORIN_NANO = {"VDD_IN": (5000, 1400), "VDD_CPU_GPU_CV": (5000, 500), "VDD_SOC": (5000, 300)}


def put(path: Path, value: object) -> None:
    """Replace a file in one step, so that nobody reads it half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(f"{value}\n")
    part.rename(path)


@dataclass(frozen=True)
class FakeMonitor:
    """An INA3221 at address 0x40, as JetPack 5 and 6 show it."""

    device: Path

    @property
    def hwmon(self) -> Path:
        return self.device / "hwmon" / "hwmon1"

    def install(self, rails: Mapping[str, tuple[int, int]]) -> None:
        put(self.device / "name", "ina3221")
        for number, (rail, (millivolts, milliamperes)) in enumerate(rails.items(), start=1):
            put(self.hwmon / f"in{number}_label", rail)
            put(self.hwmon / f"in{number}_input", millivolts)
            put(self.hwmon / f"curr{number}_input", milliamperes)
        put(self.hwmon / "in7_label", "sum of shunt voltages")
        put(self.hwmon / "in7_input", 12)

    def draw(self, number: int, milliamperes: int) -> None:
        """Let channel `number` draw so much from now on."""
        put(self.hwmon / f"curr{number}_input", milliamperes)


def install_zone(root: Path, zone: str, name: str, energy_uj: int, range_uj: int = 262_143_328_850) -> Path:
    """One RAPL zone; returns its counter."""
    put(root / zone / "name", name)
    put(root / zone / "max_energy_range_uj", range_uj)
    put(root / zone / "energy_uj", energy_uj)
    return root / zone / "energy_uj"
