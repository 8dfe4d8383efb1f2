"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from prism.errors import InputError
from prism.files import atomic_path, read_text, write_text
from tests.helpers.command import without_leftovers


def test_a_file_appears_with_its_folders_and_readable_to_others(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "häuser\n")
    assert path.read_text(encoding="utf-8") == "häuser\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert without_leftovers(path.parent, "c.txt")


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), SystemExit(1), ZeroDivisionError("bug")])
@pytest.mark.parametrize("existing", [None, "kept"])
def test_what_breaks_off_leaves_neither_file_nor_temporary(
    tmp_path: Path, trouble: BaseException, existing: str | None
) -> None:
    path = tmp_path / "file.json"
    if existing is not None:
        path.write_text(existing, encoding="utf-8")

    def write() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise trouble

    with pytest.raises(type(trouble)):
        write()
    assert without_leftovers(tmp_path, *([] if existing is None else ["file.json"]))
    assert existing is None or path.read_text(encoding="utf-8") == existing


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path: Path, code: int) -> None:
    path = tmp_path / "file.json"
    path.write_text("kept", encoding="utf-8")

    def write() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise OSError(code, os.strerror(code))

    with pytest.raises(InputError) as refusal:
        write()
    assert str(refusal.value) == f"{path}: cannot be written ({os.strerror(code)}); nothing was changed"
    assert path.read_text(encoding="utf-8") == "kept"
    assert without_leftovers(tmp_path, "file.json")


def test_the_target_is_untouched_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old", encoding="utf-8")
    with atomic_path(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
        assert temporary.parent == path.parent  # on the same disk, so that it can take the name at once
    assert path.read_text(encoding="utf-8") == "new"


def test_a_folder_a_file_for_a_parent_and_an_unwritable_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path, "x")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "file" / "below.json", "x")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / ("long" * 100), "x")
    assert without_leftovers(tmp_path, "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable to root")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot be written"):
        write_text(locked / "file.json", "x")
    assert without_leftovers(locked)


def test_reading_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    for path, message in (
        (tmp_path / "missing", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "binary", "not a UTF-8 text file"),
        (tmp_path / "binary" / "below", "Not a directory"),
    ):
        with pytest.raises(InputError, match=message) as refusal:
            read_text(path)
        assert str(refusal.value).startswith(f"{path}: ")
