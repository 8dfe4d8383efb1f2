"""What a rank asks of the others: a small protocol, so that one process and many run the same code.

Shape suffixes: B samples, V vectors (tokens or means), D embedding width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class Exchange(Protocol):
    """One rank's side of all messages of a pass, each a step of `prism.schedule`.

    Tensors go in and come out in the model's type and on its device; wire dtype and staging are the implementation's.
    A rank calls the methods in the order of its schedule, so an implementation knows what comes next and how large it
    is, and may post receives ahead.
    """

    def exchange(self, block: int, own_BVD: Tensor) -> Sequence[Tensor]:
        """Send `own_BVD` to every other rank before block `block`.

        Returns:
            What every rank sent, in rank order, with `own_BVD` itself in this rank's place.
        """
        ...

    def send_inputs(self, inputs: Mapping[int, Tensor]) -> None:
        """Give each worker its input, images or tokens_BVD, in rank order. Only the terminal device calls this."""
        ...

    def receive_input(self) -> Tensor:
        """The input from the terminal device. Only workers call this."""
        ...

    def send_result(self, pooled_BD: Tensor) -> None:
        """Give the terminal device this rank's share of the average. Only workers call this."""
        ...

    def receive_results(self) -> Sequence[Tensor]:
        """Every worker's pooled_BD, in rank order. Only the terminal device calls this."""
        ...
