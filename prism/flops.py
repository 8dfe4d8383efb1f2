"""FLOPs of one rank's share of a pass, 2 per multiply-add. Norms, activations, softmax and biases are not counted.

Checked against table 3 of arXiv 2605.25682: 35.15 GFLOPs local, 20.37 full_tensor, 17.54 / 17.86 / 18.18 segment_means.
"""

from __future__ import annotations

from prism.shape import TransformerShape


def embed_flops(shape: TransformerShape, patches: int) -> int:
    """Projection of `patches` patches to D numbers each, for one sample.

    Tokens of text are looked up: one addition a number, of its position.
    """
    if shape.text is not None:
        return patches * shape.dim
    return 2 * patches * shape.patch_values * shape.dim


def block_flops(shape: TransformerShape, own_tokens: int, context_tokens: int) -> int:
    """One block for one sample: queries from `own_tokens`, keys and values from `context_tokens` (the paper's X^_p)."""
    d = shape.dim
    queries_and_output = 2 * (2 * own_tokens * d * d)
    keys_and_values = 2 * (2 * context_tokens * d * d)
    attention = 2 * (2 * own_tokens * context_tokens * d)
    mlp = 2 * (2 * own_tokens * d * shape.mlp_hidden)
    return queries_and_output + keys_and_values + attention + mlp


def segment_means_flops(shape: TransformerShape, tokens: int) -> int:
    """Averaging `tokens` tokens into segment means for one sample: one addition a number."""
    return tokens * shape.dim


def pool_flops(shape: TransformerShape, tokens: int) -> int:
    """Summing `tokens` tokens for average pooling, for one sample."""
    return tokens * shape.dim


def head_flops(shape: TransformerShape) -> int:
    """The head for one sample: it reads one vector, also in a causal model."""
    pooler = 2 * shape.dim**2 if shape.text is not None and shape.text.pooler else 0
    return pooler + 2 * shape.dim * shape.classes
