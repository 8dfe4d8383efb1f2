"""Real processes that are interrupted or run out of disk while they write: one line, nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import PRISM, Cli, Outcome, child_environment, run_python, without_leftovers

#: Runs the command in a process that may write no file larger than the first argument.
ON_A_FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from prism.cli.main import main
main(sys.argv[2:])
"""

#: Runs the command, and stops in the middle of writing a text file until it is interrupted.
STOPPED_MID_WRITE = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests themselves run in the background
whole = pathlib.Path.write_text
def half(path, text, **options):
    whole(path, text[: len(text) // 2], **options)
    print("HALF", path.stat().st_size, flush=True)
    time.sleep(60)
pathlib.Path.write_text = half
from prism.cli.main import main
main(sys.argv[1:])
"""

SIMULATE = ("simulate", "--segments", "10")


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        ((*SIMULATE, "--trace", "out/t.json"), "out/t.json"),
        ((*SIMULATE, "--record", "out/r.jsonl"), "out/r.jsonl"),
        (("calibrate", "--out", "out/p.json"), "out/p.json"),
        (("study", "small.toml", "--out", "out"), "out/results.csv"),
    ],
)
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, arguments: tuple[str, ...], target: str) -> None:
    (tmp_path / "small.toml").write_text("[sweep]\nbatch = 8\nbandwidth_mbps = 400\n", encoding="utf-8")
    path = tmp_path / target
    path.parent.mkdir()
    path.write_text("kept", encoding="utf-8")
    done = run_python(ON_A_FULL_DISK, "100", *arguments, cwd=tmp_path)
    assert done.refusal == f"error: {target}: cannot be written (File too large); nothing was changed"
    assert path.read_text(encoding="utf-8") == "kept"
    assert without_leftovers(path.parent, path.name)


def interrupted_mid_write(folder: Path, *arguments: str) -> Outcome:
    child = subprocess.Popen(
        [sys.executable, "-c", STOPPED_MID_WRITE, *arguments],
        cwd=folder,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line.startswith("HALF "), child.communicate()[1]
    assert int(line.split()[1]) > 0
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    return Outcome(child.returncode, out, err)


@pytest.mark.parametrize("existing", [None, "kept"])
def test_an_interrupt_mid_write_leaves_neither_half_nor_temporary(tmp_path: Path, existing: str | None) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    if existing is not None:
        (folder / "t.json").write_text(existing, encoding="utf-8")
    done = interrupted_mid_write(tmp_path, *SIMULATE, "--trace", "out/t.json")
    assert (done.code, done.out) == (130, "")
    assert done.err.lstrip("\n") == "interrupted: no file was left half-written\n"
    assert without_leftovers(folder, *([] if existing is None else ["t.json"]))
    assert existing is None or (folder / "t.json").read_text(encoding="utf-8") == existing


def test_an_interrupt_between_files_is_exit_130_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim.simulate.simulate", interrupt)
    done = cli(*SIMULATE, "--json")
    assert (done.code, done.out, done.err.strip()) == (130, "", "interrupted: no file was left half-written")


def with_stdout_to(path: str, folder: Path, *arguments: str) -> tuple[int, str]:
    with Path(path).open("w", encoding="utf-8") as sink:
        done = subprocess.run(
            [*PRISM, *arguments],
            cwd=folder,
            env=child_environment(),
            stdout=sink,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", [["--json"], []])
def test_a_full_disk_behind_stdout_is_one_line(tmp_path: Path, form: list[str]) -> None:
    code, err = with_stdout_to("/dev/full", tmp_path, *SIMULATE, *form)
    assert code == 2
    assert err.splitlines() == [
        "error: the output cannot be written (No space left on device); free space or print elsewhere"
    ]


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PRISM, *SIMULATE, "--json"],
        cwd=tmp_path,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        err = child.stderr.read()
    assert (child.returncode, err) == (0, "")


def block(folder: Path) -> str:
    """A file where a folder should be."""
    (folder / "file").write_text("x", encoding="utf-8")
    return "file/below"


def directory(folder: Path) -> str:
    """A folder where a file should be."""
    (folder / "taken" / "results.csv").mkdir(parents=True)
    return "taken"


@pytest.mark.parametrize("place", [block, directory])
def test_a_study_that_cannot_write_says_so(cli: Cli, tmp_path: Path, place: Callable[[Path], str]) -> None:
    (tmp_path / "small.toml").write_text("[sweep]\nbatch = 8\nbandwidth_mbps = 400\n", encoding="utf-8")
    out = place(tmp_path)
    refusal = cli("study", "small.toml", "--out", out).refusal
    assert f"{out}/results.csv: cannot be written" in refusal
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == ({"small.toml", "file"} if place is block else {"small.toml", "taken", "results.csv"})
