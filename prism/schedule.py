"""One pass, written down once: for every rank the ordered steps that the simulator and the hardware carry out.

A step knows its FLOPs or its bytes and nothing of time. Ranks are numbered from 0, the terminal device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from prism import flops
from prism.errors import InputError
from prism.plan import WIRE_BYTES, Plan
from prism.shape import TransformerShape

#: Rank of the terminal device, which takes the request and answers it.
TERMINAL = 0
#: Bytes of the control message that starts a pass on a worker: plan, shape and batch in one frame of fixed size.
CONTROL_BYTES = 256
MAX_BATCH = 1_000_000

CopyDirection = Literal["device_to_host", "host_to_device"]


@dataclass(frozen=True)
class Compute:
    """Work of the compute unit. `block` is None outside the blocks."""

    name: Literal["embed", "compress", "block", "pool", "head"]
    block: int | None
    flops: int


@dataclass(frozen=True)
class Copy:
    """A copy between the accelerator's and the host's memory (staging)."""

    name: Literal["stage_input", "stage_exchange", "stage_result"]
    block: int | None
    direction: CopyDirection
    nbytes: int


@dataclass(frozen=True)
class Message:
    """Bytes to or from the rank `peer`."""

    peer: int
    nbytes: int


@dataclass(frozen=True)
class Send:
    """A one-way message from this rank."""

    name: Literal["control", "input", "result"]
    message: Message


@dataclass(frozen=True)
class Receive:
    """The matching arrival; the rank goes on when it is complete."""

    name: Literal["control", "input", "result"]
    message: Message


@dataclass(frozen=True)
class Post:
    """Receives of the exchange before block `block`, posted ahead of it into the buffers that are free by then."""

    block: int
    receives: tuple[Message, ...]


@dataclass(frozen=True)
class Exchange:
    """The exchange before block `block`: one message to and one from every other rank, in rank order.

    `after` are the ranks whose messages of this round must be in before the rank sends its own (see `gives_way_to`).
    """

    block: int
    sends: tuple[Message, ...]
    receives: tuple[Message, ...]
    after: tuple[int, ...] = ()


Step = Compute | Copy | Send | Receive | Post | Exchange


@dataclass(frozen=True)
class Schedule:
    """Steps of every rank for one pass of `batch` samples."""

    shape: TransformerShape
    plan: Plan
    batch: int
    partition: tuple[int, ...]
    ranks: tuple[tuple[Step, ...], ...]

    def flops(self, rank: int) -> int:
        """FLOPs of the rank's pass, for the whole batch."""
        return sum(step.flops for step in self.ranks[rank] if isinstance(step, Compute))

    def exchanged_bytes(self, rank: int) -> int:
        """Bytes that the rank sends in all exchanges of the pass."""
        exchanges = (step for step in self.ranks[rank] if isinstance(step, Exchange))
        return sum(message.nbytes for step in exchanges for message in step.sends)


@lru_cache(maxsize=4096)
def build_schedule(shape: TransformerShape, plan: Plan, batch: int) -> Schedule:
    """Write down the pass of `batch` samples through `shape` under `plan`.

    Raises:
        InputError: a batch that is not positive, or a plan that the sequence is too short for.
    """
    if not 1 <= batch <= MAX_BATCH:
        raise InputError(f"batch = {batch} is out of range; it must lie between 1 and {MAX_BATCH}")
    partition = plan.partition(shape.tokens)
    if plan.mode != "local" and partition[TERMINAL] < shape.prefix_tokens:
        raise InputError(
            f"the terminal device's partition of {partition[TERMINAL]} tokens does not hold the "
            f"{shape.prefix_tokens} prefix tokens; use fewer devices or a larger first share"
        )
    pass_ = _Pass(shape, plan, batch, partition)
    ranks = tuple(tuple(pass_.steps(rank)) for rank in range(plan.devices))
    return Schedule(shape, plan, batch, partition, ranks)


def gives_way_to(plan: Plan, rank: int, block: int) -> tuple[int, ...]:
    """The ranks that send before `rank` does in the exchange before block `block`.

    Ranks that compute alike would send at the same time, share the half-duplex medium and wait for each other's message
    as well as their own, round after round. Where receives are posted ahead, sending one after the other once, in the
    first round, sets them apart for the rest of the pass: one rank's messages then travel while the other computes.
    """
    first = block == (0 if plan.first_exchange else 1)
    return tuple(range(rank)) if first and plan.exchange == "preposted" else ()


