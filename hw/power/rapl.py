"""RAPL energy counters of x86 processors through /sys/class/powercap. The kernel lets only root read them."""

from __future__ import annotations

import re
import time
from pathlib import Path

from hw.power.meter import Clock, MeterError, MeterUnavailable, PowerMeter, Reading

SYSFS_ROOT = Path("/sys/class/powercap")
#: Top-level zones alone: intel-rapl:0:0 is a part of intel-rapl:0, and intel-rapl-mmio:0 is the same package again.
_ZONE = re.compile(r"intel-rapl:\d+")
_MICROJOULE = 1e-6


class Domain:
    """One package's counter, made monotonic. It wraps about once a minute at full load; it must be read oftener."""

    def __init__(self, path: Path) -> None:
        self.name = (path / "name").read_text().strip()
        self._counter = path / "energy_uj"
        self._range_uj = int((path / "max_energy_range_uj").read_text())
        self._last_uj = self._now_uj()
        self._total_uj = 0

    def _now_uj(self) -> int:
        return int(self._counter.read_text())

    def energy_j(self) -> float:
        """Joules since the domain was opened."""
        now_uj = self._now_uj()
        step_uj = now_uj - self._last_uj
        if step_uj < 0:
            step_uj += self._range_uj
        self._last_uj = now_uj
        self._total_uj += step_uj
        return self._total_uj * _MICROJOULE


class RaplMeter(PowerMeter):
    """Energy of all processor packages of the machine."""

    name = "rapl"

    def __init__(self, root: Path = SYSFS_ROOT, interval_s: float = 0.05, clock: Clock = time.monotonic) -> None:
        """Open the counter of each package under `root`.

        Raises:
            MeterUnavailable: no such counter, or no permission to read it.
        """
        self.interval_s = interval_s
        self._clock = clock
        zones = sorted(path for path in root.glob("intel-rapl:*") if _ZONE.fullmatch(path.name))
        if not zones:
            raise MeterUnavailable(f"{root} has no intel-rapl zone: no RAPL on this machine, or hidden in a container")
        try:
            packages = [zone for zone in zones if (zone / "name").read_text().startswith("package-")]
            self._domains = [Domain(zone) for zone in packages]
        except PermissionError as error:
            raise MeterUnavailable(
                f"{error.filename}: only root may read RAPL; run as root or allow it (chmod)"
            ) from None
        except (OSError, ValueError) as error:
            raise MeterUnavailable(f"{root}: RAPL cannot be read ({error})") from None
        if not self._domains:
            raise MeterUnavailable(f"{root} has no package domain; psys alone is not used")
        names = ", ".join(domain.name for domain in self._domains)
        self.scope = f"processor {names} (RAPL); without memory modules, GPU board, network card and power supply"

    def read(self) -> Reading:
        begun_s = self._clock()
        try:
            energy_j = sum(domain.energy_j() for domain in self._domains)
        except (OSError, ValueError) as error:
            raise MeterError(f"RAPL: {error}") from None
        return Reading((begun_s + self._clock()) / 2, energy_j=energy_j)

    def describe(self) -> dict[str, str]:
        return {
            "power_meter": self.name,
            "power_domains": ", ".join(domain.name for domain in self._domains),
            "power_interval_s": f"{self.interval_s:g}",
        }
