from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from prism.errors import InputError  # noqa: E402
from prism.nn.load import load_model  # noqa: E402

pytestmark = pytest.mark.torch

NAME = "test_vit"


def test_the_seed_decides_the_weights_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)

    first, again, other = (load_model(NAME, seed=seed) for seed in (1, 1, 2))

    assert torch.equal(torch.rand(1), expected)
    assert not first.training
    weights = [model.get_submodule("blocks.0.attn.qkv").weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_options_go_to_timm() -> None:
    assert load_model(NAME, num_classes=10).head.out_features == 10


def test_weights_of_a_checkpoint_are_loaded(tmp_path: Path) -> None:
    trained = load_model(NAME, seed=3)
    torch.save(trained.state_dict(), tmp_path / "weights.pth")

    loaded = load_model(NAME, checkpoint=tmp_path / "weights.pth")

    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save(load_model(NAME, num_classes=3).state_dict(), tmp_path / "weights.pth")

    with pytest.raises(InputError, match=r"could not build 'test_vit' with checkpoint .*weights\.pth") as refusal:
        load_model(NAME, checkpoint=tmp_path / "weights.pth")
    assert "\n" not in str(refusal.value)


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'vit_base_patch16_224'"):
        load_model("vit_base_patch16_244")


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_model(NAME, checkpoint=tmp_path / "none.pth")


def test_an_option_timm_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match="could not build 'test_vit' with options"):
        load_model(NAME, colour="red")


def test_a_model_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be split"):
        load_model("test_convnext")


@pytest.mark.parametrize("name", ["gpt2", "bert_base", "vit_base_patch16_224@1025"])
def test_what_only_the_simulator_knows_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match="can be simulated only; boards run timm's Vision Transformers") as refused:
        load_model(name)
    assert "\n" not in str(refused.value)
