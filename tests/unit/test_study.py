"""`prism study`: the table, the summary and the report it writes."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prism.catalogue import shape_of
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from sim.simulate import simulate
from tests.helpers.command import Cli, changed, shipped_profile, without_leftovers
from tests.helpers.page import assert_self_contained

STUDY = """
name = "Two <b>boards</b> & more"
[sweep]
batch = [1, 8]
bandwidth_mbps = [200, 400]
segments = [10, 20]
"""
COLUMNS = [
    "model",
    "mode",
    "devices",
    "segments",
    "compression_rate",
    "batch",
    "bandwidth_mbps",
    "exchange",
    "input_distribution",
    "wire_dtype",
    "compute_speedup",
    "staging_speedup",
    "link_latency_speedup",
    "air_speedup",
    "memory_mb",
    "feasible",
    "infeasible_because",
    "total_ms",
    "per_sample_ms",
    "compute_ms",
    "staging_ms",
    "communication_ms",
    "transfer_ms",
    "waiting_ms",
    "terminal_j",
    "all_boards_j",
    "extrapolated",
]


def run_study(cli: Cli, folder: Path, text: str) -> tuple[dict[str, Any], pd.DataFrame, str]:
    """Summary, table and report of a study."""
    (folder / "study.toml").write_text(text, encoding="utf-8")
    done = cli("study", "study.toml", "--out", "out", "--json")
    assert done.code == 0, done.err
    picture = ["map.svg"] if done.json["feasible"] else []  # where no plan fits there is nothing to draw
    assert without_leftovers(folder / "out", *picture, "report.html", "results.csv")
    report = (folder / "out" / "report.html").read_text(encoding="utf-8")
    return done.json, pd.read_csv(folder / "out" / "results.csv", keep_default_na=True), report


def test_the_table_has_a_row_a_point_with_the_simulators_numbers(cli: Cli, tmp_path: Path) -> None:
    _, table, _ = run_study(cli, tmp_path, STUDY)
    assert list(table.columns) == COLUMNS
    assert len(table) == 2 * 2 * 4
    assert table["feasible"].all()
    profile = load_profile("orin_nano_published")
    for _, row in table.iterrows():
        segments = None if pd.isna(row["segments"]) else int(row["segments"])
        plan = Plan(row["mode"], int(row["devices"]), segments)
        scenario = Scenario(shape_of(row["model"]), int(row["batch"]), float(row["bandwidth_mbps"]), plan)
        result = simulate(scenario, profile)
        assert row["total_ms"] == pytest.approx(result.total_s * 1e3, rel=1e-12)
        assert row["per_sample_ms"] * row["batch"] == pytest.approx(row["total_ms"], rel=1e-12)
        stages = row["compute_ms"] + row["staging_ms"] + row["communication_ms"]
        assert stages == pytest.approx(row["total_ms"], rel=1e-9)
        assert row["transfer_ms"] + row["waiting_ms"] == pytest.approx(row["communication_ms"], rel=1e-9, abs=1e-9)
        extrapolated = "" if pd.isna(row["extrapolated"]) else row["extrapolated"]
        assert extrapolated == "; ".join(result.extrapolated)


def test_the_summary_agrees_with_the_table(cli: Cli, tmp_path: Path) -> None:
    summary, table, _ = run_study(cli, tmp_path, STUDY)
    assert (summary["points"], summary["feasible"]) == (16, 16)
    assert summary["extrapolated"] == int(table["extrapolated"].notna().sum()) == 2 * 2 + 2 + 2 * 1 + 0
    for best in summary["best"]:
        rows = table[(table["batch"] == best["batch"]) & (table["bandwidth_mbps"] == best["bandwidth_mbps"])]
        local_ms = rows[rows["mode"] == "local"]["total_ms"].iloc[0]
        assert best["total_ms"] == pytest.approx(rows["total_ms"].min())
        assert best["change_against_local_pct"] == pytest.approx(100 * (rows["total_ms"].min() / local_ms - 1))
    plans = {(best["batch"], best["bandwidth_mbps"]): best["plan"] for best in summary["best"]}
    assert plans[1, 400.0] == "local"
    assert plans[8, 400.0] == "segment_means P=2 L=10"
    crossovers = summary["crossovers"]
    assert len(crossovers["batch"]) == 3 * 2
    assert len(crossovers["bandwidth_mbps"]) == 3 * 2
    at_400 = next(c for c in crossovers["batch"] if c["segments"] == 10 and c["bandwidth_mbps"] == 400)
    assert 4 < at_400["batch"] <= 8
    assert f"from batch {at_400['batch']} up" in summary["answer"]


def test_the_report_is_one_file_that_says_where_its_numbers_come_from(cli: Cli, tmp_path: Path) -> None:
    _, _, report = run_study(cli, tmp_path, STUDY)
    assert_self_contained(report)
    for word in ("Published:", "Fitted:", "Assumed", "extrapolated", "replicated", "2605.25682", "CC BY 4.0"):
        assert word in report
    profile = load_profile("orin_nano_published")
    for sentence in profile.assumed:
        assert sentence in unescape(report)
    for reason in ("bandwidth 200 Mbps (measured: 400)", "segments 20 (measured: 10)"):
        assert reason in report
    assert "Two &lt;b&gt;boards&lt;/b&gt; &amp; more" in report
    assert "<b>boards</b>" not in report
    assert report.count("<svg") == 3  # crossover map, breakdown, one sample
    assert "prism study study.toml" in report


def test_the_same_study_writes_the_same_files_to_the_byte(cli: Cli, tmp_path: Path) -> None:
    first = run_study(cli, tmp_path, STUDY)
    second = run_study(cli, tmp_path, STUDY)
    assert first[0] == second[0]
    assert first[1].equals(second[1])
    assert first[2] == second[2]


def test_plans_that_do_not_fit_are_said_to_be_infeasible(cli: Cli, tmp_path: Path) -> None:
    summary, table, report = run_study(cli, tmp_path, "[sweep]\nbatch = [8, 100000]\nbandwidth_mbps = 400\n")
    assert (summary["points"], summary["feasible"]) == (10, 5)
    infeasible = table[~table["feasible"]]
    assert set(infeasible["batch"]) == {100_000}
    assert infeasible["total_ms"].isna().all()
    assert infeasible["infeasible_because"].str.contains("MB to offer").all()
    assert "5 plans do not fit in memory and were not simulated" in report


def test_a_study_of_which_nothing_fits_is_an_answer_too(cli: Cli, tmp_path: Path) -> None:
    summary, table, report = run_study(cli, tmp_path, "[sweep]\nbatch = 100000\nbandwidth_mbps = 400\n")
    assert (summary["points"], summary["feasible"], summary["best"]) == (5, 0, [])
    assert not table["feasible"].any()
    assert "5 plans do not fit in memory" in report
    assert cli("study", "study.toml", "--out", "out").code == 0


@pytest.mark.parametrize("mode", ["local", "segment_means"])
def test_a_study_of_one_mode(cli: Cli, tmp_path: Path, mode: str) -> None:
    summary, table, report = run_study(
        cli, tmp_path, f"[sweep]\nmode='{mode}'\nbatch=8\nbandwidth_mbps=400\nsegments=10"
    )
    assert len(table) == 1
    assert_self_contained(report)
    (best,) = summary["best"]
    assert best["change_against_local_pct"] == (0.0 if mode == "local" else None)
    assert len(summary["crossovers"]["batch"]) == (0 if mode == "local" else 1)


def test_what_is_made_faster_is_named_and_never_passes_for_measured(cli: Cli, tmp_path: Path) -> None:
    text = STUDY + "[speedup]\nstaging = [1, 2]\n"
    summary, table, report = run_study(cli, tmp_path, text)
    faster = table[table["staging_speedup"] == 2]
    assert len(faster) == len(table) / 2
    assert faster["extrapolated"].str.contains("what-if staging x2", regex=False).all()
    plain = table[table["staging_speedup"] == 1]
    distributed = (plain["mode"] != "local").to_numpy()
    halved = faster["staging_ms"].to_numpy()[distributed] * 2
    assert halved == pytest.approx(plain["staging_ms"].to_numpy()[distributed], rel=1e-9)
    assert {best["case"] for best in summary["best"]} == {"as fitted", "staging x2"}
    assert "staging x2" in report


def test_a_profile_of_ones_own_is_used_and_named(cli: Cli, tmp_path: Path) -> None:
    own = changed(changed(shipped_profile(), "name", "my pair"), "provenance.rms_residual_pct", {})
    (tmp_path / "own.json").write_text(json.dumps(own), encoding="utf-8")
    summary, _, report = run_study(cli, tmp_path, "profile = 'own.json'\n" + STUDY)
    assert summary["profile"] == "my pair"
    assert "my pair" in report


def test_the_terminal_shows_the_answer_and_stderr_the_files(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    done = cli("study", "study.toml")
    assert done.code == 0
    for title in ("Fastest plan", "Batch sizes from which", "Bandwidth in Mbps from which"):
        assert title in done.out
    assert "16 results, 8 of them extrapolated." in done.out
    assert done.err.splitlines() == ["table:  out/study/results.csv", "report: out/study/report.html"]
    assert (tmp_path / "out" / "study" / "report.html").is_file()


@pytest.mark.slow
def test_the_papers_grid_from_a_bare_command(cli: Cli, tmp_path: Path) -> None:
    done = cli("study", "--out", "out", "--json")
    assert done.code == 0
    assert done.json["points"] == done.json["feasible"] == 240
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    measured = table[table["extrapolated"].isna()]
    # Everything but 400 Mbps and L = 10 is extrapolated; local does not see the network.
    assert len(measured) == 6 * 8 + 6 + 6
    distributed = measured[measured["mode"] != "local"]
    assert set(distributed["bandwidth_mbps"]) == {400}
    assert set(distributed["segments"].dropna()) == {10}
    assert_self_contained((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    choices = {best["batch"]: best["plan"] for best in done.json["best"] if best["bandwidth_mbps"] == 400}
    assert [choices[batch].split()[0] for batch in (1, 2, 4, 8, 16, 32)] == ["local"] * 3 + ["segment_means"] * 3
