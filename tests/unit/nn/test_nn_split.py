from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from prism.errors import InputError  # noqa: E402
from prism.nn.in_process import run_in_process  # noqa: E402
from prism.nn.run import run_rank  # noqa: E402
from prism.nn.segment_means import PREFIX_TOKENS  # noqa: E402
from prism.nn.split import RankModel  # noqa: E402
from prism.plan import INPUTS, Plan  # noqa: E402
from prism.schedule import Compute, build_schedule  # noqa: E402

pytestmark = pytest.mark.torch

TOLERANCE = 1e-4

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no biases": {"qkv_bias": False, "proj_bias": False},
    "qk_norm": {"qk_norm": True},
    "layer scale": {"init_values": 1e-5},
    "registers": {"reg_tokens": 3},
    "registers without positions": {"reg_tokens": 2, "no_embed_class": True},
    "average": {"global_pool": "avg"},
    "average, norm before pooling": {"global_pool": "avg", "fc_norm": False, "reg_tokens": 1},
    "average without class token": {"global_pool": "avg", "class_token": False},
    "token, norm after pooling": {"fc_norm": True},
    "pre-norm": {"pre_norm": True, "embed_norm_layer": "layernorm"},
    "no positions": {"pos_embed": "none"},
    "norms inside attention and MLP": {"scale_attn_norm": True, "scale_mlp_norm": True},
    "RmsNorm": {"norm_layer": "rmsnorm", "qk_norm": True},
    "dynamic image size": {"dynamic_img_size": True},
    "dropout, off in eval": {"drop_rate": 0.5, "drop_path_rate": 0.5, "patch_drop_rate": 0.5, "attn_drop_rate": 0.5},
}


def split_logits(model: Any, plan: Plan, images: Any, **options: Any) -> Any:
    return run_in_process([RankModel(model, plan, rank, **options) for rank in range(plan.devices)], images)


def unsplit_logits(model: Any, images: Any, **options: Any) -> Any:
    with torch.no_grad():
        return model(images, **options)


def relative_error(given: Any, wanted: Any) -> float:
    return float((given - wanted).norm() / wanted.norm())


def whole_partitions(plan: Plan, tokens: int) -> Plan:
    """The plan in segment_means, with a segment for every token of the largest partition."""
    return replace(plan, mode="segment_means", segments=max(plan.partition(tokens)))


