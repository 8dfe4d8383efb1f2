from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from prism.errors import InputError  # noqa: E402
from prism.nn.attention import attention_bias, scaling_aware_attention  # noqa: E402

pytestmark = pytest.mark.torch


def test_no_bias_where_every_key_is_one_token() -> None:
    assert attention_bias([(1, 1), (1, 1, 1)], 1) is None


def test_own_tokens_get_zero_and_means_the_log_of_their_count() -> None:
    bias_1S = attention_bias([(4, 3), (1, 1), (2,)], 1, dtype=torch.float64)

    assert bias_1S is not None
    assert bias_1S.tolist() == [[math.log(4), math.log(3), 0.0, 0.0, math.log(2)]]


def test_causal_bias_shows_own_earlier_tokens_and_means_of_earlier_ranks() -> None:
    bias_NS = attention_bias([(4, 3), (1, 1), (2,)], 1, causal=True, dtype=torch.float64)

    assert bias_NS is not None
    assert bias_NS.tolist() == [
        [math.log(4), math.log(3), 0.0, -math.inf, -math.inf],
        [math.log(4), math.log(3), 0.0, 0.0, -math.inf],
    ]


def test_attention_is_the_formula_written_out() -> None:
    q_BHNK, k_BHSK, v_BHSK = (torch.randn(2, 3, tokens, 4, dtype=torch.float64) for tokens in (5, 6, 6))
    bias_1S = torch.tensor([[1.0, 3, 2, 1, 1, 4]], dtype=torch.float64).log()

    out_BHNK = scaling_aware_attention(q_BHNK, k_BHSK, v_BHSK, bias_1S, scale=0.7)

    logits_BHNS = q_BHNK @ k_BHSK.transpose(2, 3) * 0.7 + bias_1S
    torch.testing.assert_close(out_BHNK, logits_BHNS.softmax(dim=3) @ v_BHSK)


def test_counts_below_one_are_refused() -> None:
    with pytest.raises(InputError, match="at least one token"):
        attention_bias([(1, 1), (0, 2)], 0)


def test_own_means_are_refused() -> None:
    with pytest.raises(InputError, match="rank 1 attends to its own tokens"):
        attention_bias([(1, 1), (2, 1)], 1)
