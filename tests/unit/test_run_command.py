"""`prism run` on the simulator: what it prints and writes, and the one line in which it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prism.cli.run_backends import _may_differ
from prism.policy.performance_map import read_map
from tests.helpers.command import Outcome, run_python

_CODE = """
import sys
from prism.cli import main
from prism.cli.run import run
main.cli.add_command(run)
main.main(["run", *sys.argv[1:]])
"""


def prism_run(*arguments: str, cwd: Path) -> Outcome:
    done = run_python(_CODE, *arguments, cwd=cwd)
    return Outcome(done.code, done.out, done.err)


def test_one_json_object_with_what_the_run_came_to(tmp_path: Path) -> None:
    done = prism_run("--trace", "phases:400,30,400:20", "--requests", "120", "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    result = done.json
    assert result["requests"] == 120
    assert result["samples"] == 960
    assert result["lost"] == 0
    assert 0 <= result["regret_pct"] < 6
    assert result["vs_local_pct"] < 0
    assert result["switches"] in (2, 3)
    assert set(result["decisions"]) == {"local", "segment_means P=2 L=10"}
    assert sum(result["decisions"].values()) == 120
    assert result["backend"] == "sim"


def test_log_plot_and_map_are_written(tmp_path: Path) -> None:
    trace = tmp_path / "link.csv"
    trace.write_text("time_s,bandwidth_mbps\n0,400\n5,0\n8,350\n")
    options = ["--trace", "link.csv", "--requests", "60", "--arrivals", "poisson:30:1", "--log", "out/log.jsonl"]
    done = prism_run(*options, "--save-map", "out/map.json", "--plot", "out/run.svg", cwd=tmp_path)
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert sum(line["observation"]["samples"] for line in lines) == 60
    assert (tmp_path / "out/run.svg").read_text().startswith("<svg")
    assert "estimate" in (tmp_path / "out/run.svg").read_text()
    assert read_map(tmp_path / "out/map.json").source == "simulated"
    assert "against the oracle" in done.out
    again = prism_run(*options, "--map", "out/map.json", cwd=tmp_path)
    assert again.out == done.out


def test_two_runs_of_the_same_requests_are_laid_side_by_side(tmp_path: Path) -> None:
    options = ["--trace", "phases:400,30,400:12", "--requests", "80"]
    first = prism_run(*options, "--log", "first.jsonl", cwd=tmp_path)
    assert first.code == 0, first.err
    noisy = prism_run(*options, "--link-noise", "0.1", "--against", "first.jsonl", "--json", cwd=tmp_path)
    found = noisy.json["against"]
    assert found["backends"] == ["sim", "sim"]
    assert found["agreement_pct"] > 90
    assert 0.9 < found["latency_ratio"] < 1.1
    assert [phase["bandwidth_mbps"] for phase in found["phases"]] == [400, 30, 400]
    same = prism_run(*options, "--against", "first.jsonl", cwd=tmp_path)
    assert "agree: 100.0 % (80 agree, 0 do not, 0 within noise, 0 without a counterpart); total time +0.0 %" in same.out
    other = prism_run("--trace", "steady:400", "--requests", "80", "--against", "first.jsonl", cwd=tmp_path)
    assert "--against first.jsonl: the two runs differ in trace" in other.refusal


@pytest.mark.parametrize(("batch", "mode"), [("4", "local"), ("8", "segment_means P=2 L=10")])
def test_the_published_map_takes_the_published_choice(tmp_path: Path, batch: str, mode: str) -> None:
    options = ["--map", "published", "--batch", batch, "--requests", "30", "--json"]
    assert prism_run(*options, cwd=tmp_path).json["decisions"] == {mode: 30}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--backend", "gpu"], "unknown backend 'gpu'"),
        (["--backend", "hw"], "--testbed for this machine, or --peers ADDRESS"),
        (["--map", "no.json"], "no.json: cannot be read"),
        (["--map", "bad.json"], "bad.json: not valid JSON"),
        (["--map", "bad.json", "--model", "vit_base_patch16_224"], "--model goes with --map simulated"),
        (["--trace", "no.csv"], "no.csv: cannot be read"),
        (["--trace", "stairs:1"], "unknown trace 'stairs'"),
        (["--objective", "speed"], "unknown objective 'speed'"),
        (
            ["--objective", "deadline", "--deadline", "1"],
            "no plan of the performance map ever keeps a deadline of 1 ms",
        ),
        (["--max-cr", "0"], "max_compression = 0.0 is out of range"),
        (["--requests", "0"], "requests = 0 is out of range"),
        (["--batch", "0"], "batch limit = 0 is out of range"),
        (["--arrivals", "poisson"], "write poisson:RATE:SEED"),
        (["--against", "no.jsonl"], "no.jsonl: cannot be read"),
        (["--against", "bad.json"], "bad.json:1: not valid JSON"),
        (["--against-noise", "2", "--against", "bad.json"], "against-noise = 2.0 is out of range"),
    ],
)
def test_bad_input_is_refused_in_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "bad.json").write_text('{"format": ')
    done = prism_run(*arguments, "--log", "log.jsonl", cwd=tmp_path)
    assert says in done.refusal
    assert not (tmp_path / "log.jsonl").exists()


@pytest.mark.parametrize(
    ("fact", "may_differ"),
    [
        ("power_meter", True),
        ("power_rails", True),
        ("rank1_power_meter", True),
        ("link_burst_bytes", True),
        ("power_mode", False),
        ("rank1_power_mode", False),
        ("machine", False),
    ],
)
def test_a_map_that_was_metered_may_be_used_without_a_meter_but_not_in_another_power_mode(
    fact: str, may_differ: bool
) -> None:
    assert _may_differ(fact) is may_differ
