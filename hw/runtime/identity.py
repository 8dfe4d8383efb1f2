"""Whether two boards run the same thing: versions and weights."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

from prism import __version__

#: Packages that must be the same on every board: another torch or timm may compute something else.
COMPARED = ("prism", "torch", "timm")


def versions() -> dict[str, str]:
    """Versions of what takes part in a pass, and the host's name."""
    try:
        timm_version = version("timm")
    except PackageNotFoundError:
        timm_version = "absent"
    return {
        "prism": __version__,
        "torch": torch.__version__,
        "timm": timm_version,
        "python": platform.python_version(),
        "host": platform.node(),
    }


def differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """What has to be the same and is not, in words."""
    return [
        f"{package} {theirs.get(package, 'absent')} instead of {ours[package]}"
        for package in COMPARED
        if theirs.get(package) != ours[package]
    ]


def weights_digest(model: nn.Module) -> str:
    """Fingerprint of all parameters and buffers, with their names, shapes and types."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}".encode())
        digest.update(values.view(torch.uint8).numpy().data if values.ndim else values.reshape(1).numpy().tobytes())
    return digest.hexdigest()
