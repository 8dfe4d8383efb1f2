"""The two exceptions that end a command with one line: what we were given cannot be used, or boards let us down."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input. The message is one line: what is wrong, where, and what to do. The CLI exits with code 2 on it."""


class RunFailed(RuntimeError):
    """A run on real boards could not be finished: one is gone, frozen, or not as it should be.

    The message is one line: which board, what happened, and what to do. The CLI exits with code 3 on it.
    """


def unknown(kind: str, given: object, known: Iterable[str], where: str = "") -> InputError:
    """An `InputError` for a name that is not among `known`, with the nearest known name as a suggestion."""
    names = sorted(known)
    near = get_close_matches(str(given), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from: {', '.join(names)}"
    return InputError(f"{where + ': ' if where else ''}unknown {kind} {given!r}; {hint}")
