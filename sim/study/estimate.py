"""How long a study will take, before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Engine = Literal["simpy", "twin"]

#: More points than this are refused unless the study says `max_points`, by engine.
MAX_POINTS: Mapping[Engine, int] = {"simpy": 100_000, "twin": 10_000_000}
#: Points a second on one core, rounded down: two boards, 12 blocks (docs/studies.md has what was measured).
POINTS_PER_S: Mapping[Engine, int] = {"simpy": 1_000, "twin": 1_000_000}


def estimated_s(points: Mapping[Engine, int]) -> float:
    """Seconds on one core for so many points of each engine."""
    return sum(count / POINTS_PER_S[engine] for engine, count in points.items())


def duration_text(seconds: float) -> str:
    """A duration to one or two figures, in the unit that suits it."""
    for unit, length_s in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:,.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
