"""Which of timm's models can be split, and what shape they have. Everything else is refused by the module's name."""

from __future__ import annotations

from collections.abc import Iterator

from timm.layers.attention import Attention
from timm.layers.layer_scale import LayerScale
from timm.layers.mlp import Mlp
from timm.layers.norm import RmsNorm
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from prism.errors import InputError
from prism.shape import Pool, TransformerShape

_POOLS: dict[str, Pool] = {"token": "token", "avg": "average"}

#: Norms of one token at a time. A norm across tokens would need what the other boards hold.
_NORMS = (nn.LayerNorm, nn.RMSNorm, RmsNorm, nn.Identity)


def shape_of_model(model: nn.Module) -> TransformerShape:
    """The shape of a timm VisionTransformer that Prism can split.

    Raises:
        InputError: the model, or a module of it, is of a kind that cannot be split; the message names it.
    """
    vit = require_supported(model)
    heads, mlp_hidden = _widths(vit.blocks[0])
    patch_embed = vit.patch_embed
    return TransformerShape(
        name=name_of(vit),
        dim=vit.embed_dim,
        depth=len(vit.blocks),
        heads=heads,
        mlp_hidden=mlp_hidden,
        image_size=patch_embed.img_size[0],
        patch_size=patch_embed.patch_size[0],
        prefix_tokens=vit.num_prefix_tokens,
        channels=patch_embed.proj.in_channels,
        classes=vit.num_classes,
        pool=_POOLS[vit.global_pool],
    )


def name_of(model: nn.Module) -> str:
    """Name that timm has for the model, or the name of its class if timm's factory did not build it."""
    config = getattr(model, "pretrained_cfg", None) or {}
    return str(config.get("architecture") or type(model).__name__)


def require_supported(model: nn.Module) -> VisionTransformer:
    """The model, if Prism can split it.

    Raises:
        InputError: it cannot; the message names the module and says what is supported.
    """
    # The first problem ends the search: a later question may presume that the earlier ones were answered well.
    for problem in _problems(model):
        raise InputError(f"model {name_of(model)!r} cannot be split: {problem}")
    assert isinstance(model, VisionTransformer)
    return model


def _problems(vit: nn.Module) -> Iterator[str]:
    yield from _kind("the model", vit, VisionTransformer)
    assert isinstance(vit, VisionTransformer)
    yield from _embedding_problems(vit)
    if vit.attn_pool is not None or vit.global_pool not in _POOLS:
        yield f"global_pool is {vit.global_pool!r}; supported are {', '.join(map(repr, _POOLS))}"
    if vit.global_pool == "avg" and vit.pool_include_prefix:
        yield "pool_include_prefix averages class and register tokens in; supported is the average over patches"
    if vit.num_classes == 0:
        yield "it has no classification head; build it with num_classes, such as num_classes=1000"
    yield from _kind("head", vit.head, nn.Linear)
    for name in ("norm_pre", "norm", "fc_norm"):
        yield from _norm(name, getattr(vit, name))
    if len(vit.blocks) == 0:
        yield "it has no blocks"
    for index, block in enumerate(vit.blocks):
        yield from _block_problems(f"blocks.{index}", block, vit.embed_dim)
    if len({_widths(block) for block in vit.blocks}) > 1:
        yield "its blocks differ in heads or MLP width; supported are equal blocks"
    if vit.training:
        yield "it is in training mode; call model.eval() first"


def _embedding_problems(vit: VisionTransformer) -> Iterator[str]:
    patch_embed = vit.patch_embed
    yield from _kind("patch_embed", patch_embed, PatchEmbed)
    yield from _kind("patch_embed.proj", patch_embed.proj, nn.Conv2d)
    yield from _norm("patch_embed.norm", patch_embed.norm)
    for name, size in (("image", patch_embed.img_size), ("patch", patch_embed.patch_size)):
        if size is None or size[0] != size[1]:
            yield f"its {name} size is {size}; supported are square ones"


def _block_problems(name: str, block: nn.Module, dim: int) -> Iterator[str]:
    yield from _kind(name, block, Block)
    assert isinstance(block, Block)
    attention, mlp = block.attn, block.mlp
    yield from _kind(f"{name}.attn", attention, Attention)
    assert isinstance(attention, Attention)
    yield from _kind(f"{name}.attn.qkv", attention.qkv, nn.Linear)
    if getattr(attention, "gate", None) is not None:  # timm before 1.0.31 has no gated Attention
        yield f"{name}.attn is gated; supported is plain Attention without a gate"
    if attention.num_heads * attention.head_dim != dim:
        yield f"{name}.attn is {attention.num_heads * attention.head_dim} wide; supported is the embedding width {dim}"
    yield from _kind(f"{name}.mlp", mlp, Mlp)
    assert isinstance(mlp, Mlp)
    yield from _kind(f"{name}.mlp.fc1", mlp.fc1, nn.Linear)
    norms = {
        "norm1": block.norm1,
        "norm2": block.norm2,
        "attn.q_norm": attention.q_norm,
        "attn.k_norm": attention.k_norm,
        "attn.norm": attention.norm,
        "mlp.norm": mlp.norm,
    }
    for part, norm in norms.items():
        yield from _norm(f"{name}.{part}", norm)
    for part, scale in (("ls1", block.ls1), ("ls2", block.ls2)):
        if not isinstance(scale, (LayerScale, nn.Identity)):
            yield f"{name}.{part} is {_kind_of(scale)}; supported is LayerScale or none"


def _kind(name: str, module: object, wanted: type[nn.Module]) -> Iterator[str]:
    """Exactly the wanted class: a subclass may do anything in its forward, which the split would not call."""
    if type(module) is not wanted:
        yield f"{name} is {_kind_of(module)}; supported is timm's plain {wanted.__name__}"


def _norm(name: str, module: object) -> Iterator[str]:
    if not isinstance(module, _NORMS):
        yield f"{name} is {_kind_of(module)}; supported are LayerNorm and RmsNorm"


def _kind_of(module: object) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _widths(block: nn.Module) -> tuple[int, int]:
    """Heads and MLP width of a block of the supported kind."""
    assert isinstance(block, Block)
    assert isinstance(block.attn, Attention)
    assert isinstance(block.mlp, Mlp)
    hidden: nn.Module = block.mlp.fc1
    assert isinstance(hidden, nn.Linear)
    return block.attn.num_heads, hidden.out_features
