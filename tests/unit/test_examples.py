"""The study files in examples/ run as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from sim.study.spec import load_study
from tests.helpers.command import run_prism
from tests.helpers.page import assert_self_contained

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} >= {"faster_staging", "larger_models", "three_boards"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_reads_and_says_how_it_is_run(path: Path) -> None:
    assert load_study(path).points()
    assert re.search(rf"^#\s+prism study examples/{path.name}", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    done = run_prism("study", str(path), "--out", "out", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["points"] == len(load_study(path).points())
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert len(table) == done.json["points"]
    assert table[table["feasible"]]["total_ms"].gt(0).all()
    assert_self_contained((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