@pytest.mark.parametrize("devices", [1, 2, 3, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_split_equals_unsplit(make_model: Callable[..., Any], images: Any, variant: str, devices: int) -> None:
    """25 patches and 0 to 4 prefix tokens: nearly every combination is uneven."""
    model = make_model(**VARIANTS[variant])
    wanted_BO = unsplit_logits(model, images)
    if devices == 1:
        plans = [Plan()]
    else:
        full = Plan(mode="full_tensor", devices=devices)
        plans = [full, whole_partitions(full, model.num_prefix_tokens + 25)]
    for plan in plans:
        assert relative_error(split_logits(model, plan, images), wanted_BO) <= TOLERANCE, plan.label


@pytest.mark.parametrize("shares", [(5, 1), (1.5, 4), (1, 2, 6), (7, 1, 1, 2.5)])
@pytest.mark.parametrize("pool", ["avg", "token"])
def test_unequal_shares_equal_unsplit(
    make_model: Callable[..., Any], images: Any, shares: tuple[float, ...], pool: str
) -> None:
    model = make_model(global_pool=pool)
    full = Plan(mode="full_tensor", devices=len(shares), shares=shares)
    wanted_BO = unsplit_logits(model, images)
    for plan in (full, whole_partitions(full, 26)):
        assert relative_error(split_logits(model, plan, images), wanted_BO) <= TOLERANCE


@pytest.mark.parametrize("first_exchange", [True, False])
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("segments", [None, 4])
def test_how_the_input_gets_there_changes_nothing(
    make_model: Callable[..., Any], images: Any, segments: int | None, inputs: Any, first_exchange: bool
) -> None:
    model = make_model(reg_tokens=2)
    plan = Plan("full_tensor" if segments is None else "segment_means", 3, segments)
    planned = replace(plan, input_distribution=inputs, first_exchange=first_exchange)

    given_BO = split_logits(model, planned, images)

    assert relative_error(given_BO, split_logits(model, plan, images)) <= TOLERANCE


@pytest.mark.parametrize("prefix", PREFIX_TOKENS)
def test_means_make_a_difference_and_a_smaller_one_with_more_segments_kept_whole(
    make_model: Callable[..., Any], images: Any, prefix: Any
) -> None:
    """Guards the equalities above against a split that never compresses."""
    model = make_model(reg_tokens=1)
    wanted_BO = unsplit_logits(model, images)
    errors = [
        relative_error(split_logits(model, Plan("segment_means", 2, segments), images, prefix=prefix), wanted_BO)
        for segments in (4, 14)
    ]
    assert errors[0] > 1e-3
    assert errors[1] <= TOLERANCE


def test_prefix_tokens_apart_and_averaged_differ(make_model: Callable[..., Any], images: Any) -> None:
    model, plan = make_model(), Plan("segment_means", 2, 4)
    averaged_BO, apart_BO = (split_logits(model, plan, images, prefix=prefix) for prefix in PREFIX_TOKENS)

    assert relative_error(apart_BO, averaged_BO) > 1e-3
    assert torch.equal(split_logits(model, plan, images), averaged_BO)


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_causal_split_equals_causal_unsplit(make_model: Callable[..., Any], images: Any, devices: int) -> None:
    model = make_model(global_pool="avg")
    plan = Plan() if devices == 1 else Plan("full_tensor", devices)

    given_BO = split_logits(model, plan, images, causal=True)

    assert relative_error(given_BO, unsplit_logits(model, images, is_causal=True)) <= TOLERANCE
    assert relative_error(given_BO, unsplit_logits(model, images)) > 1e-3


def test_float16_wire_rounds_what_is_exchanged_and_only_that(make_model: Callable[..., Any], images: Any) -> None:
    model = make_model(global_pool="avg")
    wanted_BO = unsplit_logits(model, images)

    given_BO = split_logits(model, Plan("full_tensor", 2, wire_dtype="float16"), images)

    assert 1e-6 < relative_error(given_BO, wanted_BO) < 1e-2
    assert relative_error(split_logits(model, Plan(wire_dtype="float16"), images), wanted_BO) < 1e-6


def test_two_runs_are_equal_to_the_bit(make_model: Callable[..., Any], images: Any) -> None:
    model, plan = make_model(), Plan("segment_means", 4, 3)

    assert torch.equal(split_logits(model, plan, images), split_logits(model, plan, images))


def test_the_model_is_left_as_it_was(make_model: Callable[..., Any], images: Any) -> None:
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modules = list(model.modules())

    split_logits(model, Plan("segment_means", 3, 2), images)

    assert list(model.modules()) == modules
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("first_exchange", [True, False])
@pytest.mark.parametrize(
    "plan", [Plan(), Plan("full_tensor", 3), Plan("segment_means", 3, 2)], ids=lambda plan: plan.mode
)
def test_matrix_products_cost_the_schedules_flops(
    make_model: Callable[..., Any], images: Any, plan: Plan, inputs: Any, first_exchange: bool
) -> None:
    """torch's own counter counts 2 FLOPs per multiply-add as well, and no additions of means and pools."""
    model = make_model(global_pool="avg", reg_tokens=1)
    plan = replace(plan, input_distribution=inputs, first_exchange=first_exchange)
    counted: dict[int, list[tuple[str, int]]] = {rank: [] for rank in range(plan.devices)}

    class Counting(RankModel):
        def _count(self, name: str, work: Callable[[], Any]) -> Any:
            with FlopCounterMode(display=False) as counter:
                result = work()
            counted[self.rank].append((name, counter.get_total_flops()))
            return result

        def embed(self, images_BCYX: Any) -> Any:
            return self._count("embed", lambda: super(Counting, self).embed(images_BCYX))

        def block(self, index: int, x_BND: Any, received: Any) -> Any:
            return self._count("block", lambda: super(Counting, self).block(index, x_BND, received))

        def head(self, pooled: Any) -> Any:
            return self._count("head", lambda: super(Counting, self).head(pooled))

    ranks = [Counting(model, plan, rank) for rank in range(plan.devices)]
    with sdpa_kernel(SDPBackend.MATH):  # the counter knows no fused attention on the CPU
        run_in_process(ranks, images)

    schedule = build_schedule(ranks[0].shape, plan, len(images))
    for rank, steps in enumerate(schedule.ranks):
        computes = [step for step in steps if isinstance(step, Compute)]
        expected = [(step.name, step.flops) for step in computes if step.name not in ("compress", "pool")]
        assert counted[rank] == expected


def test_a_rank_the_plan_does_not_have_is_refused(make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="rank 2 does not exist in a plan of 2 devices"):
        RankModel(make_model(), Plan("full_tensor", 2), 2)


def test_a_terminal_device_without_room_for_the_prefix_tokens_is_refused(make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="prefix tokens"):
        RankModel(make_model(reg_tokens=7), Plan("full_tensor", 3, shares=(1, 8, 8)), 0)


def test_images_of_another_size_are_refused(make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"it takes \(batch, 3, 40, 40\)"):
        run_rank(RankModel(make_model(), Plan(), 0), torch.zeros(1, 3, 32, 40), None)


def test_a_missing_image_and_a_missing_exchange_are_refused(make_model: Callable[..., Any], images: Any) -> None:
    model = make_model()
    with pytest.raises(InputError, match="rank 0 needs the images"):
        run_rank(RankModel(model, Plan(), 0), None, None)
    with pytest.raises(InputError, match="needs an exchange"):
        run_rank(RankModel(model, Plan("full_tensor", 2), 0), images, None)
