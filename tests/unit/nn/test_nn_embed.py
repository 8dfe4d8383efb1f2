from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from prism.nn.embed import embed_tokens  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_token": False, "global_pool": "avg"},
        {"reg_tokens": 2},
        {"reg_tokens": 2, "no_embed_class": True},
        {"pos_embed": "none"},
        {"pre_norm": True, "embed_norm_layer": "layernorm"},
        {"in_chans": 1},
    ],
    ids=str,
)
def test_every_run_of_tokens_is_embedded_as_timm_embeds_it(
    make_model: Callable[..., Any], options: dict[str, Any]
) -> None:
    model = make_model(**options)
    images_BCYX = torch.randn(2, model.in_chans, 40, 40)
    with torch.no_grad():
        wanted_BND = model.norm_pre(model._pos_embed(model.patch_embed(images_BCYX)))
        tokens = wanted_BND.shape[1]
        for first in range(tokens):
            for last in range(first + 1, tokens + 1):
                given_BND = embed_tokens(model, images_BCYX, slice(first, last))
                torch.testing.assert_close(given_BND, wanted_BND[:, first:last], rtol=1e-4, atol=1e-4)


def test_only_the_strip_of_the_image_with_the_ranks_patches_is_read(make_model: Callable[..., Any]) -> None:
    """What lies outside may be missing: a NaN there would spread to all it touches."""
    model = make_model()
    images_BCYX = torch.full((1, 3, 40, 40), float("nan"))
    images_BCYX[:, :, 8:24] = 1.0

    assert embed_tokens(model, images_BCYX, slice(1 + 5, 1 + 15)).isfinite().all()
