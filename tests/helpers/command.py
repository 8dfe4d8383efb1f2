"""The command `prism` in a process of its own, and files for it to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import prism

#: Where the prism under test lies, the installed one or the tree: a child must not import another.
HOME = Path(prism.__file__).parents[1]
PRISM = (sys.executable, "-m", "prism.cli.main")


def child_environment() -> dict[str, str]:
    """A user's: no setting of the machine that runs the tests changes how Python buffers or warns."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Byte code would be written too, and cut off, where a test limits the size of files.
    ours = {"PYTHONPATH": str(HOME), "PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg"}
    return plain | ours


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Stdout, which must be one JSON object and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def refusal(self) -> str:
        """The one line of an error, checked to be one and to be all there is."""
        assert "Traceback" not in self.err, self.err
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        assert self.code == 2
        return lines[0]


def run_prism(*arguments: str, cwd: Path, **options: Any) -> Outcome:
    """`prism` with these arguments in a child process."""
    done = subprocess.run(
        [*PRISM, *arguments],
        cwd=cwd,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def run_python(code: str, *arguments: str, cwd: Path, **options: Any) -> Outcome:
    """Python code in a child process that imports the same prism."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **options,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def shipped_profile() -> dict[str, Any]:
    """The shipped profile as plain data, to be broken at will."""
    data = json.loads((files("prism") / "profiles" / "orin_nano_published.json").read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def changed(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`data` with the value at a dotted path replaced or added, in place."""
    *parents, last = path.split(".")
    target: Any = data
    for key in parents:
        target = target[int(key)] if isinstance(target, list) else target[key]
    target[last] = value
    return data


def without_leftovers(folder: Path, *expected: str) -> bool:
    """Whether the folder holds these names and nothing else, hidden temporaries included."""
    return sorted(path.name for path in folder.iterdir()) == sorted(expected)


Cli = Callable[..., Outcome]
