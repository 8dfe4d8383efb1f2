"""The models Prism knows by name: timm's Vision Transformers, BERT and GPT-2. ``name@tokens`` is another length."""

from __future__ import annotations

from prism.errors import InputError, unknown
from prism.shape import TextInput, TransformerShape

#: Family -> (dim, depth, heads). Dosovitskiy et al. 2021, table 1 (B, L, H); Touvron et al. 2021, table 1 (Ti, S).
_FAMILIES = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}

#: Prefix, family, patch size, image sizes. N follows from image and patch.
_MODELS = (
    ("vit", "tiny", 16, (224, 384)),
    ("vit", "small", 16, (224, 384)),
    ("vit", "small", 32, (224, 384)),
    ("vit", "base", 8, (224,)),
    ("vit", "base", 16, (224, 384)),
    ("vit", "base", 32, (224, 384)),
    ("vit", "large", 16, (224, 384)),
    ("vit", "large", 32, (384,)),
    ("vit", "huge", 14, (224,)),
    ("deit", "tiny", 16, (224,)),
    ("deit", "small", 16, (224,)),
    ("deit", "base", 16, (224, 384)),
)

#: Devlin et al. 2019, section 3 (arXiv 1810.04805): L, H, A; the uncased vocabulary of 30,522 pieces, 512 positions.
_BERT = {"bert_base": (768, 12, 12), "bert_large": (1024, 24, 16)}
#: Radford et al. 2019, table 2: widths and depths; heads of 64 numbers; 50,257 byte pairs, 1,024 positions.
_GPT2 = {"gpt2": (768, 12, 12), "gpt2_medium": (1024, 24, 16), "gpt2_large": (1280, 36, 20), "gpt2_xl": (1600, 48, 25)}


def _vit(name: str, family: str, patch_size: int, image_size: int) -> TransformerShape:
    dim, depth, heads = _FAMILIES[family]
    return TransformerShape(name, dim, depth, heads, 4 * dim, image_size, patch_size)


def _bert(name: str) -> TransformerShape:
    """With the pooler and a head of two classes, as for the sentence tasks of GLUE."""
    dim, depth, heads = _BERT[name]
    text = TextInput(tokens=512, vocabulary=30_522, positions=512, token_types=2, pooler=True)
    return TransformerShape(name, dim, depth, heads, 4 * dim, classes=2, text=text)


def _gpt2(name: str) -> TransformerShape:
    """One pass over a whole prompt: the head says the token after the last one."""
    dim, depth, heads = _GPT2[name]
    text = TextInput(tokens=1024, vocabulary=50_257, positions=1024, tied_head=True)
    return TransformerShape(name, dim, depth, heads, 4 * dim, classes=50_257, text=text, causal=True)


CATALOGUE: dict[str, TransformerShape] = {
    name: _vit(name, family, patch_size, image_size)
    for prefix, family, patch_size, image_sizes in _MODELS
    for image_size in image_sizes
    for name in [f"{prefix}_{family}_patch{patch_size}_{image_size}"]
} | {shape.name: shape for shape in (*map(_bert, _BERT), *map(_gpt2, _GPT2))}


def shape_of(name: str) -> TransformerShape:
    """The shape of the model called `name`, on another sequence length where the name ends in ``@tokens``.

    Raises:
        InputError: no such model in the catalogue, or a length that it cannot have.
    """
    model, at, tokens = name.partition("@")
    if model not in CATALOGUE:
        raise unknown("model", model, CATALOGUE)
    if not at:
        return CATALOGUE[model]
    if not (tokens.isascii() and tokens.isdigit()):
        raise InputError(f"model {name!r}: {tokens!r} is not a number of tokens; write for example {model}@1025")
    return CATALOGUE[model].with_tokens(int(tokens[:9]))
