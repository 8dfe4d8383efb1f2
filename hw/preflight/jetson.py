"""Whether the machine is a Jetson, and which."""

from __future__ import annotations

import re

from hw.host import Host

_RELEASE = re.compile(r"R(?P<major>\d+) \(release\), REVISION: (?P<minor>[\d.]+)")


def is_jetson(host: Host) -> bool:
    """Whether this is a Jetson. A container shows the first two signs only if it is given them, the last as a rule."""
    return (
        host.path("/etc/nv_tegra_release").exists()
        or any(name in (model(host) or "") for name in ("Jetson", "Orin", "Xavier"))
        or host.read("/sys/devices/soc0/family") == "Tegra"
    )


def model(host: Host) -> str | None:
    """The board's name as its device tree has it."""
    return host.read("/proc/device-tree/model")


def l4t_release(host: Host) -> tuple[int, str] | None:
    """Major and full release of Jetson Linux, such as (36, "36.4.3"): 35 is JetPack 5, 36 is JetPack 6."""
    found = _RELEASE.search(host.read("/etc/nv_tegra_release") or "")
    return (int(found["major"]), f"{found['major']}.{found['minor']}") if found else None
