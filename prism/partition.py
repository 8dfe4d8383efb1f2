"""How N tokens are laid over P boards, and a board's tokens over its segments."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prism.errors import InputError
from prism.units import check_range

#: Shares are relative; anything beyond these is a slip.
SHARES = (1e-6, 1e6)


def split_evenly(count: int, parts: int) -> tuple[int, ...]:
    """Split `count` items into `parts` contiguous runs whose lengths differ by at most one, longer runs first.

    Raises:
        InputError: fewer items than parts, or no part at all.
    """
    if not 1 <= parts <= count:
        raise InputError(f"cannot split {count} tokens into {parts} parts; use between 1 and {count}")
    base, extra = divmod(count, parts)
    return tuple(base + 1 if part < extra else base for part in range(parts))


def split_by_shares(count: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Split `count` items in proportion to `shares` by the largest-remainder rule; every part gets at least one.

    Ties in the remainder go to the lower rank.

    Raises:
        InputError: a share out of `SHARES`, or fewer items than shares.
    """
    for share in shares:
        check_range("share", share, *SHARES)
    if not 1 <= len(shares) <= count:
        raise InputError(f"cannot split {count} tokens into {len(shares)} parts; use between 1 and {count}")
    spare = count - len(shares)  # one token each is given out beforehand
    exact = [spare * share / sum(shares) for share in shares]
    sizes = [math.floor(part) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda rank: (sizes[rank] - exact[rank], rank))
    for rank in by_remainder[: spare - sum(sizes)]:
        sizes[rank] += 1
    return tuple(size + 1 for size in sizes)


def partition_tokens(tokens: int, devices: int, shares: Sequence[float] | None = None) -> tuple[int, ...]:
    """Tokens N_p of each rank p, in rank order; even unless `shares` says otherwise."""
    if shares is None:
        return split_evenly(tokens, devices)
    if len(shares) != devices:
        raise InputError(f"{len(shares)} shares for {devices} devices; give one share a board")
    return split_by_shares(tokens, shares)


def segment_sizes(partition_tokens: int, segments: int) -> tuple[int, ...]:
    """Lengths of a partition's segments: L_p = min(L, N_p) contiguous, nearly equal runs, longer runs first."""
    return split_evenly(partition_tokens, min(segments, partition_tokens))
