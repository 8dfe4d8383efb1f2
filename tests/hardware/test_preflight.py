"""What has to hold before anything is measured."""

from __future__ import annotations

from pathlib import Path

from tests.hardware.conftest import INTERFACE, PEERS
from tests.helpers.command import run_prism


def test_the_preflight_finds_no_fault(tmp_path: Path) -> None:
    options = [] if PEERS is None else ["--require-cuda", "--peer", PEERS.split(",")[0].partition(":")[0]]
    options += ["--interface", INTERFACE] if INTERFACE else []
    outcome = run_prism("doctor", "--json", *options, cwd=tmp_path)
    failed = [check for check in outcome.json["checks"] if check["status"] == "failed"]
    assert failed == []
    assert outcome.code == 0
