"""A sweep on these boards, from the command line: records, map, and calibration from them."""

from __future__ import annotations

import json
from pathlib import Path

from prism.policy.performance_map import read_map
from prism.record import read_measurements
from tests.hardware.conftest import MODEL, where
from tests.helpers.command import PRISM, run_prism

SWEEP = ("--model", MODEL, "--batches", "1,2", "--bandwidth", "100,400", "--segments", "10", "--warm-up", "1")


def test_a_sweep_makes_records_and_a_map_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    assert PRISM
    command = ["profile", *where(), *SWEEP, "--timeout", "30", "--meter", "none", "--out", "runs.jsonl", "--json"]
    first = run_prism(*command, "--passes", "24", "--map", "map.json", cwd=tmp_path)
    assert first.code == 0, first.err
    assert first.json["runs"] == 24
    records = read_measurements(tmp_path / "runs.jsonl")
    assert len(records) == 24
    assert {record.source for record in records} == {"measured"}
    assert {record.plan.mode for record in records} == {"local", "full_tensor", "segment_means"}
    for record in records:
        assert record.terminal.total_s == record.total_s or abs(record.terminal.total_s / record.total_s - 1) < 0.01
    performance_map = read_map(tmp_path / "map.json")
    assert performance_map.model == MODEL
    assert performance_map.source == "measured"
    again = run_prism(*command, "--passes", "24", cwd=tmp_path)
    assert again.json["runs"] == 24
    assert read_measurements(tmp_path / "runs.jsonl") == records
    longer = run_prism(*command, "--passes", "28", cwd=tmp_path)
    assert longer.json["runs"] == 28
    assert read_measurements(tmp_path / "runs.jsonl")[:24] == records
    assert json.loads((tmp_path / "runs.jsonl").read_text().splitlines()[0])["format"] == "prism.measurement/1"
