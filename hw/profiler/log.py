"""The file of a sweep's records: a run is on the disk before the next begins, and a torn end is mended on resuming."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from hw.profiler.session import Session
from prism.errors import InputError
from prism.files import parse_json, to_json
from prism.record import Measurement, read_measurements

if TYPE_CHECKING:
    from typing_extensions import Self

#: How every line begins that this writes. An end that does not is not ours to cut off.
_BEGINNING = b'{"source":"'


class RunLog:
    """Records of one session, read back and appended to. Use it in a `with`; one process at a time.

    Attributes:
        records: those that the file holds.
        notice: what was mended when it was opened; empty if nothing.
    """

    def __init__(self, path: Path, session: Session) -> None:
        """Open the file, or begin it.

        Raises:
            InputError: it cannot be read or written, another process writes it, a line is broken, or a record is of
                another session.
        """
        self.path = path
        self.session = session
        self.notice = ""
        self._file = _open(path)
        try:
            try:
                self._mend()
            except OSError as error:
                raise InputError(f"{path}: cannot be mended ({error.strerror}); make room and start again") from None
            self._size = os.fstat(self._file).st_size
            self.records = read_measurements(path) if self._size else []
            for number, record in enumerate(self.records, start=1):
                session.check(record, f"{path}:{number}")
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def append(self, record: Measurement) -> None:
        """Add a record; it is on the disk when this returns. An interruption waits until its line is whole.

        Raises:
            InputError: the disk is full or gone. The file holds what it held before.
        """
        line = (to_json(record) + "\n").encode()
        try:
            try:
                self._write(line)
            except KeyboardInterrupt:
                self._write(line)
                self._keep(record, line)
                raise
        except OSError as error:
            self._undo()
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); it keeps the {len(self.records)} runs before, "
                "make room and start the same command again"
            ) from None
        self._keep(record, line)

    def _keep(self, record: Measurement, line: bytes) -> None:
        self._size += len(line)
        self.records.append(record)

    def _write(self, line: bytes) -> None:
        """Write what the file lacks of the line: a second call goes on where an interrupted one stopped."""
        while (written := os.fstat(self._file).st_size - self._size) < len(line):
            if written < 0:
                raise InputError(f"{self.path}: was shortened by someone else while the sweep ran; start it again")
            os.write(self._file, line[written:])
        os.fsync(self._file)

    def _undo(self) -> None:
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self.notice = "the last line may be torn"  # which the next start mends

    def _mend(self) -> None:
        """Deal with an end that has no line feed: complete it if the record is whole, else cut it off."""
        data = self.path.read_bytes()
        end = data.rpartition(b"\n")[2]
        start = len(data) - len(end)
        if not end:
            return
        # After a loss of power a file may end in zeros that were never written.
        text = end.rstrip(b"\0")
        if text[: len(_BEGINNING)] != _BEGINNING[: len(text)]:
            raise InputError(f"{self.path}: does not end in a record and a line feed; give another file")
        number = data.count(b"\n") + 1
        where = f"{self.path}:{number}"
        if text == end and _is_record(text):
            os.write(self._file, b"\n")
            self.notice = f"{where}: lacked its line feed, which was added; the run is kept"
        else:
            os.ftruncate(self._file, start)
            self.notice = f"{where}: was cut off after {len(text)} bytes and removed; that run is measured again"
        os.fsync(self._file)


def _is_record(text: bytes) -> bool:
    try:
        parse_json(Measurement, text, "")
    except InputError:
        return False
    return True


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); check the path") from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise InputError(f"{path}: is no regular file, so a sweep could not be resumed from it; give another")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _sync_folder(path.parent)
    except OSError as error:
        os.close(file)
        busy = "another sweep writes it" if isinstance(error, BlockingIOError) else error.strerror
        raise InputError(f"{path}: cannot be used ({busy}); wait for it or give another file") from None
    except InputError:
        os.close(file)
        raise
    return file


def _sync_folder(folder: Path) -> None:
    """Make the file's name outlive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
