"""What the policy minimises, and the limits it keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from prism.errors import InputError, unknown
from prism.plan import Plan
from prism.policy.performance_map import PerformanceMap
from prism.units import check_range

Kind = Literal["latency", "terminal-energy", "all-energy", "energy-delay", "deadline"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Objective:
    """One of five, under a limit on compression.

    Attributes:
        kind: seconds of a batch (``latency``); joules of the terminal device (``terminal-energy``) or of all boards
            (``all-energy``); joules of all boards times seconds (``energy-delay``); least joules of the terminal
            device among the plans that keep `deadline_s` (``deadline``), the fastest where none does.
        deadline_s: of a batch, from accepted to answered, without its time in a queue.
        max_compression: the largest CR = N / (L P) whose accuracy will do; None for any. What a CR costs in accuracy is
            the model's and the task's: the policy does not know it.
    """

    kind: Kind = "latency"
    deadline_s: float | None = None
    max_compression: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("objective", self.kind, KINDS)
        if (self.deadline_s is None) == (self.kind == "deadline"):
            raise InputError("objective 'deadline' and a deadline go together: give both, or neither")
        if self.deadline_s is not None:
            check_range("deadline_s", self.deadline_s, 1e-6, 1e6)
        if self.max_compression is not None:
            check_range("max_compression", self.max_compression, 1, 1e6)

    @property
    def label(self) -> str:
        """In words, with its limits."""
        deadline = "" if self.deadline_s is None else f" {self.deadline_s * 1e3:g} ms"
        limit = "" if self.max_compression is None else f", CR up to {self.max_compression:g}"
        return f"{self.kind}{deadline}{limit}"

    def value(self, total_s: float, terminal_j: float | None, all_boards_j: float | None) -> float | None:
        """What is minimised; None where an energy is asked for that nobody measured."""
        kind = self.kind
        if kind == "latency":
            return total_s
        if kind in ("terminal-energy", "deadline"):
            return terminal_j
        if all_boards_j is None:
            return None
        return all_boards_j if kind == "all-energy" else all_boards_j * total_s

    def allowed(self, plans: Iterable[Plan], tokens: int) -> tuple[Plan, ...]:
        """The plans that the limit on compression leaves.

        Args:
            plans: candidates.
            tokens: sequence length N of the model.
        """
        limit = self.max_compression
        return tuple(plan for plan in plans if limit is None or plan.compression_rate(tokens) <= limit * (1 + 1e-9))


def candidates_of(table: PerformanceMap, objective: Objective, tokens: int) -> tuple[Plan, ...]:
    """The plans of a map among which an objective leaves the choice.

    Raises:
        InputError: there is nothing to fall back on, nothing to choose from, or a limit that no plan keeps.
    """
    if not any(plan.mode == "local" for plan in table.plans):
        raise InputError("the performance map has no runs of mode 'local', which lost peers leave; profile it too")
    plans = objective.allowed(table.plans, tokens)
    known = [(plan, *_best(table, plan, objective)) for plan in plans]
    plans = tuple(plan for plan, value, _ in known if value is not None)
    if not plans:
        raise InputError(
            f"objective {objective.kind!r} needs energies and the performance map has none; profile with a power meter"
        )
    fastest_s = min(total_s for _, value, total_s in known if value is not None)
    if objective.deadline_s is not None and fastest_s > objective.deadline_s:
        raise InputError(
            f"no plan of the performance map ever keeps a deadline of {objective.deadline_s * 1e3:g} ms; the fastest "
            f"takes {fastest_s * 1e3:.4g} ms (batch {min(table.batches)}, the fastest link measured)"
        )
    return plans


def _best(table: PerformanceMap, plan: Plan, objective: Objective) -> tuple[float | None, float]:
    """The objective's value and the seconds of a plan where it does best: smallest batch, fastest link."""
    mbps = max(table.bandwidths_mbps, default=1.0)
    best: tuple[float | None, float] = (None, float("inf"))
    for batch in table.batches:
        found = table.predict(plan, batch, mbps)
        value = objective.value(found.total_s, found.terminal_j, found.all_boards_j)
        if value is not None and (best[0] is None or found.total_s < best[1]):
            best = value, found.total_s
    return best
