"""Machine, operating system and Python."""

from __future__ import annotations

import platform

from hw.host import Host
from hw.preflight.check import Check
from hw.preflight.jetson import is_jetson, l4t_release, model

OLDEST_PYTHON = (3, 10)
_JETPACK_6 = 36


def machine(host: Host) -> list[Check]:
    """Which machine this is; a Jetson with JetPack 5 has a torch for Python 3.8 alone."""
    system = f"Linux {platform.release()} on {platform.machine()}"
    if not is_jetson(host):
        return [Check("machine", "ok", f"no Jetson; {system}")]
    release = l4t_release(host)
    found = f"{model(host) or 'a Jetson'}, L4T {release[1] if release else 'unknown'}, {system}"
    if release is not None and release[0] < _JETPACK_6:
        return [
            Check(
                "machine",
                "failed",
                f"{found}: JetPack 5 or older, whose Python is 3.8 and whose torch is for that Python",
                "flash JetPack 6 (Python 3.10) or newer",
            )
        ]
    return [Check("machine", "ok", found)]


def python(version: tuple[int, int, int], executable: str) -> list[Check]:
    """Whether this Python is new enough."""
    found = f"{'.'.join(map(str, version))}, {executable}"
    if version[:2] >= OLDEST_PYTHON:
        return [Check("python", "ok", found)]
    return [
        Check(
            "python",
            "failed",
            f"{found}; Prism needs 3.10 (JetPack 5 has 3.8)",
            "on a Jetson flash JetPack 6; elsewhere install Python 3.10 or newer",
        )
    ]