@dataclass(frozen=True)
class _Pass:
    shape: TransformerShape
    plan: Plan
    batch: int
    partition: tuple[int, ...]

    def steps(self, rank: int) -> Iterator[Step]:
        exchanges = self._exchange_blocks()
        yield from self._control(rank)
        yield from self._distribution(rank)
        yield from self._post(rank, exchanges[:1])  # after the input, which must not queue behind an exchange
        yield from self._embedding(rank)
        for block in range(self.shape.depth):
            if block in exchanges:
                yield from self._exchange(rank, block)
                yield from self._staged_in(rank, block)
            yield self._block(rank, block)
        yield from self._result(rank)

    def _peers(self, rank: int) -> list[int]:
        return [peer for peer in range(self.plan.devices) if peer != rank]

    def _vectors_bytes(self, vectors: int) -> int:
        """Bytes of `vectors` token-sized vectors a sample, on the wire."""
        return self.batch * vectors * self.shape.dim * WIRE_BYTES[self.plan.wire_dtype]

    def _context(self, rank: int) -> int:
        """Vectors that the rank's keys and values are made from."""
        sent = self.plan.sent_tokens(self.shape.tokens)
        return self.partition[rank] + sum(sent[peer] for peer in self._peers(rank))

    def _input_bytes(self, worker: int) -> int:
        if self.plan.input_distribution == "image":
            return self.batch * self.shape.image_values * WIRE_BYTES[self.plan.wire_dtype]
        held = self.partition[worker] if self.plan.first_exchange else self._context(worker)
        return self._vectors_bytes(held)

    def _exchange_blocks(self) -> range:
        """The blocks that an exchange precedes."""
        if self.plan.mode == "local":
            return range(0)
        return range(0 if self.plan.first_exchange else 1, self.shape.depth)

    def _control(self, rank: int) -> Iterator[Step]:
        if rank != TERMINAL:
            yield Receive("control", Message(TERMINAL, CONTROL_BYTES))
            return
        for worker in self._peers(rank):
            yield Send("control", Message(worker, CONTROL_BYTES))

    def _post(self, rank: int, blocks: range) -> Iterator[Step]:
        if self.plan.exchange == "preposted":
            for block in blocks:
                yield Post(block, self._incoming(rank))

    def _distribution(self, rank: int) -> Iterator[Step]:
        if self.plan.mode == "local" or self.plan.input_distribution == "replicated":
            return
        if rank != TERMINAL:
            nbytes = self._input_bytes(rank)
            yield Receive("input", Message(TERMINAL, nbytes))
            yield Copy("stage_input", None, "host_to_device", nbytes)
            return
        workers = self._peers(TERMINAL)
        if self.plan.input_distribution == "tokens":
            yield self._embed(self.shape.tokens)
            if not self.plan.first_exchange:
                yield from self._compress(self.shape.tokens, 0)
            yield Copy("stage_input", None, "device_to_host", sum(self._input_bytes(worker) for worker in workers))
        for worker in workers:
            yield Send("input", Message(worker, self._input_bytes(worker)))

    def _embedding(self, rank: int) -> Iterator[Step]:
        if self.plan.mode != "local" and self.plan.input_distribution == "tokens":
            return  # done by the terminal device before it sent the tokens out
        if self.plan.mode == "local" or self.plan.first_exchange:
            yield self._embed(self.partition[rank], terminal=rank == TERMINAL)
            return
        yield self._embed(self.shape.tokens)
        yield from self._compress(self.shape.tokens - self.partition[rank], 0)

    def _embed(self, tokens: int, *, terminal: bool = True) -> Compute:
        patches = tokens - (self.shape.prefix_tokens if terminal else 0)
        return Compute("embed", None, self.batch * flops.embed_flops(self.shape, patches))

    def _compress(self, tokens: int, block: int) -> Iterator[Step]:
        if self.plan.mode == "segment_means":
            yield Compute("compress", block, self.batch * flops.segment_means_flops(self.shape, tokens))

    def _incoming(self, rank: int) -> tuple[Message, ...]:
        sent = self.plan.sent_tokens(self.shape.tokens)
        return tuple(Message(peer, self._vectors_bytes(sent[peer])) for peer in self._peers(rank))

    def _exchange(self, rank: int, block: int) -> Iterator[Step]:
        own_bytes = self._vectors_bytes(self.plan.sent_tokens(self.shape.tokens)[rank])
        yield from self._compress(self.partition[rank], block)
        yield Copy("stage_exchange", block, "device_to_host", own_bytes)
        sends = tuple(Message(peer, own_bytes) for peer in self._peers(rank))
        yield Exchange(block, sends, self._incoming(rank), gives_way_to(self.plan, rank, block))

    def _staged_in(self, rank: int, block: int) -> Iterator[Step]:
        """The next round's receives are posted as soon as this round is in: it lies in the other set of buffers."""
        yield from self._post(rank, range(block + 1, min(block + 2, self.shape.depth)))
        yield Copy("stage_exchange", block, "host_to_device", sum(message.nbytes for message in self._incoming(rank)))

    def _block(self, rank: int, block: int) -> Compute:
        own = self.partition[rank]
        return Compute("block", block, self.batch * flops.block_flops(self.shape, own, self._context(rank)))

    def _result(self, rank: int) -> Iterator[Step]:
        """The head reads the class token, which the terminal device owns, or sums that every board sends it."""
        if self.shape.pool == "average":
            own = self.partition[rank] - (self.shape.prefix_tokens if rank == TERMINAL else 0)
            yield Compute("pool", None, self.batch * flops.pool_flops(self.shape, own))
            nbytes = self._vectors_bytes(1)
            if rank != TERMINAL:
                yield Copy("stage_result", None, "device_to_host", nbytes)
                yield Send("result", Message(TERMINAL, nbytes))
                return
            workers = self._peers(rank)
            for worker in workers:
                yield Receive("result", Message(worker, nbytes))
            if workers:
                yield Copy("stage_result", None, "host_to_device", nbytes * len(workers))
        if rank == TERMINAL:
            yield Compute("head", None, self.batch * flops.head_flops(self.shape))
