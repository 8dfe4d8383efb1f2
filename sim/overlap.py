"""What if a board attended to its own tokens while messages travel.

Queries, keys and values of its own tokens, and what they give among themselves, need nothing from other boards. The
rest of attention can be merged in afterwards, since a softmax over two sets of keys is a weighted sum of the softmaxes
over each (Dao et al. 2022, FlashAttention, arXiv 2205.14135, section 3.1). So an exchange of c seconds and o seconds of
own attention cost max(c, o) where they cost c + o. Prism's runtime does not do this; splitting the kernel is free here.
"""

from __future__ import annotations

from collections.abc import Sequence

from prism.schedule import Compute, Exchange, Schedule


def own_attention_share(schedule: Schedule, rank: int) -> float:
    """Share of a block's FLOPs of `rank` that its own tokens suffice for."""
    shape, own = schedule.shape, schedule.partition[rank]
    projections = 3 * 2 * own * shape.dim**2
    attention = 2 * 2 * own * own * shape.dim
    block_flops = next(s.flops for s in schedule.ranks[rank] if isinstance(s, Compute) and s.name == "block")
    return schedule.batch * (projections + attention) / block_flops


def with_overlap(schedule: Schedule, rank: int, seconds: Sequence[float]) -> tuple[float, ...]:
    """The durations of the rank's steps, with its own attention moved from each block into the exchange before it."""
    share = own_attention_share(schedule, rank)
    moved = list(seconds)
    waiting: int | None = None
    for index, step in enumerate(schedule.ranks[rank]):
        if isinstance(step, Exchange):
            waiting = index
        elif isinstance(step, Compute) and step.name == "block" and waiting is not None:
            moved[waiting] = seconds[index] * share
            moved[index] = seconds[index] - moved[waiting]
            waiting = None
    return tuple(moved)
