"""Studies whose engine is the twin: their rows, their summary, and what an interrupted one leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prism.errors import InputError, RunFailed
from prism.profile import load_profile
from sim.study.executor import Here
from sim.study.large import layout as layouts
from sim.study.large.layout import Layout, lay_out
from sim.study.large.run import partial_path, run_large
from sim.study.large.tally import Tally
from sim.study.spec import Study, load_study
from sim.study.sweep import TIMES, run_sweep
from tests.helpers.command import Cli, run_python, without_leftovers

Job = TypeVar("Job")
Part = TypeVar("Part")

PROFILE = load_profile("orin_nano_published")
#: Two models, what-ifs, a batch that no board holds, and three boards that the twin leaves to SimPy.
MIXED = """
name = "mixed"
engine = "twin"
[sweep]
model = ["vit_tiny_patch16_224", "vit_base_patch16_224"]
batch = [1, 8, 100000]
bandwidth_mbps = [200, 400]
segments = [10, 20]
devices = [2, 3]
exchange = ["blocking", "preposted"]
[speedup]
staging = [1, 2]
"""
#: One model over a grid that is fine enough for crossovers.
GRID = """
engine = "twin"
[sweep]
batch = { from = 1, to = 12, step = 1 }
bandwidth_mbps = { from = 200, to = 600, step = 20 }
"""


def study_of(text: str, folder: Path) -> Study:
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.toml")


def run(study: Study, path: Path, executor: Any = None) -> tuple[Layout, Tally, pd.DataFrame]:
    layout = lay_out(study, PROFILE)
    tally = run_large(study, PROFILE, layout, path, executor or Here())
    return layout, tally, pd.read_parquet(path)


def in_small_chunks(monkeypatch: pytest.MonkeyPatch, points: int) -> None:
    monkeypatch.setattr(layouts, "CHUNK", {"twin": points, "simpy": points})


class StopsAfter:
    """Computes here, and fails before part `count`; remembers what it was asked for."""

    def __init__(self, count: int, error: BaseException) -> None:
        self.count = count
        self.error = error
        self.asked: list[int] = []

    def parts(self, compute: Callable[[Job, int], Part], job: Job, numbers: Sequence[int]) -> Iterator[Part]:
        for done, number in enumerate(numbers):
            if done == self.count:
                raise self.error
            self.asked.append(number)
            yield compute(job, number)


def keyed(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by what makes a point, whatever their order."""
    key = ["model", "mode", "devices", "segments", "batch", "bandwidth_mbps", "exchange", "staging_speedup"]
    table = table.assign(segments=table["segments"].fillna(0).astype(int))
    for name in ("model", "mode", "exchange"):
        table[name] = table[name].astype(str)
    table = table.set_index(key).sort_index()
    assert table.index.is_unique
    return table


def test_its_rows_are_those_of_the_small_study(tmp_path: Path) -> None:
    study = study_of(MIXED, tmp_path)
    _, _, table = run(study, tmp_path / "large.parquet")
    large, small = keyed(table), keyed(run_sweep(PROFILE, study.points()))
    assert list(large.index) == list(small.index)
    for name in ("input_distribution", "wire_dtype"):
        assert list(large[name].astype(str)) == list(small[name])
    for name in ("compute_speedup", "link_latency_speedup", "air_speedup", "memory_mb", "feasible"):
        assert list(large[name]) == list(small[name])
    for name in ("compression_rate", *TIMES):
        np.testing.assert_allclose(large[name].astype(float), small[name].astype(float), rtol=1e-9)
    assert list(large["extrapolated"]) == [bool(reasons) for reasons in small["extrapolated"]]
    assert not large["feasible"].all()
    assert large["feasible"].any()


def test_what_the_twin_does_not_cover_goes_to_simpy_and_is_counted(tmp_path: Path) -> None:
    layout, tally, table = run(study_of(MIXED, tmp_path), tmp_path / "large.parquet")
    by_simpy = table["engine"] == "simpy"
    assert list(by_simpy) == list((table["devices"] == 3) & (table["exchange"] == "preposted"))
    # 2 models x 2 what-ifs x (full_tensor and two of segment_means) x 3 batches x 2 bandwidths
    assert layout.by_engine() == {"twin": len(table) - 72, "simpy": 72}
    assert by_simpy.sum() == 72
    assert tally.points == layout.points == len(table) == len(load_study(tmp_path / "study.toml").points())


