"""One rank's pass from image to logits, in the order of `prism.schedule`, whatever carries its messages.

Shape suffixes: B samples, C channels, Y X pixels, N own tokens, V vectors, D embedding width, O classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor

from prism.errors import InputError
from prism.nn.exchange import Exchange
from prism.nn.split import RankModel
from prism.schedule import TERMINAL

ComputeName = Literal["embed", "compress", "block", "pool", "head"]

#: Entered around every `Compute` step of the schedule, with its name and block: the place to take the time.
Observe = Callable[[ComputeName, int | None], AbstractContextManager[object]]


def unobserved(_name: ComputeName, _block: int | None) -> AbstractContextManager[object]:
    """Observe nothing."""
    return nullcontext()


def run_rank(
    rank: RankModel, images_BCYX: Tensor | None, exchange: Exchange | None, observe: Observe = unobserved
) -> Tensor | None:
    """Carry out the rank's pass.

    Args:
        rank: the rank's share of the model.
        images_BCYX: the batch; None on a worker that is sent its input.
        exchange: the rank's side of the messages; None if the plan has one device.
        observe: entered around every compute step.

    Returns:
        logits_BO on the terminal device, None on a worker.

    Raises:
        InputError: no images on a rank that needs them, images of another size, no exchange where the plan has several
            devices, or a value that the wire dtype cannot hold.
    """
    with torch.inference_mode():
        return _Pass(rank, exchange, observe).run(images_BCYX)


class _Pass:
    def __init__(self, rank: RankModel, exchange: Exchange | None, observe: Observe) -> None:
        self._rank = rank
        self._messages = exchange
        self._observe = observe
        self._is_terminal = rank.rank == TERMINAL
        self._workers = [worker for worker in range(rank.plan.devices) if worker != TERMINAL]

    def run(self, images_BCYX: Tensor | None) -> Tensor | None:
        x_BND, context = self._start(images_BCYX)
        for index in range(self._rank.shape.depth):
            if context is None:
                context = self._exchange.exchange(index, self._vectors(x_BND, index))
            with self._observe("block", index):
                x_BND = self._rank.block(index, x_BND, context)
            context = [x_BND] if self._rank.plan.mode == "local" else None
        return self._answer(x_BND)

    @property
    def _exchange(self) -> Exchange:
        if self._messages is None:
            raise InputError(f"a plan of {self._rank.plan.devices} devices needs an exchange")
        return self._messages

    def _start(self, images_BCYX: Tensor | None) -> tuple[Tensor, Sequence[Tensor] | None]:
        """Own tokens x_BND, and what the first block attends to unless an exchange is to bring it."""
        rank, plan = self._rank, self._rank.plan
        if plan.mode == "local":
            x_BND = self._embed(images_BCYX)
            return x_BND, [x_BND]
        if plan.input_distribution == "tokens":
            return self._hand_out_tokens(images_BCYX) if self._is_terminal else self._take_tokens()
        if plan.input_distribution == "image":
            images_BCYX = self._hand_out_images(images_BCYX) if self._is_terminal else self._exchange.receive_input()
        x_BND = self._embed(images_BCYX)
        if plan.first_exchange:
            return x_BND, None
        vectors = self._first_vectors(x_BND, [peer for peer in range(plan.devices) if peer != rank.rank])
        return x_BND[:, rank.layout.span(rank.rank)], self._context(x_BND, vectors, rank.rank)

    def _hand_out_images(self, images_BCYX: Tensor | None) -> Tensor:
        images_BCYX = self._required(images_BCYX)
        self._exchange.send_inputs(dict.fromkeys(self._workers, images_BCYX))
        return images_BCYX

    def _hand_out_tokens(self, images_BCYX: Tensor | None) -> tuple[Tensor, Sequence[Tensor] | None]:
        layout = self._rank.layout
        sequence_BND = self._embed(images_BCYX)
        own_BND = sequence_BND[:, layout.span(TERMINAL)]
        if self._rank.plan.first_exchange:
            self._exchange.send_inputs({worker: sequence_BND[:, layout.span(worker)] for worker in self._workers})
            return own_BND, None
        vectors = self._first_vectors(sequence_BND, range(self._rank.plan.devices))
        contexts = {worker: self._context(sequence_BND, vectors, worker) for worker in self._workers}
        self._exchange.send_inputs({worker: torch.cat(context, dim=1) for worker, context in contexts.items()})
        return own_BND, self._context(sequence_BND, vectors, TERMINAL)

    def _take_tokens(self) -> tuple[Tensor, Sequence[Tensor] | None]:
        input_BVD = self._exchange.receive_input()
        if self._rank.plan.first_exchange:
            return input_BVD, None
        counts = self._rank.layout.context_counts(self._rank.rank)
        context = torch.split(input_BVD, [len(keys) for keys in counts], dim=1)
        return context[self._rank.rank], context

    def _context(self, sequence_BND: Tensor, vectors: Mapping[int, Tensor], rank: int) -> list[Tensor]:
        """What `rank` attends to in the first block: its own tokens in its place, others' vectors in theirs."""
        own_BND = sequence_BND[:, self._rank.layout.span(rank)]
        return [own_BND if peer == rank else vectors[peer] for peer in range(self._rank.plan.devices)]

    def _first_vectors(self, sequence_BND: Tensor, peers: Iterable[int]) -> dict[int, Tensor]:
        """What each of `peers` would send before the first block, worked out on the spot."""
        tokens = {peer: sequence_BND[:, self._rank.layout.span(peer)] for peer in peers}
        if self._rank.plan.mode == "full_tensor":
            return tokens
        with self._observe("compress", 0):
            return {peer: self._rank.compress(own_BND, peer) for peer, own_BND in tokens.items()}

    def _vectors(self, x_BND: Tensor, block: int) -> Tensor:
        """What this rank sends before `block`."""
        if self._rank.plan.mode == "full_tensor":
            return x_BND
        with self._observe("compress", block):
            return self._rank.compress(x_BND)

    def _answer(self, x_BND: Tensor) -> Tensor | None:
        if self._rank.shape.pool == "token":
            return self._head([self._rank.pool(x_BND)]) if self._is_terminal else None
        with self._observe("pool", None):
            pooled_BD = self._rank.pool(x_BND)
        if not self._is_terminal:
            self._exchange.send_result(pooled_BD)
            return None
        return self._head([pooled_BD, *(self._exchange.receive_results() if self._workers else ())])

    def _embed(self, images_BCYX: Tensor | None) -> Tensor:
        images_BCYX = self._required(images_BCYX)
        with self._observe("embed", None):
            return self._rank.embed(images_BCYX)

    def _head(self, pooled: Sequence[Tensor]) -> Tensor:
        with self._observe("head", None):
            return self._rank.head(pooled)

    def _required(self, images_BCYX: Tensor | None) -> Tensor:
        if images_BCYX is None:
            raise InputError(f"rank {self._rank.rank} needs the images and was given none")
        return images_BCYX
