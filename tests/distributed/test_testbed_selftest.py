"""The self-test on real links. The one verdict that is asserted is off by so much that no noise can turn it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hw.link.verdict import JUDGED_BYTES
from hw.testbed import LoopbackTestbed, Testbed, why_no_namespaces
from hw.testbed.check import ProbeFailed, check
from hw.testbed.names import namespaces_of
from prism.errors import InputError
from tests.helpers.command import run_prism

REASON = why_no_namespaces()
needs_namespaces = pytest.mark.skipif(REASON is not None, reason=f"{REASON}")


@needs_namespaces
@pytest.mark.slow
def test_a_burst_of_64_kb_lets_messages_through_and_is_refused() -> None:
    with Testbed(2, 100, burst_bytes=65_536) as bed:
        verdict = check(bed, repeats=5)
    assert not verdict.ok
    assert verdict.refusal is not None
    assert "pass unshaped" in verdict.refusal
    alone = [one for one in verdict.figures if one.direction != "both" and one.payload_bytes < 300_000]
    assert len(alone) == 4
    assert all(one.ratio < 0.8 for one in alone), verdict.figures


@needs_namespaces
@pytest.mark.slow
def test_every_figure_of_a_good_link_is_there_and_its_bytes_are_counted() -> None:
    with Testbed(2, 100) as bed:
        verdict = check(bed, repeats=2)
    assert {(one.direction, one.payload_bytes) for one in verdict.figures} == {
        (direction, size) for direction in ("forward", "reverse", "both") for size in JUDGED_BYTES
    }
    assert verdict.wire_bytes_counted
    assert 0.90 < verdict.payload_efficiency < 1448 / 1514
    assert verdict.provenance == bed.provenance()
    both = {one.payload_bytes: one.wire_bytes for one in verdict.figures if one.direction == "both"}
    alone = {one.payload_bytes: one.wire_bytes for one in verdict.figures if one.direction == "forward"}
    assert all(1.8 * alone[size] < both[size] < 2.1 * alone[size] for size in JUDGED_BYTES)


@needs_namespaces
@pytest.mark.slow
def test_a_link_that_is_cut_is_an_error_and_no_hang() -> None:
    with Testbed(2, 400) as bed:
        bed.cut(1)
        with pytest.raises(ProbeFailed, match=r"timed out|unreachable"):
            check(bed)


@pytest.mark.slow
def test_loopback_paces_itself_and_reckons_its_bytes() -> None:
    with LoopbackTestbed(2, 100) as bed:
        verdict = check(bed, repeats=1)
    assert not verdict.wire_bytes_counted
    assert verdict.provenance["method"].startswith("loopback")


def test_a_rank_that_is_not_there_cannot_be_tested() -> None:
    with LoopbackTestbed(2, 100) as bed, pytest.raises(InputError, match="no rank 5"):
        check(bed, server=5)


@needs_namespaces
@pytest.mark.slow
def test_the_command_exits_1_on_a_refused_link_and_runs_nothing_on_it(tmp_path: Path) -> None:
    done = run_prism("testbed", "--burst", "65536", "--selftest", "--json", "--", "echo", "ran", cwd=tmp_path)
    assert done.code == 1
    assert done.json["selftest"]["ok"] is False
    assert "exit_codes" not in done.json
    assert "ran" not in done.err


@needs_namespaces
def test_the_command_runs_in_every_rank(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo I am $PRISM_RANK; exit $PRISM_RANK"]
    done = run_prism("testbed", "--ranks", "3", "--json", "--", *command, cwd=tmp_path)
    assert done.code == 1
    assert done.json["exit_codes"] == [0, 1, 2]
    assert sorted(line for line in done.err.splitlines() if line) == [f"rank {rank}: I am {rank}" for rank in range(3)]


@needs_namespaces
def test_the_command_says_what_it_made_and_leaves_nothing(tmp_path: Path) -> None:
    done = run_prism("testbed", "--ranks", "2", "--bandwidth", "0.1Gbps", cwd=tmp_path)
    assert done.code == 0
    assert "method network namespaces" in done.out
    assert "bandwidth mbps 100" in done.out


@needs_namespaces
def test_clean_removes_what_a_dead_owner_left(tmp_path: Path) -> None:
    prefix = f"prism-{2**22 + 1}-1-0"  # above any pid there can be
    for role in ("air", "r0"):
        subprocess.run(["ip", "netns", "add", f"{prefix}-{role}"], check=True)
    done = run_prism("testbed", "--clean", "--json", cwd=tmp_path)
    assert done.code == 0
    assert isinstance(done.json["removed"], list)  # another test run may have been quicker
    assert namespaces_of(prefix) == []


def test_loopback_says_so(tmp_path: Path) -> None:
    done = run_prism("testbed", "--loopback", "--", "true", cwd=tmp_path)
    assert done.code == 0
    assert "asked for: loopback testbed: there is no shared medium" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bandwidth", "5"], "bandwidth_mbps = 5.0 is out of range"),
        (["--bandwidth", "fast"], "'fast' is not a number"),
        (["--ranks", "0"], "1 to 16 ranks"),
        (["--ranks", "2.5"], "not a valid integer"),
        (["--nosuch"], "No such option"),
        (["--", "nosuchcommand"], "no command 'nosuchcommand'"),
        (["--ranks", "1", "--selftest"], "needs 2 ranks"),
        (["--loopback", "--burst", "4000"], "loopback has no bucket"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    if os.geteuid() != 0 and "--loopback" not in arguments:
        pytest.skip("without root another line says that it is on loopback")
    done = run_prism("testbed", *arguments, cwd=tmp_path)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert message in done.err.splitlines()[-1]
    assert done.err.splitlines()[-1].startswith("error: ")
