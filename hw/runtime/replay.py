"""A rank whose compute is slept and not done: real messages between more boards than the machine has cores.

Messages, staging, buffers and the runtime are what they always are. Only the steps of the model are replaced, each by a
sleep of as long as a calibrated profile says that it takes, so that boards which share a core do not wait for each
other's work. What such a run measures is the exchange; its records say that compute was replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from prism.nn.run import ComputeName
from prism.nn.split import RankModel
from prism.profile import SystemProfile
from prism.schedule import Compute, Schedule
from prism.work import work_of

#: Seconds of each compute step of a rank, by name and block.
StepSeconds = dict[tuple[ComputeName, int | None], float]


def replayed_seconds(schedule: Schedule, rank: int, profile: SystemProfile) -> StepSeconds:
    """What `profile` says each compute step of the rank takes.

    Raises:
        KeyError: the profile has no prices of work; it was not calibrated from single runs.
    """
    model = profile.work[schedule.plan.mode]
    steps = (step for step in schedule.ranks[rank] if isinstance(step, Compute))
    return {(step.name, step.block): model.seconds(work_of(schedule, rank, step)) for step in steps}


def encode_seconds(seconds: StepSeconds | None) -> list[list[Any]] | None:
    """For the control channel, as JSON values."""
    return None if seconds is None else [[*step, duration_s] for step, duration_s in seconds.items()]


def decode_seconds(rows: Sequence[Sequence[Any]] | None) -> StepSeconds | None:
    """From the control channel."""
    return None if rows is None else {(name, block): duration_s for name, block, duration_s in rows}


class HollowModel(RankModel):
    """A `RankModel` that computes nothing: its tensors have the right shapes and hold zeros."""

    def embed(self, images_BCYX: Tensor) -> Tensor:
        tokens = self.shape.tokens if self.embeds_all else self.layout.partition[self.rank]
        return torch.zeros(len(images_BCYX), tokens, self.shape.dim)

    def compress(self, x_BND: Tensor, rank: int | None = None) -> Tensor:
        return torch.zeros(self.exchange_shape(len(x_BND), self.rank if rank is None else rank))

    def block(self, index: int, x_BND: Tensor, received: Sequence[Tensor]) -> Tensor:
        del index, received
        return x_BND

    def pool(self, x_BND: Tensor) -> Tensor:
        return x_BND[:, 0]

    def head(self, pooled: Sequence[Tensor]) -> Tensor:
        return torch.zeros(len(pooled[0]), self.shape.classes)
