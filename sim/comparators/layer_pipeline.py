"""A pipeline of layers: every board has some of the blocks, and passes on what comes out of its last one.

N x D numbers a sample between neighbours, once a pass. Parts of the batch (micro-batches) follow each other, so that
boards work at the same time: Huang et al. 2019 (GPipe), arXiv 1811.06965; over edge devices Hu et al. 2022 (PipeEdge),
doi 10.1109/DSD57027.2022.00048. The terminal device is the first stage; the last one returns the vector that the head
reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prism import flops
from prism.errors import InputError
from prism.memory import MemoryUse
from prism.partition import split_evenly
from prism.schedule import TERMINAL, Copy, Exchange, Message, Post
from prism.shape import TransformerShape
from sim.comparators.split import FLOAT_BYTES, Split, Task, computed, hand_over

SOURCE = "Huang et al. 2019 (GPipe), arXiv 1811.06965; Hu et al. 2022 (PipeEdge)"


def layer_pipeline(
    shape: TransformerShape, devices: int, batch: int, *, microbatches: int | None = None, wire_bytes: int = 4
) -> Split:
    """The pass split by blocks.

    Args:
        shape: of the model.
        devices: boards P; at most as many as blocks.
        batch: samples in the pass.
        microbatches: parts of the batch; as many as boards if None, or as samples where these are fewer.
        wire_bytes: bytes of a number on the wire.

    Raises:
        InputError: fewer blocks than boards, or fewer samples than micro-batches.
    """
    if devices > shape.depth:
        raise InputError(f"a pipeline over {devices} devices: {shape.name} has {shape.depth} blocks to share out")
    microbatches = min(devices, batch) if microbatches is None else microbatches
    if not 1 <= microbatches <= batch:
        raise InputError(f"microbatches = {microbatches} must lie between 1 and the batch of {batch}")
    pipeline = _Pipeline(shape, devices, split_evenly(batch, microbatches), wire_bytes)
    return Split(
        "layer_pipeline",
        tuple(tuple(pipeline.tasks(rank)) for rank in range(devices)),
        tuple(pipeline.memory(rank) for rank in range(devices)),
        costs="local",
        staging="full_tensor",
        rounds=False,
        source=SOURCE,
        exact=True,
        gives_up="a batch of one gains nothing: one board works at a time",
    )


class _Pipeline:
    def __init__(self, shape: TransformerShape, devices: int, parts: tuple[int, ...], wire_bytes: int) -> None:
        self._shape = shape
        self._devices = devices
        self._parts = parts
        self._wire_bytes = wire_bytes
        self._blocks = split_evenly(shape.depth, devices)
        self._first_block = (0, *accumulate(self._blocks))
        self._block_flops = flops.block_flops(shape, shape.tokens, shape.tokens)

    def tasks(self, rank: int) -> Iterator[Task]:
        """Parts in order. Receives are posted beforehand: what comes early waits in a buffer of its own."""
        for part in range(len(self._parts)):
            yield Task(Post(self._number(rank, part), (self._incoming(rank, part),)))
        for part, samples in enumerate(self._parts):
            yield from self._stage(rank, part, samples)
        if rank == TERMINAL:
            for part, samples in enumerate(self._parts):
                yield from self._receive(rank, part)
                yield computed("head", None, samples * flops.head_flops(self._shape), samples * self._block_flops)

    def memory(self, rank: int) -> MemoryUse:
        """Weights of its own blocks; the embedding and the head are the terminal device's."""
        shape, largest, parts = self._shape, max(self._parts), range(len(self._parts))
        ends = shape.embedding_parameters + shape.head_parameters if rank == TERMINAL else 0
        weights = self._blocks[rank] * shape.block_parameters + ends
        numbers = shape.tokens * max(6 * shape.dim, 2 * shape.dim + 2 * shape.mlp_hidden) + shape.image_values
        buffers = self._outgoing_bytes(rank, largest) + sum(self._incoming(rank, part).nbytes for part in parts)
        return MemoryUse(weights * FLOAT_BYTES, largest * numbers * FLOAT_BYTES, 2 * buffers)

    def _stage(self, rank: int, part: int, samples: int) -> Iterator[Task]:
        """One part through the board's blocks, and on to the next board; nobody waits for what was sent."""
        block_flops = samples * self._block_flops
        if rank == TERMINAL:
            yield computed("embed", None, samples * flops.embed_flops(self._shape, self._shape.patches), block_flops)
        else:
            yield from self._receive(rank, part)
        for block in range(self._first_block[rank], self._first_block[rank + 1]):
            yield computed("block", block, block_flops, block_flops)
        receiver, nbytes = self._next(rank), self._outgoing_bytes(rank, samples)
        yield Task(Copy("stage_exchange", None, "device_to_host", nbytes))
        yield from hand_over(self._number(receiver, part), (Message(receiver, nbytes),), ())

    def _receive(self, rank: int, part: int) -> Iterator[Task]:
        message = self._incoming(rank, part)
        yield Task(Exchange(self._number(rank, part), (), (message,)))
        yield Task(Copy("stage_exchange", None, "host_to_device", message.nbytes))

    def _next(self, rank: int) -> int:
        """The last stage answers the terminal device."""
        return (rank + 1) % self._devices

    def _number(self, receiver: int, part: int) -> int:
        """The exchange in which `receiver` takes in `part`."""
        return receiver * len(self._parts) + part

    def _incoming(self, rank: int, part: int) -> Message:
        sender = (rank - 1) % self._devices
        return Message(sender, self._outgoing_bytes(sender, self._parts[part]))

    def _outgoing_bytes(self, rank: int, samples: int) -> int:
        """All tokens between stages; of the answer, the vector that the head reads."""
        vectors = 1 if self._next(rank) == TERMINAL else self._shape.tokens
        return samples * vectors * self._shape.dim * self._wire_bytes
