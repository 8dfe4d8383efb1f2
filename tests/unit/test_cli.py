"""The command line: help, one JSON object, one line an error, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prism import __version__
from prism.catalogue import shape_of
from prism.memory import memory_use
from prism.plan import Plan
from prism.profile import load_profile
from prism.record import read_measurements
from prism.scenario import Scenario
from sim.simulate import simulate
from tests.helpers.command import Cli, run_prism, without_leftovers

VIT_B = shape_of("vit_base_patch16_224")
COMMANDS = ["study", "simulate", "validate", "calibrate"]
MEANS = ["simulate", "--segments", "10"]
PUBLISHED_CASE = [
    *("simulate", "--model", "vit_base_patch16_224", "--mode", "segment_means", "--segments", "10"),
    *("--batch", "8", "--bandwidth", "400"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(cli: Cli, command: str) -> None:
    done = cli(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: prism {command}")
    assert f"Example: prism {command}" in " ".join(done.out.split())
    assert "--json" in done.out
    assert cli(command, "-h").out == done.out


def test_help_lists_every_command_and_the_exit_codes(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.out
    assert "Exit codes: 0 done, 1 a gate failed, 2 bad input" in " ".join(done.out.split())
    assert cli().out == done.out


def test_version(cli: Cli) -> None:
    assert cli("--version").out.strip().endswith(__version__)


BAD = [
    ["bogus"],
    ["--nonsense"],
    ["simulate", "--nonsense"],
    ["simulate", "--batch"],
    ["simulate", "surplus"],
    ["validate", "surplus"],
    ["study", "a.toml", "b.toml"],
    ["simulate"],  # segment_means without segments
    [*MEANS, "--model", "resnet50"],
    [*MEANS, "--mode", "fast"],
    [*MEANS, "--mode", "local"],
    ["simulate", "--mode", "local", "--devices", "2"],
    ["simulate", "--mode", "full_tensor", "--segments", "3"],
    ["simulate", "--segments", "0"],
    ["simulate", "--segments", "-1"],
    ["simulate", "--segments", "100"],
    ["simulate", "--segments", "ten"],
    [*MEANS, "--cr", "9.9"],
    ["simulate", "--cr", "40"],
    ["simulate", "--cr", "0"],
    ["simulate", "--cr", "nan"],
    ["simulate", "--cr", "inf"],
    ["simulate", "--cr", "1e-320"],
    [*MEANS, "--devices", "1"],
    [*MEANS, "--devices", "65"],
    [*MEANS, "--devices", "-2"],
    [*MEANS, "--batch", "0"],
    [*MEANS, "--batch", "-8"],
    [*MEANS, "--batch", "8.5"],
    [*MEANS, "--batch", "99999999999999999999"],
    [*MEANS, "--bandwidth", "400 parsec"],
    [*MEANS, "--bandwidth", "-400"],
    [*MEANS, "--bandwidth", "nan"],
    [*MEANS, "--bandwidth", ""],
    [*MEANS, "--bandwidth", "1e999"],
    [*MEANS, "--reverse-bandwidth", "0"],
    [*MEANS, "--exchange", "async"],
    [*MEANS, "--input", "magic"],
    [*MEANS, "--wire-dtype", "float64"],
    [*MEANS, "--shares", "1"],
    [*MEANS, "--shares", "1,x"],
    [*MEANS, "--shares", "1,-1"],
    [*MEANS, "--shares", "nan,1"],
    [*MEANS, "--shares", "1e308,1e308"],
    [*MEANS, "--jitter", "0.1"],
    [*MEANS, "--seed", "1"],
    [*MEANS, "--jitter", "-0.1", "--seed", "1"],
    [*MEANS, "--jitter", "nan", "--seed", "1"],
    [*MEANS, "--jitter", "0.1", "--seed", "-1"],
    [*MEANS, "--profile", "nope"],
    [*MEANS, "--profile", "."],
    [*MEANS, "--profile", ""],
    [*MEANS, "--profile", "a" * 5000],
    [*MEANS, "--trace", "."],
    [*MEANS, "--trace", ""],
    [*MEANS, "--record", "/proc/no/such/place.jsonl"],
    pytest.param(["validate", "--report", "."], marks=pytest.mark.slow),
    ["calibrate", "missing.jsonl"],
    ["calibrate", "."],
    ["calibrate", "/dev/null"],
    ["calibrate", "--memory-gb", "much"],
    ["study", "missing.toml"],
    ["study", "."],
]


@pytest.mark.parametrize("arguments", BAD, ids=lambda arguments: " ".join(arguments)[:60])
def test_bad_input_is_one_line_and_exit_code_two(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    assert cli(*arguments).refusal
    assert without_leftovers(tmp_path)


@pytest.mark.parametrize("arguments", [["bogus"], ["simulate", "--cr", "40"], [*MEANS, "--profile", "nope", "--json"]])
def test_bad_input_to_a_real_process(tmp_path: Path, arguments: list[str]) -> None:
    assert run_prism(*arguments, cwd=tmp_path).refusal


def test_a_refusal_says_what_to_do(cli: Cli) -> None:
    assert "did you mean 'vit_base_patch16_224'" in cli(*MEANS, "--model", "vit_bas_patch16_224").refusal
    assert "did you mean 'segment_means'" in cli("simulate", "--mode", "segment-means").refusal
    assert "use at most 99" in cli("simulate", "--segments", "100").refusal
    assert "ask for CR 32.83 (L = 3) or 49.25 (L = 2)" in cli("simulate", "--cr", "40").refusal
    assert "use kbps, Mbps or Gbps" in cli(*MEANS, "--bandwidth", "400 parsec").refusal


def test_the_published_case_prints_the_agreed_object(cli: Cli) -> None:
    done = cli(*PUBLISHED_CASE, "--json")
    assert (done.code, done.err) == (0, "")
    answer = done.json
    plan = Plan("segment_means", 2, 10)
    scenario = Scenario(VIT_B, 8, 400.0, plan)
    result = simulate(scenario, load_profile("orin_nano_published"))
    assert answer["total_ms"] == pytest.approx(result.total_s * 1e3)
    assert answer["compute_ms"] + answer["staging_ms"] + answer["communication_ms"] == pytest.approx(answer["total_ms"])
    assert answer["transfer_ms"] + answer["waiting_ms"] == pytest.approx(answer["communication_ms"])
    assert answer["energy_j"]["all_boards"] == pytest.approx(sum(answer["energy_j"]["boards"]))
    assert answer["energy_j"]["terminal"] == answer["energy_j"]["boards"][0]
    memory = [memory_use(scenario.schedule(), rank).total_bytes / 1e6 for rank in (0, 1)]
    assert answer["memory_mb"] == pytest.approx(memory, abs=1e-3)
    assert answer["extrapolated"] == []
    assert answer["feasible"] is True
    assert answer["input_distribution"] == "replicated"
    local = simulate(Scenario(VIT_B, 8, 400.0, Plan()), load_profile("orin_nano_published"))
    assert answer["local_ms"] == pytest.approx(local.total_s * 1e3)
    assert answer["total_ms"] < answer["local_ms"]


def test_every_option_reaches_the_scenario(cli: Cli, tmp_path: Path) -> None:
    done = cli(
        *("simulate", "--model", "vit_small_patch16_224", "--cr", "9.9", "--devices", "2", "--batch", "3"),
        *("--bandwidth", "0.3 Gbps", "--reverse-bandwidth", "200", "--exchange", "preposted", "--input", "tokens"),
        *("--skip-first-exchange", "--wire-dtype", "float16", "--shares", "2,1", "--record", "one.jsonl", "--json"),
    )
    assert done.code == 0
    (record,) = read_measurements(tmp_path / "one.jsonl")
    assert record.plan == Plan(
        "segment_means",
        2,
        10,
        wire_dtype="float16",
        exchange="preposted",
        input_distribution="tokens",
        first_exchange=False,
        shares=(2.0, 1.0),
    )
    assert (record.model, record.batch) == ("vit_small_patch16_224", 3)
    assert (record.bandwidth_mbps, record.reverse_bandwidth_mbps) == (300.0, 200.0)
    assert record.total_s * 1e3 == pytest.approx(done.json["total_ms"])
    assert done.err == "record written to one.jsonl\n"


def test_relay_and_jitter_change_the_answer_and_jitter_repeats(cli: Cli) -> None:
    def total_ms(*options: str) -> float:
        return float(cli(*PUBLISHED_CASE, *options, "--json").json["total_ms"])

    plain = total_ms()
    assert total_ms("--relay") > plain
    assert total_ms("--jitter", "0.2", "--seed", "1") == total_ms("--jitter", "0.2", "--seed", "1") != plain
    assert total_ms("--jitter", "0.2", "--seed", "2") != total_ms("--jitter", "0.2", "--seed", "1")


def test_a_relayed_pass_was_not_measured_and_says_so(cli: Cli) -> None:
    """The fitted rate contains the relay of the published set-up."""
    extrapolated = cli(*PUBLISHED_CASE, "--relay", "--json").json["extrapolated"]
    assert any("relay" in reason for reason in extrapolated)


def test_a_plan_that_does_not_fit_is_an_answer(cli: Cli, tmp_path: Path) -> None:
    arguments = ["simulate", "--model", "vit_huge_patch14_224", "--segments", "10", "--batch", "100000"]
    done = cli(*arguments, "--trace", "t.json", "--json")
    assert done.code == 0
    assert done.json["feasible"] is False
    assert "MB to offer" in done.json["reason"]
    assert done.json["total_ms"] is None
    assert min(done.json["memory_mb"]) > 6000
    assert without_leftovers(tmp_path)
    told = cli(*arguments)
    assert told.code == 0
    assert told.out.startswith("Infeasible: rank 0 needs ")


def test_the_trace_file_opens_as_json_and_is_named_on_stderr(cli: Cli, tmp_path: Path) -> None:
    done = cli(*PUBLISHED_CASE, "--trace", "deep/pass.json", "--json")
    assert "trace written to deep/pass.json" in done.err
    assert done.json["feasible"] is True
    trace = json.loads((tmp_path / "deep" / "pass.json").read_text(encoding="utf-8"))
    ends = [event["ts"] + event["dur"] for event in trace["traceEvents"] if event["ph"] == "X" and event["pid"] == 0]
    assert max(ends) / 1e3 == pytest.approx(done.json["total_ms"])


def test_the_table_answers_in_words(cli: Cli) -> None:
    done = cli(*PUBLISHED_CASE)
    assert done.code == 0
    assert "0 (terminal)" in done.out
    assert "% faster: worth splitting" in done.out
    assert "blocking, replicated input" in " ".join(done.out.split())  # a title may be wrapped
    assert "Extrapolated" not in done.out
    slower = cli("simulate", "--mode", "full_tensor", "--bandwidth", "200")
    assert "% slower: not worth splitting" in slower.out
    assert "Extrapolated: bandwidth 200 Mbps (measured: 400)." in slower.out


@pytest.mark.parametrize("command", [["calibrate"], ["validate"]])
def test_tables_for_people(cli: Cli, command: list[str]) -> None:
    done = cli(*command)
    assert (done.code, done.err) == (0, "")
    words = {"calibrate": ["compute local", "offset_power", "Effective link"], "validate": ["MAPE", "Gates", "passed"]}
    for word in words[command[0]]:
        assert word in done.out


@pytest.mark.parametrize("arguments", [PUBLISHED_CASE, ["calibrate"]])
def test_json_of_a_real_process_is_one_object_alone_on_stdout(tmp_path: Path, arguments: list[str]) -> None:
    done = run_prism(*arguments, "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.json


def test_an_unforeseen_error_is_not_disguised(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours keeps its traceback: it is no bad input."""

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("prism.catalogue.shape_of", bug)
    with pytest.raises(ZeroDivisionError):
        cli(*PUBLISHED_CASE)
