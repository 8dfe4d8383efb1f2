from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from prism.catalogue import shape_of  # noqa: E402
from prism.errors import InputError  # noqa: E402
from prism.nn.layout import layout_of  # noqa: E402
from prism.nn.segment_means import PREFIX_TOKENS, segment_counts, segment_means  # noqa: E402
from prism.plan import Plan  # noqa: E402

pytestmark = pytest.mark.torch


def test_uneven_segments_are_averaged_over_their_own_length() -> None:
    x_BND = torch.tensor([[[1.0], [2.0], [3.0], [10.0], [20.0]]])

    assert segment_means(x_BND, segment_counts(5, 2)).flatten().tolist() == [2.0, 15.0]


def test_prefix_tokens_kept_apart_come_out_unchanged_and_take_no_segment_beyond_l() -> None:
    assert segment_counts(99, 10) == (10,) * 9 + (9,)
    assert segment_counts(99, 10, apart=1) == (1,) + (11,) * 8 + (10,)
    x_BND = torch.randn(2, 9, 4)

    means_BLD = segment_means(x_BND, segment_counts(9, 4, apart=2))

    assert torch.equal(means_BLD[:, :2], x_BND[:, :2])
    assert torch.allclose(means_BLD[:, 2], x_BND[:, 2:6].mean(dim=1))


@pytest.mark.parametrize("segments", [1, 2])
def test_too_few_segments_to_keep_prefix_tokens_apart_are_refused(segments: int) -> None:
    with pytest.raises(InputError, match="use at least 3 segments"):
        segment_counts(9, segments, apart=2)


def test_a_partition_of_prefix_tokens_alone_needs_no_further_segment() -> None:
    assert segment_counts(2, 2, apart=2) == (1, 1)
    assert segment_counts(2, 5, apart=2) == (1, 1)


@pytest.mark.parametrize(("tokens", "segments", "apart"), [(0, 1, 0), (4, 0, 0), (4, 2, 5), (4, 2, -1)])
def test_impossible_segments_are_refused(tokens: int, segments: int, apart: int) -> None:
    with pytest.raises(InputError):
        segment_counts(tokens, segments, apart)


def test_counts_of_another_partition_are_refused() -> None:
    with pytest.raises(InputError, match="5 tokens in all do not fit a partition of 6"):
        segment_means(torch.zeros(1, 6, 2), (3, 2))


@pytest.mark.parametrize("prefix", PREFIX_TOKENS)
@pytest.mark.parametrize("segments", [10, 20, 30])
def test_both_treatments_of_the_class_token_send_what_the_plan_says(prefix: str, segments: int) -> None:
    shape = shape_of("vit_base_patch16_224")
    plan = Plan(mode="segment_means", devices=2, segments=segments)

    layout = layout_of(shape, plan, prefix)  # type: ignore[arg-type]

    assert tuple(map(len, layout.counts)) == plan.sent_tokens(shape.tokens)


def test_unknown_treatment_of_prefix_tokens_is_refused() -> None:
    plan = Plan(mode="segment_means", devices=2, segments=10)
    with pytest.raises(InputError, match="did you mean 'averaged'"):
        layout_of(shape_of("vit_base_patch16_224"), plan, "average")  # type: ignore[arg-type]
