"""What every dataclass that is stored in a file shares: unknown keys and infinite numbers are refused on reading."""

from __future__ import annotations

from typing import Any, ClassVar


class Stored:
    """Mixin that makes pydantic strict about a dataclass without importing pydantic."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}
