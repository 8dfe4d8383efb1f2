"""What cannot be a Transformer is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from tests.helpers.systems import SMALL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 0}, "dim = 0 must be at least 1"),
        ({"depth": -1}, "depth = -1"),
        ({"classes": 0}, "classes = 0"),
        ({"channels": 0}, "channels = 0"),
        ({"mlp_hidden": 0}, "mlp_hidden = 0"),
        ({"heads": 0}, "heads = 0"),
        ({"heads": 3}, "dim 8 is not a multiple of heads 3"),
        ({"patch_size": 5}, "image size 12 is not a multiple of patch size 5"),
        ({"prefix_tokens": -1}, "prefix_tokens = -1 must not be negative"),
        ({"prefix_tokens": 0}, "pool 'token' needs at least one prefix token"),
    ],
)
def test_impossible_shapes(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SMALL, **change)


def test_an_average_needs_no_prefix_token() -> None:
    assert replace(SMALL, prefix_tokens=0, pool="average").tokens == 9


def test_parameters_by_hand() -> None:
    # Patches, positions, class token; attention, MLP and norms of a block; last norm and head.
    block = 4 * (64 + 8) + 2 * 256 + 32 + 8 + 32
    assert SMALL.parameters == (384 + 8) + 80 + 8 + 3 * block + 16 + 9000


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown model 'vit_bas_patch16_224'; did you mean 'vit_base_patch16_224'"):
        shape_of("vit_bas_patch16_224")
