"""Wall time and memory of whole commands, each in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from tests.benchmarks.figures import Figure

PRISM = Path(sys.executable).with_name("prism")
STUDIES = 3
#: Of ru_maxrss: bytes on macOS, kibibytes elsewhere.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def command_figures(rounds: int) -> list[tuple[str, list[Figure]]]:
    """Tables of figures for `prism --help` and the default study, by title."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "study"
        study: list[str | Path] = [PRISM, "study", "--out", out]
        first_s, first_mb = run(study, {"MPLCONFIGDIR": str(Path(folder) / "matplotlib")})
        later = [run(study) for _ in range(STUDIES)]
        if not (out / "report.html").exists():
            raise SystemExit(f"prism study wrote no report into {out}")
    run([PRISM, "--help"])
    help_s = [run([PRISM, "--help"])[0] for _ in range(rounds)]
    seconds = [
        Figure("prism study, matplotlib's first run (it lists the fonts)", [first_s]),
        Figure(
            f"prism study, from start to finished report ({STUDIES} runs)", [seconds for seconds, _ in later], "<= 10 s"
        ),
        Figure(f"prism --help ({rounds} runs)", help_s, "<= 0.5 s"),
    ]
    memory = [Figure("prism study", [first_mb, *(mb for _, mb in later)], "<= 400 MB")]
    return [("Seconds of a command in a fresh process", seconds), ("Peak resident memory, MB", memory)]


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Seconds and peak megabytes of a command that must succeed."""
    begin = perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    assert process.stderr is not None
    with process.stderr:
        complaint = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    seconds = perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} exited with {process.returncode}: {complaint}")
    return seconds, usage.ru_maxrss * RSS_UNIT / 1e6
