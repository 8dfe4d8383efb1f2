"""Runs in a child process: import packages one after the other and tell, after each, what came of it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

from hw.preflight.child import tell

#: Under which name a package is installed, where that is not the one it is imported by.
DISTRIBUTIONS = {"jtop": "jetson-stats", "prism": "prism-edge"}


def main(packages: list[str]) -> None:
    """Tell one object a package: what it was imported as, or why it could not be."""
    # The child inherits no filter that would turn a package's warning at import into an error.
    warnings.simplefilter("ignore")
    for package in packages:
        tell({"package": package, **look(package)})


def look(package: str) -> dict[str, Any]:
    """Version and file of a package, or `error`; `missing` if it is not there at all."""
    try:
        if importlib.util.find_spec(package) is None:
            return {"missing": True}
        module = importlib.import_module(package)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, it is the finding
        return {"error": one_line(error)}
    facts: dict[str, Any] = {"file": getattr(module, "__file__", None), "version": _version(module, package)}
    return facts | {"torch": look_into_torch(module)} if package == "torch" else facts


def look_into_torch(torch: Any) -> dict[str, Any]:
    """What this torch can do on this machine: CUDA and numpy, which are tried, and GLOO."""
    distributed = importlib.import_module("torch.distributed")
    there = bool(distributed.is_available())
    return {
        **_cuda(torch),
        "distributed": there,
        "gloo": there and bool(getattr(distributed, "is_gloo_available", lambda: False)()),
        # One that was built for numpy 1 imports beside numpy 2, and fails only here.
        "numpy_error": _error_of(lambda: torch.zeros(1).numpy()),
    }


def _cuda(torch: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"cuda_built": torch.version.cuda, "cuda": False, "device": None}

    def attempt() -> None:
        facts["cuda"] = bool(torch.cuda.is_available())
        if facts["cuda"]:
            facts["device"] = torch.cuda.get_device_name(0)
            # A build for other GPUs is "available" and fails at the first kernel.
            torch.ones(2, device="cuda").sum().item()

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        error = _error_of(attempt)
    if not facts["cuda"] and not error and seen:
        error = " ".join(str(seen[0].message).split())
    return facts | {"cuda_error": error}


def _error_of(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
        return one_line(error)
    return ""


def one_line(error: BaseException) -> str:
    """An exception's type and the first line of its message."""
    lines = str(error).strip().split("\n")
    return f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__


def _version(module: Any, package: str) -> str | None:
    """The version that the package gives itself, as boards compare it; else the one it was installed as."""
    version = getattr(module, "__version__", None)
    if version is not None:
        return str(version)
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return None
