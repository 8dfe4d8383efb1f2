"""Packages: whether they import, in which version, and from where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hw.preflight.check import Check, Status
from hw.preflight.child import RunChild

#: In the order of import: who comes later uses who came before.
PACKAGES = ("prism", "numpy", "torch", "torchvision", "timm", "jtop")
#: On a Jetson these are built for the board's CUDA and service, and come with the system.
SYSTEM_PACKAGES = ("numpy", "torch", "torchvision", "jtop")
#: Reported by users; not tried by this project. One folder for each JetPack and CUDA.
WHEEL_INDEX = "https://pypi.jetson-ai-lab.io"
#: From a cold SD card torch alone takes tens of seconds.
IMPORT_TIMEOUT_S = 120.0

SYSTEM_TORCH = (
    f"outside the virtual environment install the torch and torchvision that are built for this JetPack (users report "
    f"wheels at {WHEEL_INDEX}, for JetPack 6 under jp6/cu126), and make the environment with --system-site-packages"
)
#: Ubuntu 22.04's own numpy is older than Prism needs, and the torch for JetPack 6 is built for numpy 1.
SYSTEM_NUMPY = "sudo pip3 install 'numpy>=1.26,<2'"
_HW_EXTRA = "pip install 'prism-edge[hw]'"


@dataclass(frozen=True)
class Package:
    """What came of importing one package. Not one of `file`, `error` and `missing`: it was not tried."""

    name: str
    version: str | None = None
    file: str | None = None
    error: str = ""
    missing: bool = False
    torch: Mapping[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return not self.error and not self.missing


@dataclass(frozen=True)
class Place:
    """Which virtual environment is in use, if one is."""

    prefix: str
    base_prefix: str

    @property
    def in_use(self) -> bool:
        return self.prefix != self.base_prefix

    def holds(self, file: str | None) -> bool:
        """Whether a file lies in the virtual environment itself, links followed."""
        return bool(self.in_use and file and Path(file).resolve().is_relative_to(Path(self.prefix).resolve()))


def import_packages(run: RunChild, timeout_s: float = IMPORT_TIMEOUT_S) -> dict[str, Package]:
    """Import each package in a child; one that brings the child down is to blame, and the next child does the rest."""
    found: dict[str, Package] = {}
    waiting = list(PACKAGES)
    while waiting:
        ended = run("hw.preflight.importing", waiting, timeout_s)
        for facts in ended.told:
            name = facts.pop("package")
            found[name] = Package(name, **facts)
        waiting = [name for name in waiting if name not in found]
        if waiting:
            blamed = waiting.pop(0)
            found[blamed] = Package(blamed, error=f"importing it {ended.reason or 'ended the process'}")
    return found


def packages(found: Mapping[str, Package], place: Place, requirements: Iterable[str], *, jetson: bool) -> list[Check]:
    """One check for each package.

    Args:
        found: what came of importing each.
        place: the virtual environment in use.
        requirements: Prism's own, as its metadata lists them.
        jetson: whether the machine is one.
    """
    oldest = dict(re.findall(r"^([\w.-]+)[^;]*?>=([\d.]+)", "\n".join(requirements), re.MULTILINE))
    return [_package(found[name], place, oldest.get(name), jetson=jetson) for name in PACKAGES]


def _package(package: Package, place: Place, oldest: str | None, *, jetson: bool) -> Check:
    name = package.name
    if name == "jtop" and package.missing:
        return _no_jtop(jetson=jetson)
    if package.missing:
        return Check(name, "failed", "not installed", _how_to_install(name, jetson=jetson))
    if package.error:
        bad: Status = "warning" if name == "jtop" else "failed"
        return Check(name, bad, f"does not import: {package.error}", _how_to_install(name, jetson=jetson))
    inside = place.holds(package.file)
    where = f"{'inside' if inside else 'outside'} the virtual environment" if place.in_use else "no virtual environment"
    found = f"{package.version or 'version unknown'}, {package.file or 'no file'}, {where}"
    if oldest is not None and () < _release(package.version or "") < _release(oldest):
        return Check(name, "failed", f"{found}; older than {oldest}", _how_to_install(name, jetson=jetson))
    if jetson and inside and name in SYSTEM_PACKAGES:
        installed_as = "jetson-stats" if name == "jtop" else name
        return Check(
            name,
            "failed" if name == "torch" else "warning",
            f"{found}; on a Jetson it has to be the system's",
            f"{_how_to_install(name, jetson=True)}; then pip uninstall {installed_as} in the environment, "
            "made with --system-site-packages",
        )
    return Check(name, "ok", found)


def _no_jtop(*, jetson: bool) -> Check:
    if not jetson:
        return Check("jtop", "skipped", "not installed; it is of use on a Jetson alone")
    return Check(
        "jtop",
        "warning",
        "jetson-stats is not installed: power, clocks and power mode are read without it, or not at all",
        "sudo pip3 install 'jetson-stats>=7.2', then restart the board",
    )


def _how_to_install(name: str, *, jetson: bool) -> str:
    if name == "prism":
        return "pip install prism-edge"
    if name == "jtop":
        return "sudo pip3 install --upgrade 'jetson-stats>=7.2', then sudo systemctl restart jtop"
    if name == "numpy":
        return SYSTEM_NUMPY if jetson else "pip install numpy"
    if not jetson:
        return _HW_EXTRA
    if name == "timm":
        # Without --no-deps pip brings PyPI's torch along, which has no CUDA for the board.
        return "pip install --no-deps timm, then pip install huggingface_hub safetensors pyyaml"
    return SYSTEM_TORCH


def _release(version: str) -> tuple[int, ...]:
    """The leading numbers: (2, 5, 1) of "2.5.1a0+872d972e41.nv24.08", (2, 5) of "2.5.0", () of none."""
    numbers = re.match(r"\d+(\.\d+)*?(?=(\.0)*(?![.\d]))", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()
