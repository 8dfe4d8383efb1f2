"""Python code in a process of its own: a torch that crashes, hangs or floods stdout cannot take the doctor down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

#: Precedes every line that is meant for the parent; packages print things of their own.
_MARK = "prism-doctor "
#: The child imports from where the parent does, and not from the folder that it happens to start in.
_START = (
    "import importlib, json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "importlib.import_module(sys.argv[2]).main(sys.argv[3:])"
)
#: A process that waits inside a driver does not die of SIGKILL at once; it is left behind after this long.
_DYING_S = 3.0


@dataclass(frozen=True)
class Ended:
    """How a child ended: what it told, and in `reason` why it did not get to its end, if it did not."""

    told: tuple[dict[str, Any], ...]
    reason: str = ""


#: Runs a module's `main` with arguments, for so many seconds at most.
RunChild = Callable[[str, list[str], float], Ended]


def tell(facts: dict[str, Any]) -> None:
    """Called in the child: hand facts to the parent, at once."""
    sys.stdout.write(f"\n{_MARK}{json.dumps(facts)}\n")
    sys.stdout.flush()


def run_child(module: str, arguments: list[str], timeout_s: float) -> Ended:
    """Run `module`'s `main(arguments)` in a fresh interpreter with this one's search path."""
    command = [sys.executable, "-c", _START, json.dumps(sys.path), module, *arguments]
    # Files and not pipes: a process that the child leaves behind can hold a pipe open for ever.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        try:
            reason = _reason(process.wait(timeout_s), err)
        except subprocess.TimeoutExpired:
            reason = f"took longer than {timeout_s:g} s"
        finally:
            _kill(process)
        return Ended(_told(out), reason)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_DYING_S)


def _reason(code: int, err: IO[bytes]) -> str:
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    if code > 0:
        err.seek(0)
        lines = err.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
    return ""


def _told(out: IO[bytes]) -> tuple[dict[str, Any], ...]:
    out.seek(0)
    lines = out.read().decode(errors="replace").split("\n")
    told = []
    for line in lines:
        if line.startswith(_MARK):
            with contextlib.suppress(ValueError):  # cut off when the child was killed
                told.append(json.loads(line.removeprefix(_MARK)))
    return tuple(told)
