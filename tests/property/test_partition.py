"""Laying tokens over boards and segments."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism.errors import InputError
from prism.partition import partition_tokens, segment_sizes, split_by_shares, split_evenly

share = st.floats(1e-3, 1e3)


@st.composite
def counts_and_parts(draw: st.DrawFn) -> tuple[int, int]:
    count = draw(st.integers(1, 2000))
    return count, draw(st.integers(1, min(count, 70)))


@given(counts_and_parts())
def test_an_even_split_adds_up_and_differs_by_one_at_most(case: tuple[int, int]) -> None:
    count, parts = case
    sizes = split_evenly(count, parts)
    assert sum(sizes) == count
    assert len(sizes) == parts
    assert max(sizes) - min(sizes) <= 1
    assert sizes == tuple(sorted(sizes, reverse=True))


@given(st.integers(1, 500), st.lists(share, min_size=1, max_size=12))
def test_a_split_by_shares_adds_up_and_leaves_no_board_without_a_token(count: int, shares: list[float]) -> None:
    count += len(shares)
    sizes = split_by_shares(count, shares)
    assert sum(sizes) == count
    assert min(sizes) >= 1


@given(st.integers(1, 500), st.lists(share, min_size=1, max_size=12))
def test_shares_are_rounded_by_largest_remainder(count: int, shares: list[float]) -> None:
    """What is beyond one token each deviates from its exact share by less than one token."""
    spare = count
    sizes = split_by_shares(count + len(shares), shares)
    for size, part in zip(sizes, shares, strict=True):
        assert abs(size - 1 - spare * part / sum(shares)) < 1 + 1e-9
    remainders = [spare * part / sum(shares) - (size - 1) for size, part in zip(sizes, shares, strict=True)]
    # Who was rounded up had the larger remainders: before rounding, remainder + 1 for them.
    up = [remainder + 1 for remainder in remainders if remainder < -1e-9]
    down = [remainder for remainder in remainders if remainder >= 1e-9]
    assert not up or not down or min(up) >= max(down) - 1e-9


@given(counts_and_parts())
def test_equal_shares_split_evenly(case: tuple[int, int]) -> None:
    count, parts = case
    assert split_by_shares(count, [0.7] * parts) == split_evenly(count, parts)


@given(st.integers(2, 300), st.lists(share, min_size=2, max_size=8))
def test_a_larger_share_never_gets_fewer_tokens(count: int, shares: list[float]) -> None:
    sizes = split_by_shares(count + len(shares), shares)
    by_share = sorted(zip(shares, sizes, strict=True))
    for (small, few), (large, many) in itertools.pairwise(by_share):
        assert few <= many or small == large


@given(st.integers(1, 400), st.integers(1, 500))
def test_segments_are_nearly_equal_and_never_more_than_tokens(tokens: int, segments: int) -> None:
    sizes = segment_sizes(tokens, segments)
    assert len(sizes) == min(segments, tokens)
    assert sum(sizes) == tokens
    assert max(sizes) - min(sizes) <= 1


def test_known_splits() -> None:
    assert partition_tokens(197, 2) == (99, 98)
    assert partition_tokens(197, 3) == (66, 66, 65)
    assert partition_tokens(10, 3, (2.0, 1.0, 1.0)) == (4, 3, 3)  # 7 spare: 3.5, 1.75, 1.75
    assert partition_tokens(9, 3, (2.0, 1.0, 1.0)) == (4, 3, 2)  # 6 spare: 3, 1.5, 1.5; the tie goes to the lower rank
    assert partition_tokens(4, 2, (1000.0, 0.001)) == (3, 1)
    assert segment_sizes(99, 10) == (10,) * 9 + (9,)


@pytest.mark.parametrize(("count", "parts"), [(3, 4), (3, 0), (3, -1)])
def test_more_parts_than_tokens_or_none_are_refused(count: int, parts: int) -> None:
    with pytest.raises(InputError, match="use between 1 and 3"):
        split_evenly(count, parts)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), 1e308, 1e-320])
def test_absurd_shares_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match="share"):
        split_by_shares(10, (1.0, bad))


def test_shares_and_boards_must_agree() -> None:
    with pytest.raises(InputError, match="2 shares for 3 devices"):
        partition_tokens(10, 3, (1.0, 1.0))
    with pytest.raises(InputError, match="cannot split 1 tokens into 2 parts"):
        split_by_shares(1, (1.0, 1.0))
    with pytest.raises(InputError):
        split_by_shares(5, ())
