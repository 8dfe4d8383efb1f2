"""Answers kept in tests/golden/*.json.

`pytest tests/golden --update-golden` rewrites them; read the diff before you keep it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "golden"
RELATIVE = 1e-9


@dataclass(frozen=True)
class Golden:
    """Compares an answer with the one that is kept."""

    update: bool

    def check(self, name: str, answer: Any) -> None:
        """Equal but for rounding: numbers to a relative 1e-9, everything else exactly, key order included."""
        path = FOLDER / f"{name}.json"
        if self.update:
            path.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
            pytest.fail(f"{path.name} rewritten; read the diff and run again without --update-golden")
        kept = json.loads(path.read_text(encoding="utf-8"))
        assert_close(json.loads(json.dumps(answer)), kept, name)


def assert_close(answer: Any, kept: Any, where: str) -> None:
    """Recursive comparison that says where the first difference lies."""
    if isinstance(kept, dict):
        assert isinstance(answer, dict), where
        assert list(answer) == list(kept), where
        for key, value in kept.items():
            assert_close(answer[key], value, f"{where}.{key}")
    elif isinstance(kept, list):
        assert isinstance(answer, list), where
        assert len(answer) == len(kept), where
        for index, value in enumerate(kept):
            assert_close(answer[index], value, f"{where}[{index}]")
    elif isinstance(kept, float):
        assert answer == pytest.approx(kept, rel=RELATIVE, abs=1e-15), where
    else:
        assert type(answer) is type(kept), where
        assert answer == kept, where
