"""Copies between the accelerator's memory and the host's, where GLOO works.

On a GPU the host buffers are pinned and allocated once; a copy is asynchronous and waited for through a CUDA event, so
that its time is the copy's. Without a GPU the copy is a plain memory copy, and is labelled so: it says nothing of a
Jetson's staging. The numbers take the wire dtype on the way out and the model's on the way in.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from prism.nn.wire import WIRE_DTYPES, from_wire, to_wire
from prism.plan import WireDtype


class Staging(Protocol):
    """Host buffers and the copies to and from them; `label` names the kind of copy in records."""

    label: str

    def buffer(self, shape: tuple[int, ...], wire_dtype: WireDtype) -> Tensor:
        """A host buffer of `shape` numbers in the wire dtype."""
        ...

    def to_host(self, values: Tensor, buffer: Tensor, wire_dtype: WireDtype) -> None:
        """Copy `values` into `buffer`; they are there when this returns."""
        ...

    def to_device(self, buffer: Tensor, dtype: torch.dtype) -> Tensor:
        """A copy of `buffer` where the model is; the buffer may be reused when this returns."""
        ...

    def settle(self) -> None:
        """Return when the accelerator has done what it was given: the end of a compute step."""
        ...


class MemoryStaging:
    """Staging where model and GLOO share the host's memory: a memory copy each way."""

    label = "memcpy"

    def buffer(self, shape: tuple[int, ...], wire_dtype: WireDtype) -> Tensor:
        return torch.zeros(shape, dtype=WIRE_DTYPES[wire_dtype])  # zeros touch the pages before the clock runs

    def to_host(self, values: Tensor, buffer: Tensor, wire_dtype: WireDtype) -> None:
        buffer.copy_(values if values.dtype == buffer.dtype else to_wire(values, wire_dtype))

    def to_device(self, buffer: Tensor, dtype: torch.dtype) -> Tensor:
        return buffer.clone() if buffer.dtype == dtype else from_wire(buffer, dtype)

    def settle(self) -> None:
        """Nothing is asynchronous here."""


class CudaStaging:
    """Staging through pinned buffers on one CUDA device, in its current stream."""

    label = "cuda pinned"

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._event: torch.cuda.Event = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def buffer(self, shape: tuple[int, ...], wire_dtype: WireDtype) -> Tensor:
        return torch.zeros(shape, dtype=WIRE_DTYPES[wire_dtype], pin_memory=True)

    def to_host(self, values: Tensor, buffer: Tensor, wire_dtype: WireDtype) -> None:
        wire = values if values.dtype == buffer.dtype else to_wire(values, wire_dtype)
        buffer.copy_(wire, non_blocking=True)
        self.settle()

    def to_device(self, buffer: Tensor, dtype: torch.dtype) -> Tensor:
        arrived = from_wire(buffer.to(self._device, non_blocking=True), dtype)
        self.settle()
        return arrived

    def settle(self) -> None:
        self._event.record(torch.cuda.current_stream(self._device))
        self._event.synchronize()


def staging_for(device: torch.device) -> Staging:
    """The staging of a model on `device`."""
    return CudaStaging(device) if device.type == "cuda" else MemoryStaging()
