"""INA3221 supply monitors of a Jetson, read through sysfs: no service, no package, usually no root."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from hw.power.meter import Clock, MeterError, MeterUnavailable, PowerMeter, Reading
from hw.power.rails import rail_scope, total_power_w

SYSFS_ROOT = Path("/sys/bus/i2c/drivers/ina3221")
RELEASE_FILE = Path("/etc/nv_tegra_release")
_LABEL = re.compile(r"in([1-3])_label")


@dataclass(frozen=True)
class Channel:
    """One measured rail and its files in sysfs: millivolts and milliamperes."""

    rail: str
    millivolts: Path
    milliamperes: Path

    def power_w(self) -> float:
        return int(self.millivolts.read_text()) * int(self.milliamperes.read_text()) * 1e-6


def find_channels(root: Path) -> list[Channel]:
    """Connected channels of all monitors under `root`; input 7, the sum of the shunts, is no rail."""
    channels: list[Channel] = []
    for label in sorted(root.glob("*/hwmon/hwmon*/in*_label")):
        match = _LABEL.fullmatch(label.name)
        if match is None:
            continue
        rail, number = label.read_text().strip(), match[1]
        if rail.split() and rail != "NC":
            here = label.parent
            channels.append(Channel(rail, here / f"in{number}_input", here / f"curr{number}_input"))
    return channels


class Ina3221Meter(PowerMeter):
    """Power of the board's input rail, or of all its rails where it has none."""

    name = "ina3221"

    def __init__(
        self,
        root: Path = SYSFS_ROOT,
        interval_s: float = 0.05,
        clock: Clock = time.monotonic,
        release_file: Path = RELEASE_FILE,
    ) -> None:
        """Find the rails under `root` and read each once.

        Raises:
            MeterUnavailable: no such monitor, or it cannot be read.
        """
        self.interval_s = interval_s
        self._clock = clock
        self._root = root
        self._release_file = release_file
        if not root.is_dir():
            raise MeterUnavailable(f"{root} does not exist: no INA3221 supply monitor on this machine")
        try:
            self._channels = find_channels(root)
            rails_w = {channel.rail: channel.power_w() for channel in self._channels}
        except PermissionError as error:
            raise MeterUnavailable(f"{error.filename}: no permission to read the INA3221; run as root") from None
        except (OSError, ValueError) as error:
            raise MeterUnavailable(f"{root}: the INA3221 cannot be read ({error})") from None
        if not rails_w:
            raise MeterUnavailable(f"{root} names no rail (in1_label to in3_label): kernels before JetPack 5 differ")
        if len(rails_w) < len(self._channels):
            raise MeterUnavailable(f"{root}: two channels have the same label; their rails cannot be told apart")
        self.scope = rail_scope(rails_w)

    def read(self) -> Reading:
        begun_s = self._clock()
        try:
            rails_w = {channel.rail: channel.power_w() for channel in self._channels}
        except (OSError, ValueError) as error:
            raise MeterError(f"INA3221: {error}") from None
        return Reading((begun_s + self._clock()) / 2, power_w=total_power_w(rails_w), rails_w=rails_w)

    def describe(self) -> dict[str, str]:
        facts = {
            "power_meter": self.name,
            "power_meter_path": str(self._root),
            "power_rails": ", ".join(channel.rail for channel in self._channels),
            "power_interval_s": f"{self.interval_s:g}",
        }
        if self._release_file.is_file():
            facts["l4t"] = self._release_file.read_text().partition("\n")[0].lstrip("# ").strip()
        return facts
