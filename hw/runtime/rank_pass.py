"""One rank's pass, ready to be taken again and again: its share of the model, its buffers, its recorder.

The terminal device and the workers run the same code; who starts it and who holds the answer is what tells them apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from hw.runtime.comparator import AllGatherExchange
from hw.runtime.exchange import GlooExchange
from hw.runtime.group import GlooGroup
from hw.runtime.recorder import Recorder
from hw.runtime.replay import HollowModel, StepSeconds
from hw.runtime.staging import staging_for
from prism.nn.run import ComputeName, run_rank
from prism.nn.segment_means import PrefixTokens
from prism.nn.split import RankModel
from prism.plan import Plan
from prism.schedule import CONTROL_BYTES, TERMINAL, Compute, Message, Receive, Send

#: Who carries the exchanges: Prism's own, or the plain all_gather loop that it is compared with.
Carrier = Literal["prism", "all_gather"]
_CARRIERS: dict[Carrier, type[GlooExchange] | type[AllGatherExchange]] = {
    "prism": GlooExchange,
    "all_gather": AllGatherExchange,
}


def sample_images(model: VisionTransformer, batch: int, seed: int) -> Tensor:
    """Images_BCYX of normally distributed values, the same on every board for the same seed."""
    height, width = model.patch_embed.img_size
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, model.patch_embed.proj.in_channels, height, width, generator=generator)


class RankPass:
    """A rank's pass of one plan and batch size.

    Args:
        model: the unsplit model.
        plan: how the pass is carried out.
        rank: this one.
        batch: samples in a pass.
        group: the GLOO group; None for a plan of one device.
        clock: monotonic, in seconds.
        prefix: whether class and register tokens are averaged in.
        carrier: who carries the exchanges.
        replay: seconds of each compute step, which are then slept; None computes.

    Attributes:
        recorder: the steps of the last pass.
    """

    def __init__(
        self,
        model: VisionTransformer,
        plan: Plan,
        rank: int,
        batch: int,
        group: GlooGroup | None,
        clock: Callable[[], float],
        *,
        prefix: PrefixTokens = "averaged",
        carrier: Carrier = "prism",
        replay: StepSeconds | None = None,
    ) -> None:
        self.rank_model = (RankModel if replay is None else HollowModel)(model, plan, rank, prefix=prefix)
        self._replay = replay
        self.recorder = Recorder(clock)
        self._staging = staging_for(self.rank_model.device)
        self._exchange = (
            None
            if group is None or plan.devices == 1
            else _CARRIERS[carrier](self.rank_model, batch, group, self._staging, self.recorder)
        )

    @property
    def staging_label(self) -> str:
        """The kind of copy that staging is here."""
        return self._staging.label if self._exchange is not None else "none"

    def run(self, images_BCYX: Tensor | None, start_workers: Callable[[int], None] | None = None) -> Tensor | None:
        """Take the pass.

        Args:
            images_BCYX: the batch, in the host's memory; None on a worker that is sent its input.
            start_workers: on the terminal device, tells a worker by its rank to begin. A worker calls this when told.

        Returns:
            logits_BO in the host's memory on the terminal device; None on a worker.

        Raises:
            PeerLost: another rank did not do its part.
        """
        self.recorder.start()
        self._control(start_workers)
        if self._exchange is not None:
            self._exchange.begin()
        logits_BO = run_rank(self.rank_model, images_BCYX, self._exchange, self._observe)
        if logits_BO is not None:
            logits_BO = logits_BO.cpu()
        self.recorder.finish()
        if self._exchange is not None:
            self._exchange.end()
        return logits_BO

    def _control(self, start_workers: Callable[[int], None] | None) -> None:
        if self.rank_model.rank != TERMINAL:
            with self.recorder.take(Receive("control", Message(TERMINAL, CONTROL_BYTES))):
                return
        for worker in range(1, self.rank_model.plan.devices):
            with self.recorder.take(Send("control", Message(worker, CONTROL_BYTES))):
                assert start_workers is not None
                start_workers(worker)

    @contextmanager
    def _observe(self, name: ComputeName, block: int | None) -> Iterator[None]:
        with self.recorder.take(Compute(name, block, 0)):
            if self._replay is not None:
                time.sleep(self._replay[name, block])
            yield
            self._staging.settle()
