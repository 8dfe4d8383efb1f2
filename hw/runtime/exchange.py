"""The messages of a pass over GLOO: staged by hand, recorded step by step, posted as the plan says.

`blocking` posts a receive when the rank has computed; `preposted` posts it a block ahead into a second set of buffers.
Buffers are allocated once a plan and batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.distributed import Work

from hw.runtime.group import GlooGroup
from hw.runtime.recorder import Recorder
from hw.runtime.staging import Staging
from prism.nn.split import RankModel
from prism.schedule import TERMINAL, Copy, Exchange, Message, Post, Receive, Send, gives_way_to

#: Tags above those of the exchanges, which are their blocks.
_INPUT_TAG, _RESULT_TAG = 1_000_001, 1_000_002


class _Buffers:
    """One set of buffers: what this rank sends in a round, and what each peer does."""

    def __init__(self, rank_model: RankModel, batch: int, staging: Staging) -> None:
        wire_dtype, own = rank_model.plan.wire_dtype, rank_model.rank
        self.send = staging.buffer(rank_model.exchange_shape(batch, own), wire_dtype)
        self.receive = {
            peer: staging.buffer(rank_model.exchange_shape(batch, peer), wire_dtype)
            for peer in range(rank_model.plan.devices)
            if peer != own
        }
        self.sending: list[tuple[int, Work]] = []


class GlooExchange:
    """One rank's side of all messages of a pass: the `Exchange` that `prism.nn.run` asks for."""

    def __init__(
        self, rank_model: RankModel, batch: int, group: GlooGroup, staging: Staging, recorder: Recorder
    ) -> None:
        self._model = rank_model
        self._plan = rank_model.plan
        self._rank = rank_model.rank
        self._batch = batch
        self._group = group
        self._staging = staging
        self._recorder = recorder
        self._peers = [peer for peer in range(self._plan.devices) if peer != self._rank]
        self._blocks = range(0 if self._plan.first_exchange else 1, rank_model.shape.depth)
        self._preposted = self._plan.exchange == "preposted"
        self._sets = [_Buffers(rank_model, batch, staging) for _ in range(2 if self._preposted else 1)]
        self._posted: dict[int, dict[int, Work]] = {}
        self._sending: list[tuple[int, Work]] = []
        self._inputs = self._input_buffers()
        self._results = self._result_buffers()
        self._dtype = rank_model.dtype

    def begin(self) -> None:
        """The pass starts."""
        if self._plan.input_distribution == "replicated":
            self._post_first()

    def end(self) -> None:
        """The answer is held: see the last sends off, so that the next pass finds the buffers free."""
        for buffers in self._sets:
            self._finish(buffers)
        for peer, work in self._sending:
            self._group.wait(work, peer, "sending to it")
        self._sending.clear()

    def exchange(self, block: int, own_BVD: Tensor) -> Sequence[Tensor]:
        buffers = self._sets[block % len(self._sets)]
        self._finish(buffers)
        with self._recorder.take(Copy("stage_exchange", block, "device_to_host", buffers.send.nbytes)):
            self._staging.to_host(own_BVD, buffers.send, self._plan.wire_dtype)
        sends = tuple(Message(peer, buffers.send.nbytes) for peer in self._peers)
        receives = _messages(buffers)
        after = gives_way_to(self._plan, self._rank, block)
        with self._recorder.take(Exchange(block, sends, receives, after)):
            if not self._preposted:
                self._post(block)
            arriving = self._posted.pop(block)
            for peer in after:
                self._await(arriving, peer, block)
            if after:
                self._recorder.sends_now()
            buffers.sending = [(peer, self._group.send(buffers.send, peer, block)) for peer in self._peers]
            for peer in tuple(arriving):
                self._await(arriving, peer, block)
        if self._preposted and block + 1 in self._blocks:
            self._post_ahead(block + 1)
        with self._recorder.take(
            Copy("stage_exchange", block, "host_to_device", sum(message.nbytes for message in receives))
        ):
            arrived = {peer: self._staging.to_device(buffers.receive[peer], self._dtype) for peer in self._peers}
        return [arrived.get(rank, own_BVD) for rank in range(self._plan.devices)]

    def send_inputs(self, inputs: Mapping[int, Tensor]) -> None:
        if self._plan.input_distribution == "tokens":
            nbytes = sum(buffer.nbytes for buffer in self._inputs.values())
            with self._recorder.take(Copy("stage_input", None, "device_to_host", nbytes)):
                self._fill(inputs)
        else:
            self._fill(inputs)  # images lie in the host's memory already
        for worker, buffer in self._inputs.items():
            with self._recorder.take(Send("input", Message(worker, buffer.nbytes))):
                self._sending.append((worker, self._group.send(buffer, worker, _INPUT_TAG)))
        self._post_first()

    def receive_input(self) -> Tensor:
        buffer = self._inputs[self._rank]
        with self._recorder.take(Receive("input", Message(TERMINAL, buffer.nbytes))):
            self._group.wait(self._group.receive(buffer, TERMINAL, _INPUT_TAG), TERMINAL, "receiving the input")
        with self._recorder.take(Copy("stage_input", None, "host_to_device", buffer.nbytes)):
            arrived = self._staging.to_device(buffer, self._dtype)
        self._post_first()
        return arrived

    def send_result(self, pooled_BD: Tensor) -> None:
        buffer = self._results[self._rank]
        with self._recorder.take(Copy("stage_result", None, "device_to_host", buffer.nbytes)):
            self._staging.to_host(pooled_BD, buffer, self._plan.wire_dtype)
        with self._recorder.take(Send("result", Message(TERMINAL, buffer.nbytes))):
            self._sending.append((TERMINAL, self._group.send(buffer, TERMINAL, _RESULT_TAG)))

    def receive_results(self) -> Sequence[Tensor]:
        for worker, buffer in self._results.items():
            with self._recorder.take(Receive("result", Message(worker, buffer.nbytes))):
                self._group.wait(self._group.receive(buffer, worker, _RESULT_TAG), worker, "receiving its result")
        nbytes = sum(buffer.nbytes for buffer in self._results.values())
        with self._recorder.take(Copy("stage_result", None, "host_to_device", nbytes)):
            return [self._staging.to_device(buffer, self._dtype) for buffer in self._results.values()]

    def _await(self, arriving: dict[int, Work], peer: int, block: int) -> None:
        self._group.wait(arriving.pop(peer), peer, f"receiving the exchange before block {block}")

    def _post(self, block: int) -> None:
        buffers = self._sets[block % len(self._sets)]
        self._posted[block] = {
            peer: self._group.receive(buffer, peer, block) for peer, buffer in buffers.receive.items()
        }

    def _post_first(self) -> None:
        """After the input: it must not queue behind an exchange."""
        if self._preposted and self._blocks:
            self._post_ahead(self._blocks.start)

    def _post_ahead(self, block: int) -> None:
        with self._recorder.take(Post(block, _messages(self._sets[block % len(self._sets)]))):
            self._post(block)

    def _finish(self, buffers: _Buffers) -> None:
        """A buffer is free when its last sends have left. They have: their receivers answered since."""
        for peer, work in buffers.sending:
            self._group.wait(work, peer, "sending to it")
        buffers.sending = []

    def _fill(self, inputs: Mapping[int, Tensor]) -> None:
        for worker, buffer in self._inputs.items():
            self._staging.to_host(inputs[worker], buffer, self._plan.wire_dtype)

    def _input_buffers(self) -> dict[int, Tensor]:
        """Of every worker on the terminal device, of itself on a worker; none where boards have the input already."""
        if self._plan.input_distribution == "replicated":
            return {}
        workers = self._peers if self._rank == TERMINAL else [self._rank]
        return {worker: self._buffer(self._model.input_shape(self._batch, worker)) for worker in workers}

    def _result_buffers(self) -> dict[int, Tensor]:
        if self._model.shape.pool == "token":
            return {}
        workers = self._peers if self._rank == TERMINAL else [self._rank]
        return {worker: self._buffer((self._batch, self._model.shape.dim)) for worker in workers}

    def _buffer(self, shape: tuple[int, ...]) -> Tensor:
        return self._staging.buffer(shape, self._plan.wire_dtype)


def _messages(buffers: _Buffers) -> tuple[Message, ...]:
    return tuple(Message(peer, buffer.nbytes) for peer, buffer in buffers.receive.items())