@pytest.mark.parametrize("points", [7, 40, 1000])
def test_the_rows_do_not_depend_on_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: int) -> None:
    study = study_of(MIXED, tmp_path)
    _, whole, rows = run(study, tmp_path / "whole.parquet")
    in_small_chunks(monkeypatch, points)
    layout, cut, rows_of_chunks = run(study, tmp_path / "cut.parquet")
    assert max(chunk.points for chunk in layout.chunks) <= points
    assert pq.ParquetFile(tmp_path / "cut.parquet").num_row_groups == len(layout.chunks)
    pd.testing.assert_frame_equal(rows, rows_of_chunks, check_exact=True)
    assert cut.sections == whole.sections


def test_the_file_is_the_same_to_the_bit(tmp_path: Path) -> None:
    study = study_of(GRID, tmp_path)
    for name in ("first", "second"):
        run(study, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_summary_agrees_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_chunks(monkeypatch, 100)  # a plan has 252 points: chunks end in the middle of one
    _, tally, table = run(study_of(GRID, tmp_path), tmp_path / "large.parquet")
    local = table[table["mode"] == "local"].set_index(["batch", "bandwidth_mbps"])["total_ms"]
    cells = table.set_index(["batch", "bandwidth_mbps"])["total_ms"].groupby(level=[0, 1]).min()
    (section,) = tally.sections
    assert section.cells == len(cells) == 12 * 21
    assert sum(plan.fastest for plan in section.plans) == section.cells
    for plan in section.plans:
        rows = table[(table["mode"] == plan.plan.mode) & (table["segments"].fillna(0) == (plan.plan.segments or 0))]
        times = rows.set_index(["batch", "bandwidth_mbps"])["total_ms"]
        assert plan.fastest == (times == cells.loc[times.index]).sum()
        if plan.plan.mode == "local":
            assert plan.most is None
            continue
        wins = times <= local.loc[times.index]
        for mbps, (first, until) in plan.batches.items():
            at = wins.xs(mbps, level="bandwidth_mbps")
            assert first == (min(at[at].index) if at.any() else None)
            assert until == next((batch - 1 for batch in range((first or 12) + 1, 13) if not at[batch]), None)
        for batch, least in plan.bandwidths.items():
            at = wins.xs(batch, level="batch")
            assert least == (min(at[at].index) if at.any() else None)
        fastest = times[times == cells.loc[times.index]]
        if plan.most is not None:
            change = fastest / local.loc[fastest.index] - 1
            assert plan.most.change_pct == pytest.approx(100 * change.min())
            assert (plan.most.batch, plan.most.bandwidth_mbps) == change.idxmin()
            assert plan.most.total_ms == fastest[change.idxmin()]
    assert {mbps for plan in section.plans for mbps in plan.batches} >= {200.0, 600.0}
    assert any(plan.most for plan in section.plans)


def test_a_plan_that_wins_only_for_a_while_says_until_when(tmp_path: Path) -> None:
    """Times made up: local takes 10 ms everywhere, the split 9 ms at batches 2 and 4 of 1, 2, 4, 8."""
    text = (
        "engine = 'twin'\n[sweep]\nmode = ['local', 'full_tensor']\nbatch = [1, 2, 4, 8]\nbandwidth_mbps = [200, 400]"
    )
    layout = lay_out(study_of(text, tmp_path), PROFILE)
    split_ms = [11.0, 11.0, 9.0, 9.0, 9.0, 9.0, 11.0, None]
    columns = {"total_ms": [10.0] * 8 + split_ms, "feasible": [True] * 15 + [False], "extrapolated": [False] * 16}
    tally = Tally(layout)
    tally.add(layout.chunks[0], pa.RecordBatch.from_pydict(columns))
    tally.finish()
    local, split = tally.sections[0].plans
    assert split.batches == {200.0: (2, 4), 400.0: (2, 4)}
    assert split.bandwidths == {1: None, 2: 200.0, 4: 200.0, 8: None}
    assert (local.fastest, split.fastest, tally.feasible) == (4, 4, 15)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunFailed("gone")])
def test_an_interrupted_study_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    in_small_chunks(monkeypatch, 100)
    study, path = study_of(MIXED, tmp_path), tmp_path / "out" / "large.parquet"
    _, whole, _ = run(study, tmp_path / "whole.parquet")
    with pytest.raises(type(error)):
        run(study, path, StopsAfter(3, error))
    assert without_leftovers(path.parent, partial_path(path).name)
    assert len(pd.read_parquet(partial_path(path))) > 0
    rest = StopsAfter(1000, error)
    layout, tally, _ = run(study, path, rest)
    assert rest.asked == list(range(3, len(layout.chunks)))
    assert path.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert tally.sections == whole.sections
    assert without_leftovers(path.parent, path.name)


