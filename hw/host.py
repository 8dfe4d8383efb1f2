"""The machine under examination: its files and its commands, neither of which may fail a check by being absent."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hw.link.tools import ToolFailed, run_tool
from prism.errors import InputError

#: Runs a command and returns what it printed; raises as `hw.link.tools.run_tool` does.
RunTool = Callable[..., str]


@dataclass(frozen=True)
class Answer:
    """What a command printed, or in `problem` why it printed nothing of use."""

    text: str = ""
    problem: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Host:
    """Where checks look.

    Attributes:
        root: of the file system; `/` but in tests.
        run: runs a command, with a time limit of its own.
        environment: the variables that a run would see.
    """

    root: Path = Path("/")
    run: RunTool = run_tool
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def path(self, path: str) -> Path:
        """An absolute path of the machine's."""
        return self.root / path.lstrip("/")

    def read(self, path: str | Path) -> str | None:
        """A small text file without its surrounding blanks, or None where it cannot be read."""
        try:
            # The device tree ends its texts with NUL. A sensor that is off answers its reading with an error.
            return self.path(str(path)).read_text(errors="replace").strip(" \n\t\0")
        except OSError:
            return None

    def read_number(self, path: str | Path) -> int | None:
        """A file with one whole number in it, or None."""
        try:
            return int(self.read(path) or "")
        except ValueError:
            return None

    def glob(self, pattern: str) -> list[str]:
        """Absolute paths that match, in order."""
        return sorted(f"/{path.relative_to(self.root)}" for path in self.root.glob(pattern.lstrip("/")))

    def ask(self, name: str, *arguments: str) -> Answer:
        """Run a command; whatever goes wrong with it is part of the answer."""
        try:
            return Answer(self.run(name, *arguments))
        except InputError:
            return Answer(problem=f"{name} is not installed", missing=True)
        except ToolFailed as error:
            return Answer(problem=str(error))
        except (OSError, ValueError) as error:  # not executable, or what it prints is no text
            return Answer(problem=f"`{name}` cannot be run ({error})")
