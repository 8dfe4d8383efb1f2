"""The models Prism knows by name. Sizes are those of timm's models of the same name; N follows from image and patch."""

from __future__ import annotations

from prism.errors import unknown
from prism.shape import TransformerShape

#: Family -> (dim, depth, heads). Dosovitskiy et al. 2021, table 1 (B, L, H); Touvron et al. 2021, table 1 (Ti, S).
_FAMILIES = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}

#: Prefix, family, patch size, image sizes.
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


def _shape(name: str, family: str, patch_size: int, image_size: int) -> TransformerShape:
    dim, depth, heads = _FAMILIES[family]
    return TransformerShape(
        name=name,
        dim=dim,
        depth=depth,
        heads=heads,
        mlp_hidden=4 * dim,
        image_size=image_size,
        patch_size=patch_size,
    )


CATALOGUE: dict[str, TransformerShape] = {
    name: _shape(name, family, patch_size, image_size)
    for prefix, family, patch_size, image_sizes in _MODELS
    for image_size in image_sizes
    for name in [f"{prefix}_{family}_patch{patch_size}_{image_size}"]
}


def shape_of(name: str) -> TransformerShape:
    """The shape of the model called `name`.

    Raises:
        InputError: no such model in the catalogue.
    """
    try:
        return CATALOGUE[name]
    except KeyError:
        raise unknown("model", name, CATALOGUE) from None
