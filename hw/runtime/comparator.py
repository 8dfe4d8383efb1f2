"""The plain loop that others write, kept as the comparator for `hw.runtime.exchange`.

It calls all_gather when the rank has computed; nothing is posted ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from hw.runtime.group import GlooGroup
from hw.runtime.recorder import Recorder
from hw.runtime.staging import Staging
from prism.errors import InputError
from prism.nn.split import RankModel
from prism.schedule import Copy, Exchange, Message


class AllGatherExchange:
    """One rank's exchanges by GLOO's own all_gather.

    It takes equal shapes only, so a shorter partition is padded to the longest.

    Raises:
        InputError: a plan that sends inputs or a model whose ranks send results, which this loop does not know, or one
            of fewer boards than the group has.
    """

    def __init__(
        self, rank_model: RankModel, batch: int, group: GlooGroup, staging: Staging, recorder: Recorder
    ) -> None:
        if rank_model.plan.input_distribution != "replicated" or rank_model.shape.pool != "token":
            raise InputError("the all_gather loop takes replicated input and a model that reads the class token only")
        if rank_model.plan.devices != len(group.names):
            raise InputError("all_gather is of the whole group: use as many boards as the plan has")
        self._rank = rank_model.rank
        self._ranks = range(rank_model.plan.devices)
        self._wire_dtype = rank_model.plan.wire_dtype
        self._group, self._staging, self._recorder = group, staging, recorder
        self._sizes = [rank_model.exchange_shape(batch, rank)[1] for rank in self._ranks]
        longest = rank_model.exchange_shape(batch, self._sizes.index(max(self._sizes)))
        self._own = staging.buffer(longest, self._wire_dtype)
        self._gathered = [staging.buffer(longest, self._wire_dtype) for _ in self._ranks]
        self._dtype = rank_model.dtype

    def begin(self) -> None:
        """Nothing is posted ahead."""

    def end(self) -> None:
        """Nothing is left on its way."""

    def exchange(self, block: int, own_BVD: Tensor) -> Sequence[Tensor]:
        nbytes = self._own.nbytes
        others = tuple(Message(peer, nbytes) for peer in self._ranks if peer != self._rank)
        with self._recorder.take(Copy("stage_exchange", block, "device_to_host", nbytes)):
            self._staging.to_host(own_BVD, self._own[:, : own_BVD.shape[1]], self._wire_dtype)
        with self._recorder.take(Exchange(block, others, others)):
            self._group.all_gather(self._gathered, self._own)
        with self._recorder.take(Copy("stage_exchange", block, "host_to_device", nbytes * len(others))):
            return [
                own_BVD if rank == self._rank else self._staging.to_device(self._gathered[rank][:, :size], self._dtype)
                for rank, size in enumerate(self._sizes)
            ]

    def send_inputs(self, inputs: Mapping[int, Tensor]) -> None:  # noqa: ARG002
        raise AssertionError("refused at the beginning")

    def receive_input(self) -> Tensor:
        raise AssertionError("refused at the beginning")

    def send_result(self, pooled_BD: Tensor) -> None:  # noqa: ARG002
        raise AssertionError("refused at the beginning")

    def receive_results(self) -> Sequence[Tensor]:
        raise AssertionError("refused at the beginning")
