"""What torch can do here: CUDA, GLOO and numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hw.preflight.check import Check, Status
from hw.preflight.packages import SYSTEM_NUMPY, SYSTEM_TORCH, Package

_NUMPY = "torch with numpy"


def torch_parts(torch: Package, *, jetson: bool, require_cuda: bool) -> list[Check]:
    """CUDA, which only a Jetson or `require_cuda` needs; GLOO and numpy, which every run needs."""
    if not torch.usable:
        return [
            Check(name, "skipped", "there is no torch that imports, see above") for name in ("cuda", "gloo", _NUMPY)
        ]
    facts = torch.torch
    return [
        _cuda(facts, jetson=jetson, required=jetson or require_cuda),
        _gloo(facts, jetson=jetson),
        _numpy(facts, jetson=jetson),
    ]


def _cuda(facts: Mapping[str, Any], *, jetson: bool, required: bool) -> Check:
    bad: Status = "failed" if required else "warning"
    remedy = (
        SYSTEM_TORCH
        if jetson
        else "install NVIDIA's driver and a torch with CUDA (pytorch.org); without, the CPU does it"
    )
    built, error = facts.get("cuda_built"), facts.get("cuda_error")
    if built is None:
        return Check("cuda", bad, "this torch was built without CUDA", remedy)
    if not facts.get("cuda"):
        return Check("cuda", bad, f"torch has CUDA {built} but finds no device{f' ({error})' if error else ''}", remedy)
    if error:
        return Check("cuda", bad, f"{facts.get('device')}, CUDA {built}: a first kernel fails ({error})", remedy)
    return Check("cuda", "ok", f"{facts.get('device')}, CUDA {built}; a first kernel ran")


def _gloo(facts: Mapping[str, Any], *, jetson: bool) -> Check:
    if facts.get("distributed") and facts.get("gloo"):
        return Check("gloo", "ok", "torch.distributed is there, with GLOO")
    found = "torch.distributed has no GLOO" if facts.get("distributed") else "this torch has no torch.distributed"
    return Check("gloo", "failed", found, SYSTEM_TORCH if jetson else "install torch from PyPI, which has both")


def _numpy(facts: Mapping[str, Any], *, jetson: bool) -> Check:
    error = facts.get("numpy_error")
    if not error:
        return Check(_NUMPY, "ok", "a tensor becomes an array")
    return Check(
        _NUMPY, "failed", error, SYSTEM_NUMPY if jetson else "pip install --upgrade torch, or 'numpy<2' for an old one"
    )
