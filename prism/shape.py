"""The shape of a Transformer: every number that decides its FLOPs, bytes and memory, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import Literal

from prism.errors import InputError
from prism.stored import Stored
from prism.units import check_range

Pool = Literal["token", "average"]

#: Longest sequence: 64 x 64 patches and a class token.
MAX_TOKENS = 4097


@dataclass(frozen=True)
class TextInput(Stored):
    """What a model of text reads: token ids.

    Attributes:
        tokens: sequence length N.
        vocabulary: rows of the token embedding.
        positions: rows of the position embedding; at least `tokens`.
        token_types: rows of the embedding of token types; 0 where there is none.
        pooler: whether a dense layer of D x D stands before the head.
        tied_head: whether the head has the token embedding's weights, and none of its own.
    """

    tokens: int
    vocabulary: int
    positions: int
    token_types: int = 0
    pooler: bool = False
    tied_head: bool = False


@dataclass(frozen=True)
class TransformerShape(Stored):
    """A Transformer encoder or decoder with a linear head: a Vision Transformer, or a model of text.

    Attributes:
        name: timm's name of the model, or its published name.
        dim: embedding width D.
        depth: number of blocks.
        heads: attention heads; divides `dim`.
        mlp_hidden: hidden width of a block's MLP.
        image_size: side of the square input image in pixels; 0 for text.
        patch_size: side of a patch in pixels; divides `image_size`; 0 for text.
        prefix_tokens: class and register tokens in front of the patches. They belong to the terminal device. Of text,
            the token that the head reads: the first one, or the last one of a causal model.
        channels: colour channels of the image.
        classes: outputs of the head.
        pool: what the head reads: the class token, or the average over patch tokens.
        text: what a model of text reads; None for images.
        causal: whether a token attends to earlier ones only. The terminal device then holds the end of the sequence.
    """

    name: str
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    image_size: int = 0
    patch_size: int = 0
    prefix_tokens: int = 1
    channels: int = 3
    classes: int = 1000
    pool: Pool = "token"
    text: TextInput | None = None
    causal: bool = False

    def __post_init__(self) -> None:
        if self.text is None:
            self._check_at_least_one("image_size", "patch_size")
        elif self.image_size or self.patch_size:
            raise InputError(f"shape {self.name!r} reads text: image_size and patch_size must be 0")
        self._check_at_least_one("dim", "depth", "heads", "mlp_hidden", "channels", "classes")
        if self.prefix_tokens < 0:
            raise InputError(f"shape {self.name!r}: prefix_tokens = {self.prefix_tokens} must not be negative")
        if self.dim % self.heads:
            raise InputError(f"shape {self.name!r}: dim {self.dim} is not a multiple of heads {self.heads}")
        if self.text is None and self.image_size % self.patch_size:
            raise InputError(
                f"shape {self.name!r}: image size {self.image_size} is not a multiple of patch size {self.patch_size}"
            )
        if self.pool == "token" and self.prefix_tokens == 0:
            raise InputError(f"shape {self.name!r}: pool 'token' needs at least one prefix token")
        if self.text is not None and not self.prefix_tokens <= self.text.tokens <= self.text.positions:
            raise InputError(f"shape {self.name!r}: {self.text.tokens} tokens for {self.text.positions} positions")

    def _check_at_least_one(self, *fields: str) -> None:
        for field in fields:
            if getattr(self, field) < 1:
                raise InputError(f"shape {self.name!r}: {field} = {getattr(self, field)} must be at least 1")

    @property
    def patches(self) -> int:
        """Patch tokens of one image; of text, the tokens beside the one that the head reads."""
        if self.text is not None:
            return self.text.tokens - self.prefix_tokens
        return (self.image_size // self.patch_size) ** 2

    @property
    def tokens(self) -> int:
        """Sequence length N: prefix tokens and patches."""
        return self.prefix_tokens + self.patches

    @property
    def patch_values(self) -> int:
        """Numbers in one patch: channels times its pixels; 0 for text, whose tokens are looked up."""
        return self.channels * self.patch_size**2

    @property
    def image_values(self) -> int:
        """Numbers in one input: channels times an image's pixels, or one id a token of text."""
        return self.channels * self.image_size**2 if self.text is None else self.text.tokens

    @property
    def embedding_parameters(self) -> int:
        """Weights before the first block."""
        d = self.dim
        if self.text is not None:
            return (self.text.vocabulary + self.text.positions + self.text.token_types) * d
        return d * self.patch_values + d + self.tokens * d + self.prefix_tokens * d

    @property
    def block_parameters(self) -> int:
        """Weights of one block."""
        d, f = self.dim, self.mlp_hidden
        return (3 * d * d + 3 * d) + (d * d + d) + (2 * d * f + f + d) + 4 * d

    @property
    def head_parameters(self) -> int:
        """Weights of the head, of what stands before it, and of the LayerNorm that belongs to no block."""
        d = self.dim
        head = d * self.classes + self.classes
        if self.text is None:
            return 2 * d + head
        pooler = d * d + d if self.text.pooler else 0
        return 2 * d + pooler + (0 if self.text.tied_head else head)

    @property
    def parameters(self) -> int:
        """Weights of the whole model, biases and LayerNorms included (86,567,656 for ViT-B/16, as timm counts)."""
        return self.embedding_parameters + self.depth * self.block_parameters + self.head_parameters

    def with_tokens(self, tokens: int) -> TransformerShape:
        """The same model on a sequence of `tokens`: a larger or smaller image, or a longer or shorter text.

        Position embeddings grow with it where the published ones do not reach: by interpolation for images, as timm
        does, and by training for text. What that does to accuracy is not said here.

        Raises:
            InputError: more than `MAX_TOKENS`, or patches that make no square image.
        """
        if tokens == self.tokens:
            return self
        check_range("tokens", tokens, self.prefix_tokens + 1, MAX_TOKENS)
        name = f"{self.name.partition('@')[0]}@{tokens}"
        if self.text is not None:
            text = replace(self.text, tokens=tokens, positions=max(tokens, self.text.positions))
            return replace(self, name=name, text=text)
        side = isqrt(tokens - self.prefix_tokens)
        if side * side != tokens - self.prefix_tokens:
            near = " or ".join(str(self.prefix_tokens + each * each) for each in (side, side + 1) if each)
            raise InputError(f"tokens = {tokens}: the patches of {self.name} make no square image; use {near}")
        return replace(self, name=name, image_size=side * self.patch_size)
