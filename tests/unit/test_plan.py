"""Plans: what is refused, segments by compression rate, names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism.errors import InputError
from prism.plan import CR_TOLERANCE, Plan, segments_for_compression_rate

N = 197


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fast"}, "unknown mode 'fast'"),
        ({"mode": "segment_mean", "devices": 2}, "did you mean 'segment_means'"),
        ({"devices": 2}, "mode 'local' uses one device, not 2"),
        ({"devices": 0}, "mode 'local' uses one device"),
        ({"segments": 3}, "mode 'local' takes no segments"),
        ({"mode": "full_tensor"}, "needs 2 to 64 devices, not 1"),
        ({"mode": "full_tensor", "devices": 65}, "needs 2 to 64 devices, not 65"),
        ({"mode": "full_tensor", "devices": -2}, "needs 2 to 64 devices"),
        ({"mode": "full_tensor", "devices": 2, "segments": 4}, "takes no segments"),
        ({"mode": "segment_means", "devices": 2}, "needs a number of segments"),
        ({"mode": "segment_means", "devices": 2, "segments": 0}, "segments = 0 must be at least 1"),
        ({"mode": "segment_means", "devices": 2, "segments": -4}, "must be at least 1"),
        ({"mode": "full_tensor", "devices": 2, "wire_dtype": "float64"}, "unknown wire dtype"),
        ({"mode": "full_tensor", "devices": 2, "exchange": "async"}, "unknown exchange"),
        ({"mode": "full_tensor", "devices": 2, "input_distribution": "magic"}, "unknown input distribution"),
        ({"mode": "full_tensor", "devices": 2, "shares": (1.0,)}, "1 shares for 2 devices"),
    ],
)
def test_plans_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        Plan(**options)
    assert "\n" not in str(refusal.value)


def test_more_segments_than_the_largest_partition_are_refused_with_the_most_allowed() -> None:
    assert Plan("segment_means", 2, 99).partition(N) == (99, 98)
    with pytest.raises(InputError, match=r"largest partition of 99 tokens .*use at most 99"):
        Plan("segment_means", 2, 100).partition(N)
    with pytest.raises(InputError, match="use at most 131"):
        Plan("segment_means", 2, 133, shares=(2.0, 1.0)).partition(N)


def test_a_shorter_partition_sends_each_of_its_tokens() -> None:
    assert Plan("segment_means", 2, 99).sent_tokens(N) == (99, 98)
    assert Plan("segment_means", 3, 60, shares=(4.0, 1.0, 1.0)).sent_tokens(N) == (60, 33, 33)
    assert Plan("full_tensor", 3).sent_tokens(N) == (66, 66, 65)
    assert Plan().sent_tokens(N) == (0,)


def test_labels() -> None:
    assert Plan().label == "local"
    assert Plan("full_tensor", 3).label == "full_tensor P=3"
    assert Plan("segment_means", 2, 10).label == "segment_means P=2 L=10"


@pytest.mark.parametrize(("rate", "segments"), [(9.9, 10), (4.95, 20), (3.3, 30), (9.85, 10), (98.5, 1)])
def test_the_papers_rates_give_the_papers_segments(rate: float, segments: int) -> None:
    assert segments_for_compression_rate(rate, N, 2) == segments


@given(st.integers(1, 99), st.integers(2, 8))
def test_segments_and_compression_rate_are_inverse(segments: int, devices: int) -> None:
    segments = min(segments, N // devices)
    rate = Plan("segment_means", devices, segments).compression_rate(N)
    assert rate == N / (segments * devices)
    assert segments_for_compression_rate(rate, N, devices) == segments


@given(st.floats(0.01, 500), st.integers(2, 8))
def test_a_rate_is_met_within_the_tolerance_or_refused(rate: float, devices: int) -> None:
    best = min(abs(N / (count * devices) / rate - 1) for count in range(1, -(-N // devices) + 1))
    if best > CR_TOLERANCE:
        with pytest.raises(InputError, match="it would round to L = "):
            segments_for_compression_rate(rate, N, devices)
    else:
        segments = segments_for_compression_rate(rate, N, devices)
        assert abs(N / (segments * devices) / rate - 1) <= CR_TOLERANCE


def test_a_rate_that_no_number_of_segments_gives_names_the_rounding_and_both_neighbours() -> None:
    with pytest.raises(InputError) as refusal:
        segments_for_compression_rate(40.0, N, 2)
    text = str(refusal.value)
    assert "no number of segments gives compression rate 40 for 197 tokens on 2 devices" in text
    assert "it would round to L = 2, CR 49.25" in text
    assert "32.83 (L = 3)" in text
    assert "49.25 (L = 2)" in text


def test_a_rate_more_than_a_percent_off_is_refused() -> None:
    """L = 10 gives CR 9.85: within a percent of 9.9, not of 10."""
    with pytest.raises(InputError, match=r"it would round to L = 10, CR 9\.85"):
        segments_for_compression_rate(10.0, N, 2)


@pytest.mark.parametrize("rate", [0.0, -3.3, float("nan"), float("inf"), 1e-320])
def test_absurd_rates_are_refused(rate: float) -> None:
    with pytest.raises(InputError, match="compression rate"):
        segments_for_compression_rate(rate, N, 2)
