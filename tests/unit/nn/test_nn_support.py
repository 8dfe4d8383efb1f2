from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from timm.models import vision_transformer  # noqa: E402
from torch import nn  # noqa: E402

from prism.catalogue import CATALOGUE  # noqa: E402
from prism.errors import InputError  # noqa: E402
from prism.nn.split import RankModel  # noqa: E402
from prism.nn.support import shape_of_model  # noqa: E402
from prism.plan import Plan  # noqa: E402
from prism.shape import TransformerShape  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", [name for name, shape in CATALOGUE.items() if shape.text is None])
def test_catalogue_has_the_shapes_and_the_weights_of_timms_models(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=1000).eval()  # some names have no head by default

    assert shape_of_model(model) == CATALOGUE[name]
    assert sum(parameter.numel() for parameter in model.parameters()) == CATALOGUE[name].parameters


def test_shape_of_a_model_that_timms_factory_did_not_build(make_model: Callable[..., Any]) -> None:
    model = make_model(reg_tokens=2, global_pool="avg", mlp_ratio=3.0, in_chans=1)

    assert shape_of_model(model) == TransformerShape(
        name="VisionTransformer",
        dim=32,
        depth=3,
        heads=4,
        mlp_hidden=96,
        image_size=40,
        patch_size=8,
        prefix_tokens=3,
        channels=1,
        classes=7,
        pool="average",
    )


REFUSED_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "parallel scaling block": (
        {"block_fn": vision_transformer.ParallelScalingBlock},
        "blocks.0 is timm.models.vision_transformer.ParallelScalingBlock; supported is timm's plain Block",
    ),
    "parallel things block": ({"block_fn": vision_transformer.ParallelThingsBlock}, "ParallelThingsBlock"),
    "post-norm block": ({"block_fn": vision_transformer.ResPostBlock, "init_values": 0.1}, "ResPostBlock"),
    "differential attention": (
        {"attn_layer": "diff"},
        "blocks.0.attn is timm.layers.diff_attention.DiffAttention; supported is timm's plain Attention",
    ),
    "gated MLP": ({"mlp_layer": timm.layers.SwiGLU}, "blocks.0.mlp is timm.layers.mlp.SwiGLU"),
    "map pooling": ({"global_pool": "map"}, "global_pool is 'map'; supported are 'token', 'avg'"),
    "prr pooling": ({"global_pool": "prr"}, "global_pool is 'prr'"),
    "max pooling": ({"global_pool": "max"}, "global_pool is 'max'"),
    "no pooling": ({"global_pool": ""}, "global_pool is ''"),
    "prefix in pool": ({"global_pool": "avg", "pool_include_prefix": True}, "pool_include_prefix"),
    "no head": ({"num_classes": 0}, "it has no classification head; build it with num_classes"),
    "oblong image": ({"img_size": (40, 48)}, r"image size is \(40, 48\); supported are square ones"),
    "oblong patch": ({"patch_size": (8, 4)}, r"patch size is \(8, 4\)"),
    "norm across tokens": ({"norm_layer": "batchnorm2d"}, "norm1 is .*BatchNorm2d.* supported are LayerNorm"),
    "no blocks": ({"depth": 0}, "it has no blocks"),
}


@pytest.mark.parametrize("kind", REFUSED_OPTIONS)
def test_other_kinds_are_refused_by_name(make_model: Callable[..., Any], kind: str) -> None:
    options, message = REFUSED_OPTIONS[kind]
    if kind == "norm across tokens":
        options = {**options, "final_norm": False}
    model = make_model(**options)

    with pytest.raises(InputError, match=message) as refusal:
        RankModel(model, Plan(), 0)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("deit_tiny_distilled_patch16_224", "the model is timm.models.deit.VisionTransformerDistilled"),
        ("vit_relpos_small_patch16_224", "the model is timm.models.vision_transformer_relpos"),
        ("eva02_tiny_patch14_224", "the model is timm.models.eva.Eva"),
        ("vit_tiny_r_s16_p8_224", "patch_embed is timm.layers.hybrid_embed.HybridEmbed|patch_embed is .*Hybrid"),
        ("vit_base_patch16_siglip_224", "global_pool is 'map'"),
        ("resnet18", "model 'resnet18' cannot be split: the model is timm.models.resnet.ResNet"),
    ],
)
def test_timms_other_models_are_refused_by_name(name: str, message: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name).eval()

    with pytest.raises(InputError, match=message):
        shape_of_model(model)


def test_gated_attention_is_refused_by_name(make_model: Callable[..., Any]) -> None:
    model = make_model()
    model.blocks[1].attn.gate = nn.Linear(32, 32)

    with pytest.raises(InputError, match=r"blocks\.1\.attn is gated"):
        shape_of_model(model)


def test_a_replaced_projection_is_refused_by_name(make_model: Callable[..., Any]) -> None:
    class Adapter(nn.Linear):
        pass

    model = make_model()
    model.blocks[2].attn.qkv = Adapter(32, 96)

    with pytest.raises(InputError, match=r"blocks\.2\.attn\.qkv is .*Adapter; supported is timm's plain Linear"):
        shape_of_model(model)


def test_blocks_of_different_widths_are_refused(make_model: Callable[..., Any]) -> None:
    model = make_model()
    model.blocks[1] = make_model(num_heads=2).blocks[0]

    with pytest.raises(InputError, match="its blocks differ in heads or MLP width"):
        shape_of_model(model)


def test_training_mode_is_refused(make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"training mode; call model.eval\(\) first"):
        shape_of_model(make_model().train())
