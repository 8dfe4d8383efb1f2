"""`prism ask`: one object, one line an error, and answers that agree with those of the functions."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command import Cli, changed, shipped_profile

QUESTIONS = ["crossover", "bandwidth", "boards", "pareto", "sensitivity", "spread"]
SALIB = find_spec("SALib") is not None
MEANS = ["--segments", "10"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_help_with_an_example(cli: Cli, question: str) -> None:
    done = cli("ask", question, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Example: prism ask {question}" in " ".join(done.out.split())
    assert "--json" in done.out
    assert f"\n  {question} " in cli("ask", "--help").out


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["crossover", *MEANS, "--draws", "50", "--max-batch", "12"], {"over_bandwidth", "over_batches"}),
        (["bandwidth", *MEANS, "--latency", "250", "--draws", "50"], {"needed_mbps", "limit_ms", "interval_mbps"}),
        (["bandwidth", *MEANS, "--latency", "1"], {"needed_mbps", "reachable"}),
        (["boards", "--most", "3", "--segments", "10,20"], {"worth", "boards", "left_out"}),
        (["pareto", "--devices", "1,2"], {"objectives", "plans", "infeasible"}),
        pytest.param(
            ["sensitivity", *MEANS, "--samples", "32"],
            {"decides", "parameters", "clear"},
            marks=pytest.mark.skipif(not SALIB, reason="needs SALib"),
        ),
        (["spread", *MEANS, "--jitter", "0.05", "--precision", "5"], {"figures_ms", "split_sooner", "reached"}),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else "",
)
def test_an_answer_is_one_object_or_a_table(cli: Cli, arguments: list[str], keys: set[str]) -> None:
    done = cli("ask", *arguments, "--json")
    assert done.code == 0, done.err
    assert keys | {"model", "batch", "bandwidth_mbps", "profile", "source"} <= set(done.json)
    assert done.json["source"] == "simulated"
    said = cli("ask", *arguments)
    assert said.code == 0
    assert "imulated" in said.out
    assert cli("ask", *arguments).out == said.out


def test_what_is_asked_for_is_what_is_answered(cli: Cli) -> None:
    needed = cli("ask", "bandwidth", *MEANS, "--latency", "420", "--draws", "0", "--json").json
    assert needed["interval_mbps"] is None
    total = cli("simulate", *MEANS, "--batch", "8", "--bandwidth", repr(needed["needed_mbps"]), "--json").json
    assert total["total_ms"] == pytest.approx(420)
    crossing = cli("ask", "crossover", *MEANS, "--draws", "0", "--max-batch", "8", "--json").json["over_bandwidth"]
    (root,) = crossing["crossings"]
    there = cli("simulate", *MEANS, "--batch", "8", "--bandwidth", repr(root["bandwidth_mbps"]), "--json").json
    assert there["total_ms"] == pytest.approx(there["local_ms"])
    assert cli("ask", "bandwidth", *MEANS, "--draws", "0", "--json").json["needed_mbps"] == pytest.approx(
        root["bandwidth_mbps"]
    )


def test_no_bandwidth_will_do_is_said_with_the_limit(cli: Cli) -> None:
    said = cli("ask", "bandwidth", *MEANS, "--latency", "1")
    assert said.code == 0
    assert "no bandwidth will do" in said.out
    assert "With infinite bandwidth it takes" in said.out


@pytest.mark.parametrize(
    ("question", "options"), [("crossover", [*MEANS, "--draws", "20", "--max-batch", "2"]), ("pareto", [])]
)
def test_a_picture(cli: Cli, tmp_path: Path, question: str, options: list[str]) -> None:
    for name in ("picture.svg", "picture.png"):
        assert cli("ask", question, *options, "--plot", name).code == 0
    assert ET.parse(tmp_path / "picture.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert "written as .svg or .png" in cli("ask", question, *options, "--json", "--plot", "picture.pdf").refusal


def test_a_plan_that_no_board_holds_is_an_answer(cli: Cli) -> None:
    for question, *more in (["crossover"], ["bandwidth"], ["spread", "--jitter", "0.1"]):
        done = cli("ask", question, *MEANS, "--batch", "100000", *more, "--json")
        assert (done.code, done.json["feasible"]) == (0, False)
        assert "needs" in done.json["reason"]


def test_energy_is_compared_only_where_the_profile_has_it(cli: Cli, tmp_path: Path) -> None:
    assert cli("ask", "pareto", "--json").json["objectives"] == ["latency", "energy", "compression"]
    profile: dict[str, Any] = changed(shipped_profile(), "power", None)
    (tmp_path / "own.json").write_text(json.dumps(profile), encoding="utf-8")
    done = cli("ask", "pareto", "--profile", "own.json", "--json").json
    assert done["objectives"] == ["latency", "compression"]
    assert "Energy is left out" in cli("ask", "pareto", "--profile", "own.json").out


def test_a_profile_without_residuals_gives_no_interval_and_says_so(cli: Cli, tmp_path: Path) -> None:
    profile = changed(shipped_profile(), "provenance.rms_residual_pct", {})
    (tmp_path / "own.json").write_text(json.dumps(profile), encoding="utf-8")
    arguments = ("ask", "crossover", *MEANS, "--max-batch", "2", "--profile", "own.json")
    assert cli(*arguments, "--json").json["over_bandwidth"]["interval_mbps"] is None
    assert "no interval" in cli(*arguments).out


BAD = [
    ["ask", "nothing"],
    ["ask", "crossover"],
    ["ask", "crossover", *MEANS, "--mode", "local"],
    ["ask", "crossover", "--mode", "local"],
    ["ask", "crossover", *MEANS, "--search", "10"],
    ["ask", "crossover", *MEANS, "--search", "100,10"],
    ["ask", "crossover", *MEANS, "--draws", "-1"],
    ["ask", "crossover", *MEANS, "--max-batch", "0"],
    ["ask", "crossover", *MEANS, "--seed", "-1"],
    ["ask", "crossover", *MEANS, "--batch", "0"],
    ["ask", "bandwidth", *MEANS, "--latency", "0"],
    ["ask", "bandwidth", *MEANS, "--latency", "nan"],
    ["ask", "bandwidth", *MEANS, "--margin", "100"],
    ["ask", "bandwidth", *MEANS, "--latency", "1", "--margin", "1"],
    ["ask", "boards", "--most", "1"],
    ["ask", "boards", "--segments", "a"],
    ["ask", "boards", "--max-cr", "0.5"],
    ["ask", "boards", "--threshold", "-1"],
    ["ask", "pareto", "--segments", "0"],
    ["ask", "pareto", "--devices", "2,x"],
    ["ask", "pareto", "--devices", "500"],
    ["ask", "sensitivity", *MEANS, "--vary", "100"],
    ["ask", "sensitivity", *MEANS, "--vary", "10", "--from-profile"],
    ["ask", "sensitivity", *MEANS, "--method", "guess"],
    ["ask", "sensitivity", *MEANS, "--samples", "100"],
    ["ask", "spread", *MEANS],
    ["ask", "spread", *MEANS, "--jitter", "3"],
    ["ask", "spread", *MEANS, "--jitter", "0.1", "--of", "p42"],
    ["ask", "spread", *MEANS, "--jitter", "0.1", "--workers", "0"],
    ["ask", "spread", *MEANS, "--jitter", "0.1", "--most", "1"],
    ["ask", "spread", *MEANS, "--fading", "rain"],
    ["ask", "spread", *MEANS, "--fading", "fades", "--low-bandwidth", "500"],
    ["ask", "spread", *MEANS, "--jitter", "0.1", "--keep", "."],
    ["ask", "spread", "--mode", "local", "--jitter", "0.1"],
]


@pytest.mark.parametrize("arguments", BAD, ids=lambda arguments: " ".join(arguments)[:60])
def test_bad_input_is_one_line_and_exit_code_two(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    assert cli(*arguments).refusal
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(SALIB, reason="SALib is installed")
def test_without_salib_it_says_how_to_get_it(cli: Cli) -> None:
    assert "pip install 'prism-edge[answers]'" in cli("ask", "sensitivity", *MEANS).refusal
