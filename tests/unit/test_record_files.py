"""Records: JSON lines that come back as they were, and refusals that name file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import Plan
from prism.profile import load_profile
from prism.record import Energy, Measurement, RankTimes, read_measurements, write_measurements
from prism.scenario import Scenario
from sim.simulate import simulate
from tests.helpers.command import changed

seconds = st.floats(0.0, 1e6)


def record(*, trace: bool = False) -> Measurement:
    scenario = Scenario(shape_of("vit_base_patch16_224"), 8, 400.0, Plan("segment_means", 2, 10))
    return simulate(scenario, load_profile("orin_nano_published"), trace=trace)


def as_data(measurement: Measurement, folder: Path) -> dict[str, Any]:
    write_measurements(folder / "one.jsonl", [measurement])
    data = json.loads((folder / "one.jsonl").read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def test_simulated_records_come_back_with_their_spans(tmp_path: Path) -> None:
    records = [record(trace=True), record()]
    write_measurements(tmp_path / "runs.jsonl", records)
    assert len((tmp_path / "runs.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert read_measurements(tmp_path / "runs.jsonl") == records


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    total=st.floats(1e-9, 1e6),
    times=st.lists(st.tuples(seconds, seconds, seconds, seconds), min_size=1, max_size=3),
    joules=st.none() | st.lists(seconds, min_size=1, max_size=3),
    provenance=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)
def test_any_record_comes_back_to_the_bit(
    tmp_path: Path,
    total: float,
    times: list[tuple[float, float, float, float]],
    joules: list[float] | None,
    provenance: dict[str, str],
) -> None:
    """Line separators that are not line feeds included: they may stand in a machine's name."""
    measurement = Measurement(
        source="measured",
        model="vit_base_patch16_224",
        batch=8,
        bandwidth_mbps=400.0,
        plan=Plan("full_tensor", 2),
        total_s=total,
        ranks=tuple(RankTimes(*parts) for parts in times),
        energy=None if joules is None else Energy(tuple(joules), "x\u2028y\x85z"),
        provenance=provenance,
    )
    write_measurements(tmp_path / "runs.jsonl", [measurement, measurement])
    assert read_measurements(tmp_path / "runs.jsonl") == [measurement, measurement]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("model", "resnet50", "unknown model 'resnet50'"),
        ("batch", 0, "batch = 0 is out of range"),
        ("batch", 1.5, "batch: Input should be"),
        ("bandwidth_mbps", -1.0, "bandwidth_mbps"),
        ("bandwidth_mbps", float("nan"), "bandwidth_mbps"),
        ("plan.mode", "fast", "plan.mode"),
        ("plan.segments", 0, "segments = 0 must be at least 1"),
        ("plan.segments", 150, "segments = 150 is larger than the largest partition"),
        ("plan.shares", [1.0, -1.0], "share"),
        ("plan.devices", 1, "needs 2 to 64 devices"),
        ("ranks", [], "ranks"),
        ("ranks.0.compute_s", -1.0, "compute_s"),
        ("ranks.0.waiting_s", float("inf"), "waiting_s"),
        ("total_s", 0.0, "total_s"),
        ("total_s", -1.0, "total_s"),
        ("runs", 0, "runs"),
        ("energy.boards_j", [], "boards_j"),
        ("energy.boards_j", [-1.0], "boards_j"),
        ("source", "guessed", "source"),
        ("nonsense", 1, "nonsense: "),
        ("format", "prism.measurement/2", "format 'prism.measurement/2' is not supported"),
        ("format", "prism.profile/1", "not a prism.measurement file"),
        ("total_s", "0.1", "total_s"),
    ],
)
def test_a_bad_line_is_refused_by_file_line_and_key(tmp_path: Path, place: str, value: Any, message: str) -> None:
    good = json.dumps(as_data(record(), tmp_path))
    bad = json.dumps(changed(json.loads(good), place, value))
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join([good, "", bad, good]), encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        read_measurements(path)
    text = str(refusal.value)
    assert text.startswith(f"{path}:3: ")
    assert message in text
    assert "\n" not in text


def test_a_file_cut_off_in_its_last_line_is_refused_at_that_line(tmp_path: Path) -> None:
    line = json.dumps(as_data(record(), tmp_path))
    path = tmp_path / "runs.jsonl"
    for length in range(1, len(line), 101):
        path.write_text(f"{line}\n{line[:length]}", encoding="utf-8")
        with pytest.raises(InputError, match=r"runs\.jsonl:2: not valid JSON"):
            read_measurements(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no measurements"),
        (b"\n \n", "holds no measurements"),
        (b"\xff\xfe", "not a UTF-8 text file"),
        (b"[]", ":1: not a prism.measurement file"),
        (b"[" * 100_000, ":1: JSON nested too deep"),
        (b"{} trailing", ":1: not valid JSON"),
    ],
)
def test_what_is_no_record(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_measurements(path)
