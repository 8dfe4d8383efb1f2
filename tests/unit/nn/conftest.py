"""Small models for the tests of `prism.nn`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small lose more by handing work to a second thread than they gain."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_model() -> Callable[..., Any]:
    """A VisionTransformer of 5 x 5 patches in eval mode, none of whose weights is 0, 1 or tiny.

    timm starts biases at 0, norms at 1 and LayerScale near 0: a split that forgot one of them would pass.
    """
    torch = pytest.importorskip("torch")
    vision_transformer = pytest.importorskip("timm.models.vision_transformer")

    def make(**options: Any) -> Any:
        small = {"img_size": 40, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4, "num_classes": 7}
        model = vision_transformer.VisionTransformer(**{**small, **options}).eval()
        generator = torch.Generator().manual_seed(20)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        return model

    return make


@pytest.fixture
def images() -> Any:
    """Three images for `make_model`'s models."""
    torch = pytest.importorskip("torch")
    return torch.randn(3, 3, 40, 40, generator=torch.Generator().manual_seed(21))
