"""Everything that the page draws for one question."""

from __future__ import annotations

from dataclasses import dataclass

from sim.explorer.breakdown import Bar, breakdown
from sim.explorer.crossover_map import CrossoverMap, crossover_map
from sim.explorer.headline import Headline, headline
from sim.explorer.objectives import OBJECTIVES
from sim.explorer.pareto import Point, pareto
from sim.explorer.question import Question


@dataclass(frozen=True)
class Asked:
    """The question as it was understood."""

    model: str
    profile: str
    batch: int
    bandwidth_mbps: float
    segments: int
    compression_rate: float
    boards: int
    objective: str
    objective_label: str
    unit: str
    energy_of: str


@dataclass(frozen=True)
class Answer:
    """What `/api/answer` sends."""

    asked: Asked
    headline: Headline
    breakdown: tuple[Bar, ...]
    map: CrossoverMap
    pareto: tuple[Point, ...]


def answer(question: Question) -> Answer:
    """Simulate all of it."""
    bars = breakdown(question)
    words = OBJECTIVES[question.objective]
    asked = Asked(
        model=question.shape.name,
        profile=question.profile.name,
        batch=question.batch,
        bandwidth_mbps=question.bandwidth_mbps,
        segments=question.segments,
        compression_rate=question.compression_rate,
        boards=question.boards,
        objective=question.objective,
        objective_label=words.label,
        unit=words.unit,
        energy_of=words.energy,
    )
    return Answer(asked, headline(question, bars), bars, crossover_map(question), pareto(question))
