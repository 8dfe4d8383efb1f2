"""What a plan may be chosen by, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.twin.scenarios import Floats
from sim.twin.simulate import Times


@dataclass(frozen=True)
class Words:
    """How the page speaks of an objective.

    Attributes:
        label: of the control.
        noun: completes "27 % less ...".
        unit: of `values`.
        energy: what a plan is charged for on the Pareto front's energy axis.
    """

    label: str
    noun: str
    unit: str
    energy: str


TERMINAL, EVERY = "terminal device", "all boards"

#: Named as `prism run --objective` names them.
OBJECTIVES: Mapping[str, Words] = {
    "latency": Words("Latency", "time", "ms", TERMINAL),
    "terminal-energy": Words("Energy of the terminal device", "energy on the terminal device", "J", TERMINAL),
    "all-energy": Words("Energy of all boards", "energy over all boards", "J", EVERY),
    "energy-delay": Words("Energy-delay product, all boards", "energy-delay product", "J s", EVERY),
}


def values(times: Times, objective: str) -> Floats:
    """What the objective minimises in each scenario, in its unit; NaN where a plan does not fit or has no energy."""
    if objective == "latency":
        return times.total_s * 1e3
    if objective == "terminal-energy":
        return times.terminal_j
    if objective == "all-energy":
        return times.all_boards_j
    return times.all_boards_j * times.total_s


def energies_j(times: Times, objective: str) -> Floats:
    """Joules in each scenario of what the objective charges."""
    return times.terminal_j if OBJECTIVES[objective].energy == TERMINAL else times.all_boards_j
