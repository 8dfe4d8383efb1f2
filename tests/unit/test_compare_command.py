"""`prism compare`, and the what-ifs of `prism simulate`, as a user meets them."""

from __future__ import annotations

from pathlib import Path

import pytest

from prism.wifi import Wifi
from tests.helpers.command import Cli, without_leftovers

MEANS = ["simulate", "--segments", "10", "--batch", "8"]
NAMES = [
    *("local", "full_tensor", "segment_means", "tensor_parallel"),
    *("layer_pipeline", "class_submodels", "token_selection"),
]


def test_every_way_in_one_object_and_a_plot(cli: Cli, tmp_path: Path) -> None:
    done = cli("compare", "--batch", "8", "--json", "--plot", "ways.svg")
    assert done.code == 0
    answer = done.json
    assert [way["name"] for way in answer["ways"]] == NAMES
    assert all(way["feasible"] and way["source"] and way["gives_up"] for way in answer["ways"])
    stages = ("compute_ms", "staging_ms", "communication_ms")
    assert all(way["total_ms"] == pytest.approx(sum(way[stage] for stage in stages)) for way in answer["ways"])
    simulated = cli(*MEANS, "--json").json
    assert answer["ways"][2]["total_ms"] == simulated["total_ms"]
    assert answer["ways"][0]["total_ms"] == simulated["local_ms"]
    picture = (tmp_path / "ways.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert "tensor_parallel" in picture
    assert without_leftovers(tmp_path, "ways.svg")


def test_the_table_says_what_is_not_possible_and_where_each_way_is_from(cli: Cli) -> None:
    done = cli("compare", "--devices", "16", "--segments", "5")
    assert done.code == 0
    assert "Not possible: tensor_parallel: tensor parallelism over 16 devices" in done.out
    assert "arXiv 1811.06965" not in done.out  # 12 blocks: no pipeline of 16 either
    assert "arXiv 2410.11650" in done.out
    assert "Only Prism's own modes are fitted to measurements" in done.out


@pytest.mark.parametrize("model", ["vit_huge_patch14_224", "bert_large", "gpt2"])
def test_larger_models_and_text(cli: Cli, model: str) -> None:
    ways = {way["name"]: way for way in cli("compare", "--model", model, "--devices", "4", "--json").json["ways"]}
    assert (
        ways["segment_means"]["sent_bytes"] < ways["full_tensor"]["sent_bytes"] < ways["tensor_parallel"]["sent_bytes"]
    )
    assert ways["layer_pipeline"]["memory_bytes"] < ways["local"]["memory_bytes"]
    assert ways["class_submodels"]["feasible"] == (model == "vit_huge_patch14_224")


def test_a_causal_model_is_said_to_be_priced_from_above(cli: Cli) -> None:
    said = "causal model: an upper bound, priced as if every token saw all others"
    for arguments in (["simulate", "--segments", "10"], ["compare"]):
        assert said in cli(*arguments, "--model", "gpt2", "--json").json["extrapolated"]
    assert said not in cli("simulate", "--mode", "local", "--model", "gpt2", "--json").json["extrapolated"]
    assert said not in cli("simulate", "--segments", "10", "--model", "bert_base", "--json").json["extrapolated"]


def test_eight_boards_and_four_thousand_tokens(cli: Cli) -> None:
    answer = cli("simulate", "--tokens", "4097", "--segments", "10", "--devices", "8", "--json").json
    assert len(answer["gflops"]) == 8
    assert any("vit_base_patch16_224@4097" in reason for reason in answer["extrapolated"])


def test_a_radio_sets_the_rate_and_says_so(cli: Cli) -> None:
    direct = cli(*MEANS, "--wifi", "width=80,mcs=9,streams=2", "--json").json
    relayed = cli(*MEANS, "--wifi", "width=80,mcs=9,streams=2,relay", "--json").json
    narrow = cli(*MEANS, "--wifi", "width=20,mcs=9,streams=2", "--json").json
    assert direct["communication_ms"] < relayed["communication_ms"] < narrow["communication_ms"]
    assert [relayed["compute_ms"], narrow["compute_ms"]] == pytest.approx([direct["compute_ms"]] * 2)
    assert f"radio {Wifi(80, 9, 2).phy_rate_mbps:.1f} Mbps" in direct["what_if"][0]
    assert "through an access point" in relayed["what_if"][0]
    assert "What if: 802.11ax 80 MHz MCS 9 x2 direct" in cli(*MEANS, "--wifi", "mcs=9").out


def test_zero_copy_power_mode_and_overlap(cli: Cli) -> None:
    plain = cli(*MEANS, "--json").json
    assert "what_if" not in plain
    assert cli(*MEANS, "--zero-copy", "--json").json["staging_ms"] == 0
    faster = cli(*MEANS, "--power-mode", "25W", "--json").json
    assert faster["compute_ms"] == pytest.approx(plain["compute_ms"] / 1.375)
    overlapped = cli(*MEANS, "--overlap", "--json").json
    assert overlapped["total_ms"] < plain["total_ms"]
    assert "own attention" in overlapped["what_if"][0]


def test_mixed_boards(cli: Cli) -> None:
    even = cli(*MEANS, "--speeds", "1,0.5", "--json").json
    fair = cli(*MEANS, "--speeds", "1,0.5", "--shares", "speed", "--json").json
    best = cli(*MEANS, "--speeds", "1,0.5", "--shares", "best", "--json").json
    assert best["total_ms"] <= fair["total_ms"] < even["total_ms"]
    assert fair["partition"] == [131, 66]
    assert sum(best["partition"]) == 197
    assert "partition" not in even
    assert "Tokens of each board: 131, 66." in cli(*MEANS, "--speeds", "1,0.5", "--shares", "speed").out


def test_a_board_with_too_little_memory_is_named(cli: Cli) -> None:
    done = cli(*MEANS, "--memory-gb", "8,2.1")
    assert done.code == 0
    assert "Infeasible: rank 1 needs" in done.out
    assert "Jetson Orin Nano 8 GB with 2.1 GB has 100 MB to offer" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--devices", "1"], "needs 2 to 64 devices"),
        (["compare", "--model", "gpt3"], "unknown model 'gpt3'"),
        (["compare", "--segments", "5", "--cr", "9.9"], "give --segments or --cr, not both"),
        (["compare", "--input", "tokens"], "does not go with other ways to split"),
        (["compare", "--wifi", "mcs=9", "--bandwidth", "400"], "leave --bandwidth out"),
        (["compare", "--batch", "0"], "batch = 0 is out of range"),
        ([*MEANS, "--wifi", "mcs=99"], "mcs = 99 is out of range"),
        ([*MEANS, "--wifi", "mcs=9", "--bandwidth", "400"], "leave --bandwidth out"),
        ([*MEANS, "--wifi", "mcs=9", "--reverse-bandwidth", "400"], "leave --reverse-bandwidth out"),
        ([*MEANS, "--power-mode", "7W"], "unknown power mode '7W'"),
        ([*MEANS, "--tokens", "500"], "use 485 or 530"),
        ([*MEANS, "--tokens", "5000"], "tokens = 5000 is out of range"),
        ([*MEANS, "--speeds", "1"], "1 speeds for 2 devices"),
        ([*MEANS, "--speeds", "1,fast"], "speeds '1,fast' are not numbers"),
        ([*MEANS, "--speeds", "1,0"], "speed = 0.0 is out of range"),
        ([*MEANS, "--speeds", ""], "write for example 1,0.5"),
        ([*MEANS, "--memory-gb", "8"], "1 memory sizes for 2 devices"),
        ([*MEANS, "--memory-gb", "8,-1"], "memory-gb = -1.0 is out of range"),
        ([*MEANS, "--memory-gb", "8,1"], "reserves more than its 1000000000 bytes"),
        ([*MEANS, "--shares", "speed"], "--shares speed needs --speeds"),
        (["simulate", "--mode", "local", "--shares", "best"], "goes with a distributed mode"),
        (["simulate", "--mode", "local", "--overlap"], "--overlap goes with a distributed mode"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_runs(cli: Cli, arguments: list[str], message: str) -> None:
    assert message in cli(*arguments).refusal


def test_compare_has_help_with_an_example(cli: Cli) -> None:
    done = cli("compare", "--help")
    assert "Example: prism compare" in " ".join(done.out.split())
    assert "--json" in done.out
