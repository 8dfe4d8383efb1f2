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
    sizes = {name.split("_")[0] + " " + name.split("_")[1] for name in CATALOGUE}
    assert sizes == {*(f"vit {size}" for size in ("tiny", "small", "base", "large", "huge"))} | {
        *(f"deit {size}" for size in ("tiny", "small", "base"))
    }
