"""Tensor parallelism: every board has a share of the heads and of the MLP, and all have all tokens.

Two sums over all boards a block (all-reduce), each of N x D numbers a sample. Shoeybi et al. 2019, arXiv 1909.08053,
section 3. A ring does each in 2 (P - 1) steps, in which a board sends 2 (P - 1) / P of the numbers: the least there can
be (Patarasuk and Yuan 2009, doi 10.1016/j.jpdc.2008.09.002). Sums run on the host, as GLOO's do; adding costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from prism import flops
from prism.errors import InputError
from prism.memory import MemoryUse
from prism.partition import split_evenly
from prism.schedule import TERMINAL, Copy, Message
from prism.shape import TransformerShape
from sim.comparators.split import FLOAT_BYTES, Split, Task, Tasks, computed, distributed_input, hand_over

SOURCE = "Shoeybi et al. 2019, arXiv 1909.08053"


def tensor_parallel(
    shape: TransformerShape, devices: int, batch: int, *, wire_bytes: int = 4, input_bytes: int = 0
) -> Split:
    """The pass split by heads and hidden units.

    Args:
        shape: of the model.
        devices: boards P; at most as many as heads.
        batch: samples in the pass.
        wire_bytes: bytes of a number on the wire.
        input_bytes: what the terminal device sends each board beforehand; 0 where they have it.

    Raises:
        InputError: fewer heads than boards.
    """
    if devices > shape.heads:
        raise InputError(
            f"tensor parallelism over {devices} devices: {shape.name} has {shape.heads} heads to share out"
        )
    heads = split_evenly(shape.heads, devices)
    hidden = split_evenly(shape.mlp_hidden, devices)
    numbers = batch * shape.tokens * shape.dim

    def tasks(rank: int) -> Iterator[Task]:
        attention, mlp = (batch * part for part in part_flops(shape, heads[rank], hidden[rank]))
        block_flops = attention + mlp
        yield from distributed_input(rank, devices, input_bytes)
        yield computed("embed", None, batch * flops.embed_flops(shape, shape.patches), block_flops)
        for block in range(shape.depth):
            for half, amount in enumerate((attention, mlp)):
                yield computed("block", block, amount, block_flops)
                first = (2 * block + half) * 2 * (devices - 1)
                yield from all_reduce(rank, devices, numbers, wire_bytes, first)
        if rank == TERMINAL:
            yield computed("head", None, batch * flops.head_flops(shape), block_flops)

    ranks: tuple[Tasks, ...] = tuple(tuple(tasks(rank)) for rank in range(devices))
    memory = tuple(_memory(shape, batch, heads[rank], hidden[rank], numbers * wire_bytes) for rank in range(devices))
    return Split(
        "tensor_parallel",
        ranks,
        memory,
        costs="full_tensor",
        staging="full_tensor",
        rounds=False,
        source=SOURCE,
        exact=True,
        gives_up="weights must be cut by heads and hidden units; 4 (P - 1) messages a board and block",
    )


def part_flops(shape: TransformerShape, heads: int, hidden: int) -> tuple[int, int]:
    """FLOPs of `heads` heads of a block's attention, and of `hidden` units of its MLP, for one sample."""
    n, d = shape.tokens, shape.dim
    own = d // shape.heads * heads
    return 2 * n * d * 3 * own + 4 * n * n * own + 2 * n * own * d, 2 * (2 * n * d * hidden)


def all_reduce(rank: int, devices: int, numbers: int, wire_bytes: int, first: int) -> Iterator[Task]:
    """The sum of `numbers` numbers over all boards, on a ring; its exchanges are numbered from `first`.

    Chunks travel round once to be summed and once more to be given out.
    """
    whole = numbers * wire_bytes
    chunks = [size * wire_bytes for size in split_evenly(numbers, devices)]
    after, before = (rank + 1) % devices, (rank - 1) % devices
    yield Task(Copy("stage_exchange", None, "device_to_host", whole))
    for step in range(2 * (devices - 1)):
        # Of round `step` a rank sends the chunk that it received in the round before.
        sends = (Message(after, chunks[(rank - step) % devices]),)
        receives = (Message(before, chunks[(rank - 1 - step) % devices]),)
        yield from hand_over(first + step, sends, receives)
    yield Task(Copy("stage_exchange", None, "host_to_device", whole))


def _memory(shape: TransformerShape, batch: int, heads: int, hidden: int, buffer_bytes: int) -> MemoryUse:
    """Its share of the blocks' matrices; embedding, norms and the head are whole on every board."""
    d, own = shape.dim, shape.dim // shape.heads * heads
    block = (3 * d * own + 3 * own) + (own * d + d) + (2 * d * hidden + hidden + d) + 4 * d
    weights = shape.embedding_parameters + shape.depth * block + shape.head_parameters
    numbers = max(2 * d + 4 * own, 2 * d + 2 * hidden) * shape.tokens + shape.image_values
    return MemoryUse(weights * FLOAT_BYTES, batch * numbers * FLOAT_BYTES, 2 * 2 * buffer_bytes)
