"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("simpy", "numpy", "scipy", "pandas", "matplotlib", "pydantic", "click")


def machine_facts() -> list[tuple[str, str]]:
    """Processor, cores, load, Python and the versions of what the figures depend on."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        ("processor", processor()),
        ("cores", f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} for this process"),
        ("load", f"{load} (over 1, 5, 15 minutes)"),
        ("system", platform.platform()),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
    ]


def processor() -> str:
    """The processor's own name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
