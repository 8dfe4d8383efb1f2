"""Memory of one board's share of a pass: weights, activations at their peak, and exchange buffers.

Weights are whole on every board, as position-wise splitting needs them. Activations are those of one block in float32
with fused attention (no N x N scores are kept). Each exchange buffer exists in host and in accelerator memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from prism.schedule import Exchange, Schedule

_FLOAT32_BYTES = 4


@dataclass(frozen=True)
class MemoryUse:
    """Bytes on one board."""

    weights_bytes: int
    activations_bytes: int
    buffers_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.activations_bytes + self.buffers_bytes


def memory_use(schedule: Schedule, rank: int) -> MemoryUse:
    """Memory that `rank` needs for the pass."""
    shape, plan = schedule.shape, schedule.plan
    own = schedule.partition[rank]
    sent = plan.sent_tokens(shape.tokens)
    context = own + sum(sent[:rank]) + sum(sent[rank + 1 :])
    # Residual stream and normed input are alive with q, k, v and the output, or with the MLP's hidden layer twice.
    attention = own * shape.dim + context * shape.dim + (2 * own + 2 * context) * shape.dim
    mlp = 2 * own * shape.dim + 2 * own * shape.mlp_hidden
    image = shape.image_values
    activations = schedule.batch * (max(attention, mlp) + image) * _FLOAT32_BYTES
    return MemoryUse(shape.parameters * _FLOAT32_BYTES, activations, _buffers_bytes(schedule, rank))


def _buffers_bytes(schedule: Schedule, rank: int) -> int:
    exchanges = [step for step in schedule.ranks[rank] if isinstance(step, Exchange)]
    if not exchanges:
        return 0
    messages = (exchanges[0].sends[0], *exchanges[0].receives)  # the same bytes go to every peer: one send buffer
    rounds = 2 if schedule.plan.exchange == "preposted" else 1
    return 2 * rounds * sum(message.nbytes for message in messages)


class InfeasiblePlan(Exception):
    """A plan that a board's memory does not hold. Not an error of the user's: an answer."""


def check_fits(schedule: Schedule, usable_bytes: int, board: str) -> None:
    """Raise `InfeasiblePlan` where a rank of the pass needs more memory than `board`, every rank's, has to offer."""
    for rank in range(len(schedule.ranks)):
        check_rank_fits(schedule, rank, usable_bytes, board)


def check_rank_fits(schedule: Schedule, rank: int, usable_bytes: int, board: str) -> None:
    """Raise `InfeasiblePlan` where `rank` needs more memory than its board has to offer."""
    needed = memory_use(schedule, rank).total_bytes
    if needed > usable_bytes:
        raise InfeasiblePlan(
            f"rank {rank} needs {needed / 1e6:,.0f} MB, {board} has {usable_bytes / 1e6:,.0f} MB to offer"
        )
