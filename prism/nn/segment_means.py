"""Segment Means: a partition's tokens averaged in contiguous, nearly equal runs (arXiv 2605.25682; arXiv 2507.12145).

Shape suffixes: B samples, N tokens of a partition, L segments, D embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Literal, get_args

import torch
from torch import Tensor

from prism.errors import InputError
from prism.partition import segment_sizes

#: What becomes of class and register tokens: `averaged` with the patches next to them, or `apart`, each a segment.
#:
#: `averaged` is the default, because it is what the paper's numbers describe: the N = 197 of CR = N / (L P), and with
#: it the 89.9 / 79.8 / 69.7 % of communication saved at L = 10 / 20 / 30, counts the class token as one token among the
#: partition's, cut into nearly equal segments. It also exists at every L, where `apart` needs L above the number of
#: prefix tokens. Both send the same bytes, L_p = min(L, N_p) vectors: an extra vector for the class token would save
#: 89.3 % at L = 10, not 89.9 %.
PrefixTokens = Literal["averaged", "apart"]
PREFIX_TOKENS: tuple[PrefixTokens, ...] = get_args(PrefixTokens)


def segment_counts(tokens: int, segments: int, apart: int = 0) -> tuple[int, ...]:
    """Tokens behind each of the L_p = min(L, N_p) vectors that a partition of N_p `tokens` is compressed into.

    Args:
        tokens: tokens N_p of the partition.
        segments: segments L asked for.
        apart: leading tokens that are segments of their own and come out unchanged.

    Raises:
        InputError: fewer than one segment or token, or no segment left for the tokens behind those kept apart.
    """
    if not 0 <= apart <= tokens:
        raise InputError(f"cannot keep {apart} of {tokens} tokens apart")
    if apart == 0 or segments >= tokens:
        return segment_sizes(tokens, segments)
    if segments <= apart and apart < tokens:
        raise InputError(
            f"{segments} segments cannot keep {apart} prefix tokens apart from {tokens - apart} others; "
            f"use at least {apart + 1} segments, or average the prefix tokens in"
        )
    return (1,) * apart + segment_sizes(tokens - apart, segments - apart)


def segment_means(x_BND: Tensor, counts: Sequence[int]) -> Tensor:
    """Means of consecutive runs of tokens, as long as `counts` says (from `segment_counts`).

    Args:
        x_BND: tokens of a partition.
        counts: L run lengths that add up to N.

    Returns:
        means_BLD, in the type of `x_BND`.

    Raises:
        InputError: the run lengths do not add up to N.
    """
    batch, tokens, dim = x_BND.shape
    if sum(counts) != tokens:
        raise InputError(f"segments of {sum(counts)} tokens in all do not fit a partition of {tokens} tokens")
    means = []
    first = 0
    # Runs of one length lie together, so that each length costs one reduction over a view and not one a segment.
    for length, runs in groupby(counts):
        segments = len(list(runs))
        span = x_BND[:, first : first + segments * length]
        means.append(span.reshape(batch, segments, length, dim).mean(dim=2))
        first += segments * length
    return torch.cat(means, dim=1)
