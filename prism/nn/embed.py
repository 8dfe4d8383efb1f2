"""Embedding of a run of tokens: only their own patches are projected, so a board pays for what it holds.

Shape suffixes: B samples, C channels, Y X pixels, P patches, V values of a patch (C times its pixels), N tokens,
D embedding width.
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.nn import functional

from prism.errors import InputError


def embed_tokens(model: VisionTransformer, images_BCYX: Tensor, tokens: slice) -> Tensor:
    """What enters the first block, for the run `tokens` of the sequence: class token, register tokens, patches.

    A convolution whose stride is its kernel is a linear map of each patch (timm's PatchEmbed).

    Args:
        model: a supported model, see `prism.nn.support`.
        images_BCYX: whole images of the model's size, normalised as the model wants them.
        tokens: first and last token.

    Returns:
        x_BND.

    Raises:
        InputError: images of another size.
    """
    size, channels = model.patch_embed.img_size, model.patch_embed.proj.in_channels
    if images_BCYX.ndim != 4 or tuple(images_BCYX.shape[1:]) != (channels, *size):
        raise InputError(
            f"images of shape {tuple(images_BCYX.shape)} do not suit the model; "
            f"it takes (batch, {channels}, {size[0]}, {size[1]})"
        )
    prefix = model.num_prefix_tokens
    patches = slice(max(tokens.start - prefix, 0), max(tokens.stop - prefix, 0))
    x_BND = _project(model, images_BCYX, patches)
    positions = model.pos_embed
    if positions is not None:
        offset = 0 if model.no_embed_class else prefix
        x_BND = x_BND + positions[:, offset + patches.start : offset + patches.stop]
    if tokens.start < prefix:
        x_BND = torch.cat([_prefix(model, tokens).expand(len(x_BND), -1, -1), x_BND], dim=1)
    embedded: Tensor = model.norm_pre(x_BND)
    return embedded


def _prefix(model: VisionTransformer, tokens: slice) -> Tensor:
    given: list[Tensor] = [token for token in (model.cls_token, model.reg_token) if token is not None]
    prefix_1ND = torch.cat(given, dim=1)
    if model.pos_embed is not None and not model.no_embed_class:
        prefix_1ND = prefix_1ND + model.pos_embed[:, : model.num_prefix_tokens]
    return prefix_1ND[:, tokens]


def _project(model: VisionTransformer, images_BCYX: Tensor, patches: slice) -> Tensor:
    side = model.patch_embed.patch_size[0]
    across = model.patch_embed.grid_size[1]
    first_row, last_row = patches.start // across, -(-patches.stop // across)
    strip_BCYX = images_BCYX[:, :, first_row * side : last_row * side, : across * side]
    batch, channels = strip_BCYX.shape[:2]
    grid = strip_BCYX.reshape(batch, channels, last_row - first_row, side, across, side)
    strip_BPV = grid.permute(0, 2, 4, 1, 3, 5).reshape(batch, (last_row - first_row) * across, channels * side * side)
    own_BPV = strip_BPV[:, patches.start - first_row * across : patches.stop - first_row * across]
    projection = model.patch_embed.proj
    x_BPD: Tensor = model.patch_embed.norm(functional.linear(own_BPV, projection.weight.flatten(1), projection.bias))
    return x_BPD
