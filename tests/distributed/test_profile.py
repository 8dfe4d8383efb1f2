"""`prism profile` when something happens on the way: nothing that was measured is lost, nothing is measured twice."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("torch")

from hw.testbed import why_no_namespaces
from hw.testbed.names import NAMESPACES
from prism.profile import profile_json
from prism.record import Measurement, read_measurements
from prism.work import works
from tests.helpers.command import PRISM, child_environment, run_prism
from tests.helpers.corpus import machine

pytestmark = [pytest.mark.torch, pytest.mark.slow]

SWEEP = (
    "profile", "--testbed", "--model", "vit_tiny_patch16_224", "--batches", "1,2", "--bandwidth", "200,400",
    "--segments", "10", "--modes", "local,segment_means", "--rounds", "1", "--warm-up", "1", "--timeout", "30",
    "--meter", "none", "--out", "runs.jsonl", "--json",
)  # fmt: skip
CASES, PASSES_A_CASE = 6, 5


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PRISM, *SWEEP],
        cwd=folder,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_runs(process: subprocess.Popen[str], path: Path, runs: int) -> None:
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < runs):
        time.sleep(0.02)


def check_whole(records: list[Measurement]) -> None:
    runs = Counter(record.scenario for record in records)
    assert len(runs) == CASES
    assert set(runs.values()) == {PASSES_A_CASE}
    assert len({record.provenance["date"] for record in records}) == len(records)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_sweep_loses_and_repeats_nothing(tmp_path: Path, how: signal.Signals) -> None:
    process = start(tmp_path)
    wait_for_runs(process, tmp_path / "runs.jsonl", 7)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted" in said
    kept = (tmp_path / "runs.jsonl").read_bytes().count(b"\n")
    assert kept >= 7
    outcome = run_prism(*SWEEP, cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    records = read_measurements(tmp_path / "runs.jsonl")
    check_whole(records)
    assert outcome.json["runs"] == len(records)
    assert f"going on with runs.jsonl: {kept} runs are there already" in outcome.err


def test_a_full_disk_keeps_what_was_measured(tmp_path: Path) -> None:
    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    outcome = run_prism(*SWEEP, cwd=tmp_path, preexec_fn=no_large_files)
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith("error: runs.jsonl: cannot be written (File too large)")
    kept = read_measurements(tmp_path / "runs.jsonl")
    assert kept
    assert run_prism(*SWEEP, cwd=tmp_path).code == 0
    records = read_measurements(tmp_path / "runs.jsonl")
    assert records[: len(kept)] == kept
    check_whole(records)


@pytest.mark.skipif(why_no_namespaces() is not None, reason=f"{why_no_namespaces()}")
def test_a_worker_that_dies_ends_the_sweep_with_its_name(tmp_path: Path) -> None:
    before = set(NAMESPACES.iterdir()) if NAMESPACES.exists() else set()
    process = start(tmp_path)
    wait_for_runs(process, tmp_path / "runs.jsonl", 3)
    subprocess.run(["pkill", "-KILL", "-P", str(process.pid), "-f", "prism.cli.main worker"], check=True)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert said.splitlines()[-1].startswith("error: worker 1 (10.77.0.2)")
    assert len(read_measurements(tmp_path / "runs.jsonl")) >= 3
    assert (set(NAMESPACES.iterdir()) if NAMESPACES.exists() else set()) <= before


DESIGN = """
format = "prism.corpus_design/1"
boards = 3
rounds = 1
[[sweep]]
name = "three"
model = "vit_tiny_patch16_224"
batches = [1]
bandwidth_mbps = [900.0]
modes = ["segment_means"]
segments = [5]
spans = 2
"""


def test_a_corpus_of_three_boards_that_sleep_their_compute(tmp_path: Path) -> None:
    """Real messages, steps and spans; compute takes as long as the profile says, or longer, and the record says so."""
    profile = machine()
    (tmp_path / "profile.json").write_text(profile_json(profile), encoding="utf-8")
    (tmp_path / "design.toml").write_text(DESIGN, encoding="utf-8")
    command = (
        "profile", "--design", "design.toml", "--testbed", "--ranks", "3", "--replay", "profile.json",
        "--meter", "none", "--out", "corpus",
    )  # fmt: skip
    done = run_prism(*command, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json == {"runs": 10, "out": "corpus"}
    records = read_measurements(tmp_path / "corpus")
    assert Counter(record.plan.exchange for record in records) == {"blocking": 5, "preposted": 5}
    assert [bool(record.spans) for record in records] == [True, True, False, False, False] * 2
    for record in records:
        assert record.provenance["machine.compute"] == f"replayed from the profile {profile.name}"
        schedule = record.scenario.schedule()
        for rank, times in enumerate(record.ranks):
            slept = sum(profile.work["segment_means"].seconds(work) for work in works(schedule, rank))
            assert times.compute_s >= slept > 0
    again = run_prism(*command, cwd=tmp_path)
    assert again.code == 0
    assert "going on with corpus/three.jsonl: 10 runs are there already" in again.err
    assert read_measurements(tmp_path / "corpus") == records


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "design.toml").write_text(DESIGN, encoding="utf-8")
    for options, told in (
        (("--testbed", "--design", "design.toml"), "the design is of 3 boards and there are 2"),
        (("--testbed", "--design", "design.toml", "--rounds", "3"), "--rounds is said by the design file"),
        (("--testbed", "--replay", "orin_nano_published"), "no prices of work"),
        ((), "say where to measure"),
        (("--testbed", "--peers", "10.0.0.2"), "say where to measure"),
        (("--peers", "jetson.local"), "peer 'jetson.local' is not an IPv4 address"),
        (("--testbed", "--batches", "one"), "batches 'one' are not whole numbers"),
        (("--testbed", "--model", "vit_titanic"), "unknown model 'vit_titanic'"),
        (("--testbed", "--exchange", "eager"), "unknown exchange 'eager'"),
        (("--testbed", "--segments", "500"), "larger than the largest partition"),
        (("--testbed", "--bandwidth", "0"), "bandwidth"),
        (("--testbed", "--meter", "watt"), "unknown power meter 'watt'"),
        (("--testbed", "--passes", "1"), "passes"),
    ):
        refused = run_prism("profile", "--out", "runs.jsonl", *options, cwd=tmp_path)
        assert told in refused.refusal
    assert [path.name for path in tmp_path.iterdir()] == ["design.toml"]
