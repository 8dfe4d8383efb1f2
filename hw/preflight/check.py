"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing looked up.

    Attributes:
        name: what was looked at.
        status: `failed` stands in the way of a run, `warning` may spoil its figures, `skipped` could not or need not be
            looked up.
        found: what is there, in words.
        remedy: what to do about it; empty where there is nothing to do.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"name": self.name, "status": self.status, "found": self.found, "remedy": self.remedy}
