"""timm's models by name, with timm's own means of getting weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from prism.catalogue import CATALOGUE
from prism.errors import InputError, unknown
from prism.nn.support import require_supported


def load_model(
    name: str, *, pretrained: bool = False, checkpoint: Path | None = None, seed: int = 0, **options: Any
) -> VisionTransformer:
    """A model that Prism can split, in eval mode, with the same weights on every board.

    Args:
        name: timm's name, with a tag for particular weights, such as ``vit_base_patch16_224.augreg_in21k``.
        pretrained: whether timm fetches the published weights.
        checkpoint: file of weights that timm reads (.pth, .safetensors), used after any others.
        seed: of the random weights, where neither gives any. The global generator is left as it was.
        options: passed on to `timm.create_model`, such as ``num_classes=10``.

    Raises:
        InputError: an unknown name, weights that cannot be had or do not fit, or a model that cannot be split.
    """
    if not timm.is_model(name):
        raise _not_timms(name)
    if checkpoint is not None and not checkpoint.is_file():
        raise InputError(f"checkpoint {checkpoint} does not exist")
    path = "" if checkpoint is None else str(checkpoint)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = timm.create_model(name, pretrained=pretrained, checkpoint_path=path, **options)
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            source = f"checkpoint {path}" if path else "pretrained weights" if pretrained else f"options {options}"
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"timm could not build {name!r} with {source}: {reason}") from error
    return require_supported(model.eval())


def _not_timms(name: str) -> InputError:
    """Why boards cannot run it: the simulator knows it alone, or nobody does."""
    if name.partition("@")[0] in CATALOGUE:
        return InputError(
            f"model {name!r} can be simulated only; boards run timm's Vision Transformers at their own length, "
            "such as 'vit_base_patch16_224'"
        )
    return unknown("model", name, timm.list_models())
