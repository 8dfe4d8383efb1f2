"""The record of one run: what was asked, how long each stage took on each rank, and where the numbers come from.

Measurements are stored as JSON lines, one line a run. Simulated and measured runs are the same record; `source` says
which it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, MinLen

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.files import parse_json, read_text, to_json, write_text
from prism.plan import Plan
from prism.scenario import Scenario
from prism.stored import Stored

Source = Literal["measured", "published", "simulated"]
SpanStage = Literal["compute", "staging", "transfer", "waiting"]
STAGES = ("compute", "staging", "communication")


@dataclass(frozen=True)
class Span(Stored):
    """One step of a rank on the pass's time axis, which starts when the terminal device accepts the batch."""

    rank: Annotated[int, Ge(0)]
    name: str
    stage: SpanStage
    block: int | None
    start_s: float
    end_s: float
    nbytes: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True)
class RankTimes(Stored):
    """How one rank spent a pass, in seconds. Communication is transfer and waiting for the peer together."""

    compute_s: Annotated[float, Ge(0)]
    staging_s: Annotated[float, Ge(0)]
    transfer_s: Annotated[float, Ge(0)]
    waiting_s: Annotated[float, Ge(0)]

    @property
    def communication_s(self) -> float:
        return self.transfer_s + self.waiting_s

    @property
    def total_s(self) -> float:
        return self.compute_s + self.staging_s + self.transfer_s + self.waiting_s

    def stage_s(self, stage: str) -> float:
        """Seconds in one of the paper's three stages."""
        return {"compute": self.compute_s, "staging": self.staging_s, "communication": self.communication_s}[stage]


@dataclass(frozen=True)
class Energy(Stored):
    """Joules per board, rank 0 first, boards that take no part last, and what the figures cover."""

    boards_j: Annotated[tuple[Annotated[float, Ge(0)], ...], MinLen(1)]
    scope: str

    @property
    def terminal_j(self) -> float:
        return self.boards_j[0]

    @property
    def all_boards_j(self) -> float:
        return sum(self.boards_j)


@dataclass(frozen=True)
class Measurement(Stored):
    """One run of one case on either backend, or one published mean.

    Attributes:
        total_s: on the terminal device's clock, from batch accepted to answer held.
        ranks: times of each rank, terminal device first; published tables give the terminal device alone.
        runs: 1, or the number of runs that a published mean stands for.
        extrapolated: for simulated runs, in which ways the case lies outside what the profile was measured on.
        runtime_s: for measured runs, what the terminal device spent between steps, neither on the model nor on staging
            or messages. Each stage includes what it took to get to it.
        clock_uncertainty_s: for measured runs with spans or waiting times of other ranks, how far those may be off on
            the terminal device's clock.
        provenance: machine, versions, clocks and settings, by name.
    """

    source: Source
    model: str
    batch: int
    bandwidth_mbps: float
    plan: Plan
    total_s: Annotated[float, Gt(0)]
    ranks: Annotated[tuple[RankTimes, ...], MinLen(1)]
    reverse_bandwidth_mbps: float | None = None
    energy: Energy | None = None
    runs: Annotated[int, Ge(1)] = 1
    extrapolated: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    runtime_s: Annotated[float, Ge(0)] | None = None
    clock_uncertainty_s: Annotated[float, Ge(0)] | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    format: Literal["prism.measurement/1"] = "prism.measurement/1"

    @property
    def terminal(self) -> RankTimes:
        return self.ranks[0]

    def stage_s(self, stage: str) -> float:
        """Seconds of the terminal device's timeline in a stage, or in the whole pass for ``total``."""
        return self.total_s if stage == "total" else self.terminal.stage_s(stage)

    @property
    def scenario(self) -> Scenario:
        """The case that was run."""
        return Scenario(shape_of(self.model), self.batch, self.bandwidth_mbps, self.plan, self.reverse_bandwidth_mbps)


def read_measurements(path: Path) -> list[Measurement]:
    """All records of a JSON lines file, or of every ``*.jsonl`` file in a folder, in the order of their names.

    Raises:
        InputError: names file and line of the first one that is broken, truncated or of an unknown version.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    records = [record for file in files for record in _parse_lines(read_text(file), file)]
    if not records:
        raise InputError(f"{path}: holds no measurements")
    return records


def _parse_lines(text: str, path: Path) -> Iterator[Measurement]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            record = parse_json(Measurement, line, f"{path}:{number}")
            try:
                record.scenario.schedule()
            except InputError as error:
                raise InputError(f"{path}:{number}: {error}") from None
            yield record


def write_measurements(path: Path, records: Iterable[Measurement]) -> None:
    """Write records as JSON lines, whole or not at all."""
    write_text(path, "".join(to_json(record) + "\n" for record in records))
