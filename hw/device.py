"""Where the model runs."""

from __future__ import annotations

import torch

from prism.errors import InputError, unknown

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str) -> torch.device:
    """The device called ``cpu`` or ``cuda``; ``auto`` is a GPU where torch sees one.

    Raises:
        InputError: an unknown name, or no GPU where one was asked for.
    """
    if name not in DEVICES:
        raise unknown("device", name, DEVICES)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("torch sees no GPU here; use --device cpu, or `prism doctor` to find out why")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