def test_what_another_study_left_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_chunks(monkeypatch, 100)
    path = tmp_path / "large.parquet"
    with pytest.raises(KeyboardInterrupt):
        run(study_of(GRID, tmp_path), path, StopsAfter(1, KeyboardInterrupt()))
    other = StopsAfter(1000, KeyboardInterrupt())
    layout, _, _ = run(study_of(GRID.replace("to = 12", "to = 11"), tmp_path), path, other)
    assert other.asked == list(range(len(layout.chunks)))
    partial_path(path).write_bytes(b"no Parquet file")
    run(study_of(GRID, tmp_path), path)


def test_the_command_writes_the_table_and_one_json_object(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(GRID, encoding="utf-8")
    done = cli("study", "study.toml", "--out", "out", "--json")
    assert done.code == 0, done.err
    assert without_leftovers(tmp_path / "out", "results.parquet")
    assert "1,260 points in 1 chunks (1,260 by twin), about 1 s on one core" in done.err
    summary = done.json
    assert (summary["engine"], summary["points"], summary["points_by_engine"]) == ("twin", 1260, {"twin": 1260})
    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert summary["extrapolated"] == table["extrapolated"].sum()
    plans = {plan["plan"]: plan for plan in summary["best"][0]["plans"]}
    at_400 = plans["segment_means P=2 L=10"]["beats_local"]["at_bandwidth"]
    assert {found["batch"] for found in at_400 if 380 <= found["bandwidth_mbps"] <= 420} <= {5, 6}
    assert "% of local latency" in summary["answer"]
    text = cli("study", "study.toml", "--out", "out")
    assert "segment_means P=2 L=10" in text.out
    assert summary["answer"] in text.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("engine = 'simpi'", "unknown engine 'simpi'; did you mean 'simpy'"),
        ("engine = 3", "engine = 3 must be"),
        ("engine = 'twin'\n[sweep]\nbatch = []", "sweep.batch has no values"),
        ("engine = 'twin'\n[sweep]\nsegments = 100", "use at most 99"),
        ("engine = 'twin'\n[sweep]\ndevices = 198", "needs 2 to 64 devices"),
        (
            "engine = 'twin'\n[sweep]\nbatch = {from = 1, to = 1000, step = 1}\n"
            "bandwidth_mbps = {from = 1, to = 20000, step = 0.1}",
            "has up to 999,955,000 points, more than max_points = 10,000,000 (about 17 minutes at 1,000,000 points a "
            "second); make it smaller or raise max_points",
        ),
        ("engine = 'twin'\nmax_points = 239", "has up to 240 points, more than max_points = 239 (about 1 s"),
        (
            "engine = 'twin'\n[sweep]\ndevices = 3\nexchange = 'preposted'\nbatch = {from = 1, to = 64, step = 1}\n"
            "bandwidth_mbps = {from = 100, to = 500, step = 1}",
            "leaves 102,656 of 128,320 points to SimPy, about 103 s",
        ),
    ],
)
def test_a_bad_study_is_one_line_before_anything_runs(cli: Cli, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    refusal = cli("study", "study.toml", "--json").refusal
    assert message in refusal
    assert "study.toml" in refusal
    assert without_leftovers(tmp_path, "study.toml")


def test_distinct_points_count_where_the_grid_has_more(tmp_path: Path) -> None:
    study = study_of("engine = 'twin'\nmax_points = 240", tmp_path)
    assert study.size() == 432  # local and full_tensor once for every number of segments
    assert lay_out(study, PROFILE).points == 240


def test_a_mode_that_the_profile_does_not_know_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    profile = replace(PROFILE, compute={"local": PROFILE.compute["local"]})
    with pytest.raises(InputError, match="has no compute model for mode 'full_tensor'"):
        lay_out(study_of(GRID, tmp_path), profile)


ON_A_FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2000,) * 2)
from prism.cli.main import main
main(sys.argv[1:])
"""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(GRID, encoding="utf-8")
    path = tmp_path / "out" / "results.parquet"
    path.parent.mkdir()
    path.write_text("kept", encoding="utf-8")
    done = run_python(ON_A_FULL_DISK, "study", "study.toml", "--out", "out", cwd=tmp_path)
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "error: out/results.parquet: cannot be written (File too large); nothing was changed"
    )
    assert path.read_text(encoding="utf-8") == "kept"
    assert without_leftovers(path.parent, path.name)
