"""The profiler's file of records: a kill at any byte, a full disk and another session's file lose no run."""

from __future__ import annotations

import os
import resource
import signal
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from hw.profiler.grid import Grid
from hw.profiler.log import RunLog
from hw.profiler.session import Session, map_of
from hw.profiler.visits import FullSweep
from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import Plan
from prism.record import Measurement, RankTimes, read_measurements

MODEL = "vit_base_patch16_224"
NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)


def session(seed: int = 1, batches: tuple[int, ...] = (1, 2), **machine: str) -> Session:
    grid = Grid(shape_of(MODEL), batches, (200.0, 800.0), (Plan(), Plan("segment_means", 2, 10)))
    return Session(grid, FullSweep(grid, seed), {"board": "x"} | machine)


def record(of: Session, number: int, time: datetime = NOON) -> Measurement:
    case = of.grid.cases[number % len(of.grid.cases)]
    total_s = 0.1 + number
    bare = Measurement(
        "measured", MODEL, case.batch, case.bandwidth_mbps, case.plan, total_s, (RankTimes(total_s, 0, 0, 0),)
    )
    return of.stamped(bare, number, time)


def filled(path: Path, of: Session, runs: int = 3) -> list[Measurement]:
    records = [record(of, number) for number in range(runs)]
    with RunLog(path, of) as log:
        for each in records:
            log.append(each)
    return records


def test_every_run_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    path, of = tmp_path / "new" / "runs.jsonl", session()
    with RunLog(path, of) as log:
        for number in range(3):
            log.append(record(of, number))
            assert read_measurements(path) == [record(of, each) for each in range(number + 1)]
    with RunLog(path, of) as log:
        assert (len(log.records), log.notice) == (3, "")


def test_a_kill_at_every_byte_of_the_last_line_loses_that_run_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)  # noqa: ARG005
    path, of = tmp_path / "runs.jsonl", session()
    records = filled(path, of, 2)
    data = path.read_bytes()
    start = data.index(b"\n") + 1
    for length in range(start, len(data)):
        path.write_bytes(data[:length])
        with RunLog(path, of) as log:
            kept = list(log.records)
            if length == start:
                assert (kept, log.notice) == (records[:1], "")
            elif length == len(data) - 1:
                assert kept == records
                assert log.notice == f"{path}:2: lacked its line feed, which was added; the run is kept"
            else:
                assert kept == records[:1]
                assert log.notice.startswith(f"{path}:2: was cut off after {length - start} bytes and removed")
            if len(kept) == 1:
                log.append(records[1])
        assert path.read_bytes() == data


def test_zeros_after_a_loss_of_power_are_cut_off(tmp_path: Path) -> None:
    path, of = tmp_path / "runs.jsonl", session()
    records = filled(path, of)
    whole = path.read_bytes()
    for end in (b"\0" * 500, b'{"source":"meas' + b"\0" * 50):
        path.write_bytes(whole + end)
        with RunLog(path, of) as log:
            assert log.records == records
        assert path.read_bytes() == whole


def test_any_other_broken_line_is_refused_by_file_and_line_and_left_as_it_is(tmp_path: Path) -> None:
    path, of = tmp_path / "runs.jsonl", session()
    filled(path, of)
    lines = path.read_bytes().splitlines(keepends=True)
    for number, broken in ((2, lines[1][:40] + b"\n"), (3, lines[2][:-20] + b"\n")):
        path.write_bytes(b"".join([*lines[: number - 1], broken, *lines[number:]]))
        before = path.read_bytes()
        with pytest.raises(InputError, match=rf"runs\.jsonl:{number}: not valid JSON"):
            RunLog(path, of)
        assert path.read_bytes() == before


def test_a_file_of_someone_elses_is_not_cut_off(tmp_path: Path) -> None:
    for content in (b"holiday photo", b"\x89PNG\r\n\x1a\n123", b'{"name": 1}'):
        path = tmp_path / "photo.png"
        path.write_bytes(content)
        with pytest.raises(InputError, match="give another file"):
            RunLog(path, session())
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (session(seed=2), "sweep_seed was '1', now '2'"),
        (session(batches=(1, 4)), "sweep_grid was"),
        (session(board="y"), r"machine\.board was 'x', now 'y'"),
        (session(torch="2.5"), r"machine\.torch was None, now '2\.5'"),
    ],
)
def test_another_session_is_refused_by_what_differs(tmp_path: Path, other: Session, message: str) -> None:
    path = tmp_path / "runs.jsonl"
    filled(path, session())
    before = path.read_bytes()
    with pytest.raises(InputError, match=rf"runs\.jsonl:1: belongs to another sweep \({message}") as refusal:
        RunLog(path, other)
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == before


def test_one_process_at_a_time_and_regular_files_only(tmp_path: Path) -> None:
    of = session()
    with RunLog(tmp_path / "runs.jsonl", of), pytest.raises(InputError, match="another sweep writes it"):
        RunLog(tmp_path / "runs.jsonl", of)
    with pytest.raises(InputError, match="no regular file"):
        RunLog(Path("/dev/full"), of)
    with pytest.raises(InputError, match="cannot be written"):
        RunLog(tmp_path, of)


def test_a_full_disk_is_one_line_and_keeps_what_was_measured(tmp_path: Path) -> None:
    path, of = tmp_path / "runs.jsonl", session()
    records = filled(path, of)
    with RunLog(path, of) as log:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, limits[1]))
        try:
            with pytest.raises(InputError, match=r"File too large\); it keeps the 3 runs before") as refusal:
                log.append(record(of, 3))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(refusal.value)
    with RunLog(path, of) as log:
        assert (log.records, log.notice) == (records, "")
        log.append(record(of, 3))
    assert read_measurements(path) == [*records, record(of, 3)]


def test_an_interruption_waits_until_the_line_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, of = tmp_path / "runs.jsonl", session()
    real = os.write
    calls: list[int] = []

    def interrupted(file: int, data: Any) -> int:
        calls.append(len(data))
        written = real(file, data[:10])
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return written

    with RunLog(path, of) as log:
        monkeypatch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append(record(of, 0))
        assert log.records == [record(of, 0)]
    monkeypatch.undo()
    assert read_measurements(path) == [record(of, 0)]


def test_the_map_of_a_sweep_knows_its_machine_and_is_as_old_as_its_last_run() -> None:
    of = session()
    late = NOON.replace(hour=15)
    table = map_of([record(of, 0), record(of, 1, late), record(of, 2)])
    assert (table.machine, table.created, table.runs) == ({"board": "x"}, late.isoformat(), 3)
    with pytest.raises(InputError, match="one sweep"):
        map_of([record(of, 0), record(session(seed=2), 1)])
