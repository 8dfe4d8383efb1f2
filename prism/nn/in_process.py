"""All ranks in one process: each in a thread, in lockstep through mailboxes. For tests and for trying things out.

Which rank runs first changes nothing: a message is addressed by sender, receiver and step, and every rank's arithmetic
is its own.

Shape suffixes: B samples, V vectors, D embedding width, C channels, Y X pixels, O classes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from prism.errors import InputError
from prism.nn.exchange import Exchange
from prism.nn.run import Observe, run_rank, unobserved
from prism.nn.split import RankModel
from prism.nn.wire import from_wire, to_wire
from prism.plan import WireDtype
from prism.schedule import TERMINAL

MessageName = Literal["exchange", "input", "result"]


class ExchangeClosed(RuntimeError):
    """Another rank failed, so what this one waits for will not come."""


@dataclass(frozen=True)
class SentMessage:
    """A message as it went over the wire. `block` is None outside the blocks."""

    name: MessageName
    block: int | None
    peer: int
    nbytes: int


class InProcessGroup:
    """The mailboxes that `ranks` ranks share.

    Args:
        ranks: how many.
        wire_dtype: type that numbers are rounded to on their way.
    """

    def __init__(self, ranks: int, wire_dtype: WireDtype = "float32") -> None:
        if ranks < 1:
            raise InputError(f"a group needs at least one rank, not {ranks}")
        self.ranks = ranks
        self._wire_dtype = wire_dtype
        self._letters: dict[tuple[int, int, MessageName, int | None], Tensor] = {}
        self._changed = threading.Condition()
        self._closed = False

    def endpoint(self, rank: int) -> InProcessExchange:
        """The side of `rank`."""
        return InProcessExchange(self, rank)

    def close(self) -> None:
        """Wake every rank that waits; it fails with `ExchangeClosed`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def post(self, source: int, target: int, name: MessageName, block: int | None, values: Tensor) -> int:
        """Send `values`, rounded as the wire rounds them; returns their bytes on the wire."""
        wire = to_wire(values, self._wire_dtype)
        with self._changed:
            self._letters[source, target, name, block] = from_wire(wire, values.dtype)
            self._changed.notify_all()
        return wire.nbytes

    def take(self, source: int, target: int, name: MessageName, block: int | None) -> Tensor:
        """Wait for a message.

        Raises:
            ExchangeClosed: the group was closed before it came.
        """
        address = (source, target, name, block)
        with self._changed:
            self._changed.wait_for(lambda: address in self._letters or self._closed)
            if address not in self._letters:
                raise ExchangeClosed(f"rank {target} waited for {name} from rank {source}, which will not come")
            return self._letters.pop(address)


class InProcessExchange:
    """The `Exchange` of one rank of an `InProcessGroup`.

    Attributes:
        rank: whose side this is.
        sent: every message this rank sent, in order.
    """

    def __init__(self, group: InProcessGroup, rank: int) -> None:
        self._group = group
        self.rank = rank
        self._peers = [peer for peer in range(group.ranks) if peer != rank]
        self.sent: list[SentMessage] = []

    def exchange(self, block: int, own_BVD: Tensor) -> Sequence[Tensor]:
        for peer in self._peers:
            self._send("exchange", block, peer, own_BVD)
        arrived = {peer: self._group.take(peer, self.rank, "exchange", block) for peer in self._peers}
        return [arrived.get(rank, own_BVD) for rank in range(self._group.ranks)]

    def send_inputs(self, inputs: Mapping[int, Tensor]) -> None:
        for peer, values in inputs.items():
            self._send("input", None, peer, values)

    def receive_input(self) -> Tensor:
        return self._group.take(TERMINAL, self.rank, "input", None)

    def send_result(self, pooled_BD: Tensor) -> None:
        self._send("result", None, TERMINAL, pooled_BD)

    def receive_results(self) -> Sequence[Tensor]:
        return [self._group.take(peer, self.rank, "result", None) for peer in self._peers]

    def _send(self, name: MessageName, block: int | None, peer: int, values: Tensor) -> None:
        nbytes = self._group.post(self.rank, peer, name, block, values)
        self.sent.append(SentMessage(name, block, peer, nbytes))


#: Given a rank's exchange, what the rank is to use instead, and what observes its compute steps.
Watch = Callable[[InProcessExchange], tuple[Exchange, Observe]]


def unwatched(exchange: InProcessExchange) -> tuple[Exchange, Observe]:
    """Leave the exchange as it is and observe nothing."""
    return exchange, unobserved


def run_in_process(ranks: Sequence[RankModel], images_BCYX: Tensor, watch: Watch = unwatched) -> Tensor:
    """One pass over all ranks of a plan.

    Only ranks that have the image by the plan are given it.

    Args:
        ranks: the `RankModel` of every rank, in rank order.
        images_BCYX: a batch of images.
        watch: called once a rank; lets a caller look at messages and compute steps as they come.

    Returns:
        logits_BO.

    Raises:
        InputError: not exactly the ranks of the plan, or values that the wire dtype cannot hold.
    """
    plan = ranks[TERMINAL].plan if ranks else None
    if plan is None or [rank.rank for rank in ranks] != list(range(plan.devices)):
        raise InputError("give every rank of the plan once, in rank order")
    group = InProcessGroup(plan.devices, plan.wire_dtype)

    def one(rank: RankModel) -> Tensor | None:
        has_image = rank.rank == TERMINAL or plan.input_distribution == "replicated"
        try:
            exchange, observe = watch(group.endpoint(rank.rank))
            return run_rank(rank, images_BCYX if has_image else None, exchange, observe)
        except BaseException:
            group.close()
            raise

    with ThreadPoolExecutor(max_workers=plan.devices) as threads:
        passes = [threads.submit(one, rank) for rank in ranks]
    errors = [error for error in (done.exception() for done in passes) if error is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, ExchangeClosed)):
        raise error  # the cause first: the others only waited for it
    logits_BO = passes[TERMINAL].result()
    assert logits_BO is not None
    return logits_BO
