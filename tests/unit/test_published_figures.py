"""FLOPs, bytes and parameters against figures that others published, read from their tables."""

from __future__ import annotations

import pandas as pd
import pytest

from calibration.published import read_table
from prism.catalogue import CATALOGUE, shape_of
from prism.plan import Plan
from prism.schedule import Schedule, build_schedule

MODEL = "vit_base_patch16_224"

#: Table 3: a row a strategy; fine-tuning changes the accuracy alone.
ROWS = [row for _, row in read_table("efficiency").iterrows() if row["finetuned"] == "no"]


def schedule_of(row: pd.Series) -> Schedule:
    segments = None if pd.isna(row["segments"]) else int(row["segments"])
    return build_schedule(shape_of(MODEL), Plan(row["strategy"], int(row["devices"]), segments), 1)


def gflops_a_board(schedule: Schedule) -> float:
    boards = range(schedule.plan.devices)
    return sum(schedule.flops(rank) for rank in boards) / len(boards) / 1e9


def name_of(row: pd.Series) -> str:
    return f"{row['strategy']}-{row['segments']}"


def test_the_table_has_the_rows_the_paper_has() -> None:
    assert [row["gflops_per_device"] for row in ROWS] == [35.15, 20.37, 17.54, 17.86, 18.18]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_gflops_a_board(row: pd.Series) -> None:
    assert gflops_a_board(schedule_of(row)) == pytest.approx(row["gflops_per_device"], rel=0.002)


@pytest.mark.parametrize("row", ROWS[1:], ids=name_of)
def test_compute_saved(row: pd.Series) -> None:
    saved_pct = 100 * (1 - gflops_a_board(schedule_of(row)) / gflops_a_board(schedule_of(ROWS[0])))
    assert saved_pct == pytest.approx(row["compute_saving_pct"], abs=0.3)


@pytest.mark.parametrize("row", ROWS[2:], ids=name_of)
def test_communication_saved(row: pd.Series) -> None:
    means, full = schedule_of(row), schedule_of(ROWS[1])
    sent = [sum(schedule.exchanged_bytes(rank) for rank in (0, 1)) for schedule in (means, full)]
    assert 100 * (1 - sent[0] / sent[1]) == pytest.approx(row["communication_saving_pct"], abs=0.3)


@pytest.mark.parametrize("row", ROWS[2:], ids=name_of)
def test_compression_rate(row: pd.Series) -> None:
    plan = schedule_of(row).plan
    assert plan.compression_rate(shape_of(MODEL).tokens) == pytest.approx(row["compression_rate"], rel=0.01)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # as timm counts them
        ("vit_tiny_patch16_224", 5_717_416),
        ("vit_small_patch16_224", 22_050_664),
        ("vit_base_patch16_224", 86_567_656),
        ("vit_large_patch16_224", 304_326_632),
        ("vit_huge_patch14_224", 632_045_800),
        ("deit_base_patch16_224", 86_567_656),
        # As Hugging Face's `GPT2LMHeadModel` counts them.
        ("gpt2", 124_439_808),
        ("gpt2_medium", 354_823_168),
        ("gpt2_large", 774_030_080),
        ("gpt2_xl", 1_557_611_200),
    ],
)
def test_parameters(name: str, parameters: int) -> None:
    assert shape_of(name).parameters == parameters


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("vit_base_patch16_224", 197),
        ("vit_base_patch16_384", 577),
        ("vit_base_patch32_224", 50),
        ("vit_base_patch8_224", 785),
        ("vit_huge_patch14_224", 257),
        ("deit_small_patch16_224", 197),
    ],
)
def test_tokens_follow_from_image_and_patch(name: str, tokens: int) -> None:
    assert shape_of(name).tokens == tokens


def test_the_catalogue_holds_every_size_under_its_own_name() -> None:
    assert all(shape.name == name for name, shape in CATALOGUE.items())
    sizes = {" ".join(name.split("_")[:2]) for name, shape in CATALOGUE.items() if shape.text is None}
    assert sizes == {*(f"vit {size}" for size in ("tiny", "small", "base", "large", "huge"))} | {
        *(f"deit {size}" for size in ("tiny", "small", "base"))
    }


@pytest.mark.parametrize(("name", "parameters"), [("bert_base", 109_482_240), ("bert_large", 335_141_888)])
def test_parameters_of_bert_without_its_task_head(name: str, parameters: int) -> None:
    """As Hugging Face's `BertModel` counts them."""
    shape = shape_of(name)
    assert shape.parameters - 2 * (shape.dim + 1) == parameters


@pytest.mark.parametrize(
    ("name", "giga_multiply_adds"),
    [  # torchvision's documentation of vit_b_16, vit_l_16 and vit_h_14 (224 pixels), "GFLOPS" of one multiply-add each
        ("vit_base_patch16_224", 17.56),
        ("vit_large_patch16_224", 61.55),
        ("vit_huge_patch14_224", 167.29),
    ],
)
def test_flops_of_larger_vision_transformers(name: str, giga_multiply_adds: float) -> None:
    assert build_schedule(shape_of(name), Plan(), 1).flops(0) / 2e9 == pytest.approx(giga_multiply_adds, rel=0.002)


def test_flops_of_bert_at_128_tokens() -> None:
    """22.5 B in table 4 of MobileBERT (Sun et al. 2020, arXiv 2004.02984), which counts a little besides products."""
    assert build_schedule(shape_of("bert_base@128"), Plan(), 1).flops(0) == pytest.approx(22.5e9, rel=0.01)


@pytest.mark.parametrize("name", ["gpt2", "gpt2_xl"])
def test_flops_of_gpt2_by_the_scaling_laws_formula(name: str) -> None:
    """Kaplan et al. 2020, table 1: a token takes 2 N + 2 n_layer n_ctx d_attn, with each score computed once.

    N counts the matrices of the blocks. Unmasked attention, as it is run, takes twice their second term; the head reads
    one token here.
    """
    shape = shape_of(name)
    matrices = 12 * shape.depth * shape.dim**2
    a_token = 2 * matrices + 2 * (2 * shape.depth * shape.tokens * shape.dim)
    around = shape.dim * (shape.tokens - 1) + 2 * shape.dim * 50_257
    assert build_schedule(shape, Plan(), 1).flops(0) == a_token * shape.tokens + around


def test_communication_and_compute_saved_on_bert() -> None:
    """99.2 % and 51.24 % at CR 128: abstract of Qazi et al. 2025, arXiv 2507.12145. 256 tokens, one mean a board."""
    bert = shape_of("bert_base@256")
    full, means = (build_schedule(bert, plan, 1) for plan in (Plan("full_tensor", 2), Plan("segment_means", 2, 1)))
    assert means.plan.compression_rate(256) == 128
    assert 100 * (1 - means.exchanged_bytes(0) / full.exchanged_bytes(0)) == pytest.approx(99.2, abs=0.05)
    saved = 1 - means.flops(0) / build_schedule(bert, Plan(), 1).flops(0)
    assert 100 * saved == pytest.approx(51.24, abs=0.05)
