"""The study files in examples/ run as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from prism.catalogue import shape_of
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from sim.simulate import simulate
from sim.study.spec import load_study
from tests.helpers.command import run_prism
from tests.helpers.page import assert_self_contained

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))
LARGE = [path for path in EXAMPLES if load_study(path).engine == "twin"]
SMALL = [path for path in EXAMPLES if path not in LARGE]


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} >= {"faster_staging", "larger_models", "three_boards"}
    assert "million" in {path.stem for path in LARGE}


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_reads_and_says_how_it_is_run(path: Path) -> None:
    study = load_study(path)
    assert study.points() if path in SMALL else study.cases()
    assert re.search(rf"^#\s+prism study examples/{path.name}", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    done = run_prism("study", str(path), "--out", "out", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["points"] == len(load_study(path).points())
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert len(table) == done.json["points"]
    assert table[table["feasible"]]["total_ms"].gt(0).all()
    assert_self_contained((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("path", LARGE, ids=lambda path: path.stem)
def test_a_large_example_runs(path: Path, tmp_path: Path) -> None:
    done = run_prism("study", str(path), "--out", "out", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert done.json["points"] == len(table) >= 1_000_000
    point = ["model", "mode", "devices", "segments", "batch", "bandwidth_mbps", "exchange"]
    assert not table.duplicated([*point, "input_distribution", "wire_dtype"]).any()
    profile = load_profile(load_study(path).profile)
    for row in table[table["feasible"]].sample(20, random_state=1).to_dict("records"):
        segments = None if pd.isna(row["segments"]) else int(row["segments"])
        plan = Plan(row["mode"], row["devices"], segments, exchange=row["exchange"])
        scenario = Scenario(shape_of(row["model"]), row["batch"], row["bandwidth_mbps"], plan)
        assert row["total_ms"] == pytest.approx(1e3 * simulate(scenario, profile).total_s, rel=1e-9)
