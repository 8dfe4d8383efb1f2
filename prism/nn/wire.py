"""Numbers on the wire: activations leave in the plan's wire dtype and come back in the model's."""

from __future__ import annotations

import torch
from torch import Tensor

from prism.errors import InputError
from prism.plan import WireDtype

WIRE_DTYPES: dict[WireDtype, torch.dtype] = {"float32": torch.float32, "float16": torch.float16}


def to_wire(values: Tensor, wire_dtype: WireDtype) -> Tensor:
    """`values` in the wire dtype, contiguous, in any shape.

    Raises:
        InputError: a finite value too large for the wire dtype. It would arrive as infinity and spoil the answer.
    """
    wire = values.to(WIRE_DTYPES[wire_dtype]).contiguous()
    if wire.dtype.itemsize < values.dtype.itemsize and bool((wire.isinf() & values.isfinite()).any()):
        raise InputError(
            f"a value of {values.abs().max().item():.3g} does not fit {wire_dtype}, which ends at "
            f"{torch.finfo(wire.dtype).max:.3g}; use wire dtype float32"
        )
    return wire


def from_wire(wire: Tensor, dtype: torch.dtype) -> Tensor:
    """What arrived, in the model's `dtype`."""
    return wire.to(dtype)
