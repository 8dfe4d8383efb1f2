"""Scaling-aware attention: a key that stands for n tokens weighs as n tokens.

Repeating a key n times multiplies its exponential in the softmax by n, which is to add log n to its logit
(arXiv 2605.25682). So no key is repeated, and a token of the partition itself gets log 1 = 0.

Shape suffixes: B samples, H heads, N queries, S keys, K width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from prism.errors import InputError


def attention_bias(
    counts: Sequence[Sequence[int]],
    rank: int,
    *,
    causal: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor | None:
    """What is added to the logits of `rank`'s queries, for keys that lie in rank order.

    Args:
        counts: for every rank, the tokens behind each key it contributes. `rank` contributes its own tokens, all ones.
        rank: whose queries ask.
        causal: whether a query sees its partition's tokens up to itself and of the others only earlier ranks.
        dtype: type of the queries.
        device: where the queries are.

    Returns:
        bias_1S, or bias_NS if causal, or None where nothing needs adding.

    Raises:
        InputError: a count below 1, or `rank` with a key that stands for more than one token.
    """
    if any(count < 1 for keys in counts for count in keys):
        raise InputError("every key must stand for at least one token")
    if any(count != 1 for count in counts[rank]):
        raise InputError(f"rank {rank} attends to its own tokens, not to means of them")
    logs = [[math.log(count) for count in keys] for keys in counts]
    if not causal:
        flat = [log for keys in logs for log in keys]
        return torch.tensor([flat], dtype=dtype, device=device) if any(flat) else None
    queries = len(counts[rank])
    columns = [torch.tensor(keys, dtype=dtype).expand(queries, -1).clone() for keys in logs]
    columns[rank] = torch.full((queries, queries), -math.inf, dtype=dtype).triu(1)
    for later in columns[rank + 1 :]:
        later.fill_(-math.inf)
    return torch.cat(columns, dim=1).to(device)


def scaling_aware_attention(
    q_BHNK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, bias: Tensor | None, scale: float | None = None
) -> Tensor:
    """softmax(q k^T scale + log n) v.

    Args:
        q_BHNK: queries of the partition's own tokens.
        k_BHSK: keys, one a token or mean.
        v_BHSK: values.
        bias: from `attention_bias`: bias_1S or bias_NS.
        scale: factor of the logits; 1 / sqrt(K) if None.

    Returns:
        out_BHNK.
    """
    return functional.scaled_dot_product_attention(q_BHNK, k_BHSK, v_BHSK, attn_mask=bias, scale=scale)
