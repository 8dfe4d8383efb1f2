"""Which tokens a rank holds and which vectors it sends: known to every rank beforehand, so it never travels."""

from __future__ import annotations

from dataclasses import dataclass

from prism.errors import unknown
from prism.nn.segment_means import PREFIX_TOKENS, PrefixTokens, segment_counts
from prism.plan import Plan
from prism.schedule import TERMINAL, build_schedule
from prism.shape import TransformerShape


@dataclass(frozen=True)
class Layout:
    """Tokens of every rank and the counts behind the vectors it sends.

    Attributes:
        partition: tokens N_p of each rank.
        counts: for each rank, the tokens behind each vector it sends before a block.
    """

    partition: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]

    def span(self, rank: int) -> slice:
        """The rank's place in the sequence."""
        first = sum(self.partition[:rank])
        return slice(first, first + self.partition[rank])

    def context_counts(self, rank: int) -> tuple[tuple[int, ...], ...]:
        """Tokens behind each key that the rank attends to: its own tokens in its place, others' vectors in theirs."""
        own = (1,) * self.partition[rank]
        return tuple(own if peer == rank else keys for peer, keys in enumerate(self.counts))


def layout_of(shape: TransformerShape, plan: Plan, prefix: PrefixTokens = "averaged") -> Layout:
    """The layout of `plan` on a model of `shape`.

    Raises:
        InputError: a plan that the sequence is too short for, or prefix tokens that L segments cannot keep apart.
    """
    if prefix not in PREFIX_TOKENS:
        raise unknown("treatment of prefix tokens", prefix, PREFIX_TOKENS)
    partition = build_schedule(shape, plan, 1).partition
    if plan.segments is None:
        return Layout(partition, tuple((1,) * tokens for tokens in partition))
    apart = shape.prefix_tokens if prefix == "apart" else 0
    counts = tuple(
        segment_counts(tokens, plan.segments, apart if rank == TERMINAL else 0) for rank, tokens in enumerate(partition)
    )
    return Layout(partition, counts)
