"""Ends with an error unless torch comes from the system and sees CUDA: what `tox -e hardware` asks first.

A torch that pip put into the environment is the one from PyPI, which has no CUDA on a Jetson.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path


def refusal() -> str | None:
    """Why this environment cannot be used; None if it can."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        return "there is no torch; install your JetPack's wheel on the system (docs/hardware.md, step 3)"
    if Path(sys.prefix).resolve() in Path(found.origin).resolve().parents:
        return f"torch lies inside the environment ({found.origin}); remove it: it must be the system's"
    import torch

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} of {found.origin} sees no CUDA; install your JetPack's wheel"
    return None


if __name__ == "__main__":
    reason = refusal()
    sys.exit(None if reason is None else f"tox -e hardware: {reason}")
