"""`ip` and `tc`, called with their errors checked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

from prism.errors import InputError

TOOL_TIMEOUT_S = 20.0
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")  # a user's PATH often lacks the sbin folders


class ToolFailed(RuntimeError):
    """`ip` or `tc` refused a command. The message is one line with the command and what it said."""


def find_tool(name: str) -> str | None:
    """Path of a system command, or None."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_FOLDERS)))


def run_tool(name: str, *arguments: str, stdin: str | None = None) -> str:
    """Run a system command and return what it printed.

    Raises:
        InputError: the command is not installed.
        ToolFailed: it exited with an error, or took longer than `TOOL_TIMEOUT_S`.
    """
    path = find_tool(name)
    if path is None:
        raise InputError(f"the command {name!r} is not installed; on Debian and Ubuntu: apt install iproute2")
    shown = " ".join((name, *arguments))
    try:
        done = subprocess.run(
            [path, *arguments], input=stdin or "", capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"`{shown}` took longer than {TOOL_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        raise ToolFailed(f"`{shown}` failed: {' '.join((done.stderr or done.stdout).split()) or 'no message'}")
    return done.stdout


def run_batch(name: str, *options: str, lines: Iterable[str]) -> None:
    """Run many `ip` or `tc` commands in one process; the first that fails stops the rest.

    Raises:
        InputError: the command is not installed.
        ToolFailed: one of the lines was refused; the message has that line.
    """
    text = list(lines)
    try:
        run_tool(name, *options, "-batch", "-", stdin="\n".join(text) + "\n")
    except ToolFailed as error:
        raise ToolFailed(f"{error} [{_failed_line(str(error), text)}]") from None


def _failed_line(message: str, lines: list[str]) -> str:
    """The line that a batch names as `Command failed -:3`."""
    number = message.rpartition("-:")[2].split(maxsplit=1)[0]
    return lines[int(number) - 1] if number.isdigit() and 0 < int(number) <= len(lines) else "; ".join(lines)
