"""Replications on disk: JSON lines, the first says of which experiment, each further one is a finished replication.

A line is written when its replication is done, in whatever order. A process that is killed leaves at worst half a line
at the end, which is cut off when work goes on.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from prism.errors import InputError
from prism.files import parse_json, to_json
from sim.answers.replicate import Replication, Spread


class Journal:
    """The open file of an experiment.

    Attributes:
        done: replications by number: those that were there, and those added since.
    """

    def __init__(self, file: BinaryIO | None, done: dict[int, Replication]) -> None:
        self._file = file
        self.done = done

    def add(self, replications: Iterable[Replication]) -> None:
        """Keep finished replications."""
        for each in replications:
            self.done[each.index] = each
            if self._file is not None:
                self._file.write(to_json(each).encode() + b"\n")
        if self._file is not None:
            self._file.flush()


@contextmanager
def open_journal(path: Path | None, spread: Spread) -> Iterator[Journal]:
    """The experiment's file, begun or gone on with; None keeps nothing on disk.

    Raises:
        InputError: the file belongs to another experiment, is broken, is in use, or cannot be written.
    """
    if path is None:
        yield Journal(None, {})
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another file") from None
    with file:
        _lock(file, path)
        done = _read(file, path, spread)
        try:
            yield Journal(file, done)
        except OSError as error:
            if error.filename is not None:
                raise
            raise InputError(
                f"{path}: cannot be written ({error.strerror}); what is in it can be gone on with"
            ) from None


def _lock(file: BinaryIO, path: Path) -> None:
    """Two writers would mix their lines. The lock goes with the process, however it ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(f"{path}: another run is writing to it; wait for it or choose another file") from None


def _read(file: BinaryIO, path: Path, spread: Spread) -> dict[int, Replication]:
    """What the file holds already; a half line at the end is cut off, a missing first line is written."""
    file.seek(0)
    text = file.read()
    whole = text.rpartition(b"\n")[0]
    kept = len(whole) + 1 if b"\n" in text else 0
    head, *lines = whole.split(b"\n")
    if kept:
        _check_same(parse_json(Spread, head, f"{path}:1"), spread, path)
    elif text and not _begins_alike(text, spread):
        raise InputError(f"{path}: not a file of replications; choose another file")
    if kept < len(text):
        os.ftruncate(file.fileno(), kept)
    if not kept:
        file.write(to_json(spread).encode() + b"\n")
        file.flush()
    found = (parse_json(Replication, line, f"{path}:{number}") for number, line in enumerate(lines, start=2))
    return {each.index: each for each in found}


def _begins_alike(text: bytes, spread: Spread) -> bool:
    """Whether this is the first line of the experiment's file, cut short."""
    return to_json(spread).encode().startswith(text)


def _check_same(found: Spread, expected: Spread, path: Path) -> None:
    """Refuse a file of another experiment, and say in what it differs."""
    if found == expected:
        return
    ours, theirs = _flat(asdict(expected)), _flat(asdict(found))
    name = next(name for name in ours | theirs if ours.get(name) != theirs.get(name))
    raise InputError(
        f"{path}: belongs to another experiment ({name} = {theirs.get(name)}, not {ours.get(name)}); "
        "choose another file, or ask the same again"
    )


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, each in value.items():
        flat |= _flat(each, f"{prefix}{name}.") if isinstance(each, dict) else {prefix + name: each}
    return flat
