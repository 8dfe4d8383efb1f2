"""The shape of a Transformer: every number that decides its FLOPs, bytes and memory, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prism.errors import InputError
from prism.stored import Stored

Pool = Literal["token", "average"]


@dataclass(frozen=True)
class TransformerShape(Stored):
    """A Vision Transformer encoder with a linear classification head.

    Attributes:
        name: timm's name of the model.
        dim: embedding width D.
        depth: number of blocks.
        heads: attention heads; divides `dim`.
        mlp_hidden: hidden width of a block's MLP.
        image_size: side of the square input image in pixels.
        patch_size: side of a patch in pixels; divides `image_size`.
        prefix_tokens: class and register tokens in front of the patches. They belong to the terminal device.
        channels: colour channels of the image.
        classes: outputs of the head.
        pool: what the head reads: the class token, or the average over patch tokens.
    """

    name: str
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    image_size: int
    patch_size: int
    prefix_tokens: int = 1
    channels: int = 3
    classes: int = 1000
    pool: Pool = "token"

    def __post_init__(self) -> None:
        for field in ("dim", "depth", "heads", "mlp_hidden", "image_size", "patch_size", "channels", "classes"):
            if getattr(self, field) < 1:
                raise InputError(f"shape {self.name!r}: {field} = {getattr(self, field)} must be at least 1")
        if self.prefix_tokens < 0:
            raise InputError(f"shape {self.name!r}: prefix_tokens = {self.prefix_tokens} must not be negative")
        if self.dim % self.heads:
            raise InputError(f"shape {self.name!r}: dim {self.dim} is not a multiple of heads {self.heads}")
        if self.image_size % self.patch_size:
            raise InputError(
                f"shape {self.name!r}: image size {self.image_size} is not a multiple of patch size {self.patch_size}"
            )
        if self.pool == "token" and self.prefix_tokens == 0:
            raise InputError(f"shape {self.name!r}: pool 'token' needs at least one prefix token")

    @property
    def patches(self) -> int:
        """Patch tokens of one image."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def tokens(self) -> int:
        """Sequence length N: prefix tokens and patches."""
        return self.prefix_tokens + self.patches

    @property
    def patch_values(self) -> int:
        """Numbers in one patch: channels times its pixels."""
        return self.channels * self.patch_size**2

    @property
    def image_values(self) -> int:
        """Numbers in one image: channels times its pixels."""
        return self.channels * self.image_size**2

    @property
    def parameters(self) -> int:
        """Weights of the whole model, biases and LayerNorms included (86,567,656 for ViT-B/16, as timm counts)."""
        d, f = self.dim, self.mlp_hidden
        embedding = d * self.patch_values + d + self.tokens * d + self.prefix_tokens * d
        block = (3 * d * d + 3 * d) + (d * d + d) + (2 * d * f + f + d) + 4 * d
        head = 2 * d + d * self.classes + self.classes
        return embedding + self.depth * block + head
