"""The energy of a block of repeated passes: what it is, and whether it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hw.power.integrate import IntervalEnergy
from prism.record import Energy
from prism.stored import Stored

MIN_BLOCK_S = 2.0
MIN_BLOCK_SAMPLES = 20


@dataclass(frozen=True)
class BlockEnergy(Stored):
    """Energy of one board over a block of passes, or over a time of doing nothing.

    Attributes:
        scope: which part of the machine it covers.
        passes: passes in the block; 0 for an idle time.
        energy_j: of the whole block; None where it is unknown, which `note` explains.
        uncertainty_j: one standard deviation, from sampling alone.
        samples: readings inside the block.
        overhead_cpu: share of one core that sampling took in this process.
        counts: whether the block is long enough and closed by readings at both ends.
        note: why it does not count; empty where it does.
    """

    scope: str
    passes: int
    duration_s: float
    energy_j: float | None = None
    uncertainty_j: float | None = None
    samples: int = 0
    longest_gap_s: float = 0.0
    overhead_cpu: float = 0.0
    counts: bool = False
    note: str = ""
    rails_j: dict[str, float] = field(default_factory=dict)

    @property
    def per_pass_j(self) -> float | None:
        """Joules a pass; None where the block does not count."""
        return self.energy_j / self.passes if self.counts and self.energy_j is not None and self.passes else None

    @property
    def mean_w(self) -> float | None:
        """Watts over the block; None where it does not count."""
        return self.energy_j / self.duration_s if self.counts and self.energy_j is not None else None

    def describe(self) -> dict[str, str]:
        """What to keep of the block with each of its runs."""
        facts = {
            "energy_block_s": f"{self.duration_s:.3f}",
            "energy_passes": str(self.passes),
            "energy_samples": str(self.samples),
            "energy_sampling_cpu": f"{self.overhead_cpu:.4f}",
        }
        if self.energy_j is not None and self.uncertainty_j is not None and self.passes:
            facts["energy_uncertainty_j"] = f"{self.uncertainty_j / self.passes:.4g}"
        if self.note:
            facts["energy_note"] = self.note
        return facts


def judge(
    scope: str, passes: int, duration_s: float, found: IntervalEnergy | None, overhead_cpu: float, why_none: str
) -> BlockEnergy:
    """Put an interval's energy into words: it counts from 2 s and 20 samples on."""
    if found is None:
        return BlockEnergy(scope, passes, duration_s, overhead_cpu=overhead_cpu, note=why_none)
    short = duration_s < MIN_BLOCK_S or found.samples < MIN_BLOCK_SAMPLES
    note = (
        f"too short: {duration_s:.2f} s and {found.samples} samples; an energy needs {MIN_BLOCK_S:g} s and "
        f"{MIN_BLOCK_SAMPLES} samples"
    )
    return BlockEnergy(
        scope=scope,
        passes=passes,
        duration_s=duration_s,
        energy_j=found.energy_j,
        uncertainty_j=found.uncertainty_j,
        samples=found.samples,
        longest_gap_s=found.longest_gap_s,
        overhead_cpu=overhead_cpu,
        counts=not short,
        note=note if short else "",
        rails_j=found.rails_j,
    )


def energy_record(boards: Sequence[BlockEnergy | None]) -> Energy | None:
    """Joules a pass of each board, terminal device first, boards that take no part last.

    None where the terminal device's energy is unknown. Where only another board's is, the record holds the terminal
    device alone and says so: a board that was not measured has no energy, not zero.
    """
    terminal = boards[0].per_pass_j if boards and boards[0] is not None else None
    if terminal is None or boards[0] is None:
        return None
    measured = [board for board in boards if board is not None and board.per_pass_j is not None]
    if len(measured) < len(boards):
        return Energy((terminal,), f"terminal device alone: {boards[0].scope}")
    scopes = dict.fromkeys(board.scope for board in measured)
    joules = [board.per_pass_j for board in measured if board.per_pass_j is not None]
    return Energy(tuple(joules), f"each board: {' | '.join(scopes)}")
