"""What cannot be a Transformer is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.memory import memory_use
from prism.plan import Plan
from prism.schedule import build_schedule
from prism.shape import MAX_TOKENS
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


@pytest.mark.parametrize(("name", "tokens"), [("vit_base_patch16_224", 4097), ("bert_base", 4096), ("gpt2", 2048)])
def test_a_longer_sequence_has_a_name_of_its_own_that_reads_back(name: str, tokens: int) -> None:
    short, long = shape_of(name), shape_of(f"{name}@{tokens}")
    assert (long.tokens, long.name) == (tokens, f"{name}@{tokens}")
    assert shape_of(long.name) == long == long.with_tokens(tokens)
    assert long.with_tokens(short.tokens) == replace(
        short, name=f"{name}@{short.tokens}", text=long.with_tokens(short.tokens).text
    )
    assert (
        build_schedule(long, Plan("segment_means", 8, 10), 1).flops(0) > build_schedule(short, Plan(), 1).flops(0) / 8
    )


def test_the_models_own_length_keeps_its_name_and_counts_as_measured() -> None:
    assert shape_of("vit_base_patch16_224@197") is shape_of("vit_base_patch16_224")


def test_position_embeddings_grow_only_past_the_published_ones() -> None:
    bert = shape_of("bert_base")
    assert bert.with_tokens(128).parameters == bert.parameters
    assert bert.with_tokens(1024).parameters == bert.parameters + 512 * 768


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit_base_patch16_224@500", "make no square image; use 485 or 530"),
        ("vit_base_patch16_224@1", "tokens = 1 is out of range"),
        (f"bert_base@{MAX_TOKENS + 1}", "tokens = 4098 is out of range"),
        ("bert_base@", "'' is not a number of tokens; write for example bert_base@1025"),
        ("bert_base@-3", "'-3' is not a number of tokens"),
        ("bert_basis@128", "did you mean 'bert_base'"),
    ],
)
def test_lengths_that_cannot_be(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        shape_of(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 224}, "reads text: image_size and patch_size must be 0"),
        ({"prefix_tokens": 513}, "512 tokens for"),
    ],
)
def test_impossible_texts(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(shape_of("bert_base"), **change)


def test_text_is_sent_as_ids_and_looked_up() -> None:
    plan = Plan("segment_means", 2, 10, input_distribution="image")
    schedule = build_schedule(shape_of("bert_base"), plan, 3)
    (sent,) = (step for step in schedule.ranks[0] if getattr(step, "name", None) == "input")
    assert sent.message.nbytes == 3 * 512 * 4  # type: ignore[union-attr]
    use = memory_use(schedule, 0)
    assert use.weights_bytes == 4 * shape_of("bert_base").parameters
