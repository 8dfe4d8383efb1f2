"""The runs of a corpus by case: what was asked, the median of what was measured, and how far repeats spread.

A median is not moved by the pass in twenty that something held up; means are, and so would a fit to them be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration.corpus.regress import MAD_TO_SIGMA
from prism.errors import InputError
from prism.plan import Plan
from prism.record import Measurement, RankTimes
from prism.scenario import Scenario

#: Standard error of a median of n normal values over that of their mean.
MEDIAN_INEFFICIENCY = 1.2533
TOTAL = "total"


@dataclass(frozen=True)
class CaseKey:
    """What tells a case from others. `local` does not use the network: its bandwidth is 0, whatever the record's.

    `replayed` cases slept their compute (`prism profile --replay`): what they tell is their communication.
    """

    model: str
    batch: int
    bandwidth_mbps: float
    plan: Plan
    reverse_bandwidth_mbps: float | None = None
    replayed: bool = False

    @property
    def label(self) -> str:
        """Names the case in tables and gates, such as ``vit_small_patch16_224 b4 120 Mbps segment_means P=2 L=10``."""
        parts = [self.model, f"b{self.batch}"]
        if self.plan.mode != "local":
            reverse = "" if self.reverse_bandwidth_mbps is None else f"/{self.reverse_bandwidth_mbps:g}"
            parts.append(f"{self.bandwidth_mbps:g}{reverse} Mbps")
        parts.append(self.plan.label)
        if self.plan.mode != "local":
            parts += [self.plan.exchange, self.plan.input_distribution]
            parts += [self.plan.wire_dtype] if self.plan.wire_dtype != "float32" else []
            parts += [] if self.plan.first_exchange else ["no first exchange"]
        parts += ["replayed"] if self.replayed else []
        return " ".join(parts)


@dataclass(frozen=True)
class Case:
    """A case and all its runs."""

    key: CaseKey
    runs: tuple[Measurement, ...]

    @property
    def scenario(self) -> Scenario:
        return self.runs[0].scenario

    @cached_property
    def total_s(self) -> float:
        """Median of the passes' latency."""
        return float(np.median(self.seconds(TOTAL)))

    @cached_property
    def ranks(self) -> tuple[RankTimes, ...]:
        """Median of each part of each rank's time, terminal device first."""
        parts = ("compute_s", "staging_s", "transfer_s", "waiting_s")
        ranks = range(len(self.runs[0].ranks))
        return tuple(
            RankTimes(*(float(np.median([getattr(run.ranks[rank], part) for run in self.runs])) for part in parts))
            for rank in ranks
        )

    def seconds(self, stage: str) -> NDArray[np.float64]:
        """Each run's seconds in a stage of the terminal device, or in ``total``."""
        return np.array([run.stage_s(stage) for run in self.runs])

    def median_s(self, stage: str) -> float:
        """Median over runs of a stage of the terminal device, or of ``total``, in seconds."""
        return float(np.median(self.seconds(stage)))

    def spread_pct(self, stage: str = TOTAL) -> float:
        """The repeat spread: median absolute deviation of runs from their median, percent of it; 0 for one run."""
        values = self.seconds(stage)
        middle = float(np.median(values))
        return 100 * float(np.median(np.abs(values - middle))) / middle if middle > 0 else 0.0

    def sigma(self, stage: str = TOTAL) -> float:
        """Relative standard deviation of one run, from the spread."""
        return MAD_TO_SIGMA * self.spread_pct(stage) / 100

    def median_sigma(self, stage: str = TOTAL) -> float:
        """Relative standard error of the case's median."""
        return MEDIAN_INEFFICIENCY * self.sigma(stage) / float(np.sqrt(len(self.runs)))


def cases_of(runs: Iterable[Measurement]) -> tuple[Case, ...]:
    """Runs by case, in a fixed order whatever that of the runs.

    Raises:
        InputError: runs that were not measured, or a case whose runs tell the times of different ranks.
    """
    grouped: dict[CaseKey, list[Measurement]] = {}
    for run in runs:
        if run.source == "published":
            raise InputError("a corpus holds one run a line; published means have no spread: leave them out")
        grouped.setdefault(key_of(run), []).append(run)
    if not grouped:
        raise InputError("the corpus holds no runs; record some with prism profile")
    for key, of_case in grouped.items():
        if len({len(run.ranks) for run in of_case}) > 1:
            raise InputError(f"{key.label}: some runs have the times of more ranks than others; keep one kind")
    return tuple(Case(key, tuple(grouped[key])) for key in sorted(grouped, key=sort_key))


def key_of(run: Measurement) -> CaseKey:
    """The case of a run."""
    replayed = "machine.compute" in run.provenance
    if run.plan.mode == "local":
        return CaseKey(run.model, run.batch, 0.0, run.plan, None, replayed)
    return CaseKey(run.model, run.batch, run.bandwidth_mbps, run.plan, run.reverse_bandwidth_mbps, replayed)


def sort_key(key: CaseKey) -> tuple[str, ...]:
    """Cases by model, batch, bandwidth and plan; numbers are padded so that they sort as numbers."""
    reverse = key.reverse_bandwidth_mbps or key.bandwidth_mbps
    return (
        key.model,
        f"{key.batch:08d}",
        f"{key.bandwidth_mbps:014.4f}",
        f"{reverse:014.4f}",
        repr((key.plan, key.replayed)),
    )


def modes_of(cases: Sequence[Case]) -> tuple[str, ...]:
    """Modes that occur, in order of first appearance."""
    return tuple(dict.fromkeys(case.key.plan.mode for case in cases))
