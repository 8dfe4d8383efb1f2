"""Reading and writing of Prism's files: typed JSON in, atomic writes out, one clear line when it cannot be done."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prism.errors import InputError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def parse_json(type_: type[T], text: str | bytes, where: str) -> T:
    """Read JSON as a `type_` (a dataclass), refusing unknown keys, wrong types and values out of range.

    Raises:
        InputError: names `where`, the key and what is wrong with it.
    """
    from pydantic import ValidationError

    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON ({error}); the file may be truncated") from None
    except RecursionError:
        raise InputError(f"{where}: JSON nested too deep for any file of Prism's") from None
    expected = getattr(type_, "format", None)
    if isinstance(expected, str):
        check_format(data, expected, where)
    try:
        return _adapter(type_).validate_json(text, strict=True)
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from None


def parse_data(type_: type[T], data: Any, where: str) -> T:
    """Make a `type_` of tables and lists that were read already, from TOML: strict as `parse_json` is.

    Raises:
        InputError: names `where`, the key and what is wrong with it.
    """
    from pydantic import ValidationError

    try:
        return _adapter(type_).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from None


def _adapter(type_: type[T]) -> TypeAdapter[T]:
    """Built once a type: it takes longer than to read a record."""
    from pydantic import TypeAdapter

    adapter: TypeAdapter[T] | None = _ADAPTERS.get(type_)
    if adapter is None:
        _ADAPTERS[type_] = adapter = TypeAdapter(type_)
    return adapter


def check_format(data: Any, expected: str, where: str) -> None:
    """Refuse a file of another kind or of a version this release does not know."""
    found = data.get("format") if isinstance(data, dict) else None
    if found == expected:
        return
    kind = expected.partition("/")[0]
    if isinstance(found, str) and found.startswith(f"{kind}/"):
        raise InputError(f"{where}: format {found!r} is not supported, this release reads {expected!r}; upgrade Prism")
    raise InputError(f'{where}: not a {kind} file (expected "format": "{expected}", found {found!r})')


def first_problem(error: Any) -> str:
    """The first line of a pydantic ValidationError: where in the document, and what is wrong."""
    problem = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in problem["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path + ': ' if path else ''}{problem['msg'].removeprefix('Value error, ')}{more}"


def to_json(value: Any, *, indent: int | None = None) -> str:
    """A dataclass as JSON text."""
    from pydantic_core import to_json as dump

    return dump(value, indent=indent).decode()


def read_text(path: Path) -> str:
    """The text of `path`.

    Raises:
        InputError: missing, unreadable, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a UTF-8 text file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well and vanishes when it does not.

    Raises:
        InputError: the folder is missing or not writable, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); nothing was changed") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
