"""The published answer: which mode wins at each batch size, and by how much over exchanging full tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.published import read_table
from prism.plan import Mode
from prism.record import Measurement
from validation.compare import Comparison


@dataclass(frozen=True)
class Gain:
    """Latency and energy saved over `full_tensor` by the mode that is fastest at a batch size, in percent."""

    batch: int
    published_choice: str
    simulated_choice: Mode
    published_latency_pct: float
    simulated_latency_pct: float
    published_energy_pct: float
    simulated_energy_pct: float | None

    @property
    def latency_error_points(self) -> float:
        return self.simulated_latency_pct - self.published_latency_pct


def published_gains(comparisons: Sequence[Comparison]) -> tuple[Gain, ...]:
    """Table 4 beside the simulator's answer. The energy gain is a fit of one power per mode and is not gated."""
    gains = []
    for _, row in read_table("energy").iterrows():
        batch = int(row["batch"])
        simulated = {pair.mode: pair.simulated for pair in comparisons if pair.measured.batch == batch}
        choice = min(simulated, key=lambda mode: simulated[mode].total_s)
        best, baseline = simulated[choice], simulated["full_tensor"]
        gains.append(
            Gain(
                batch=batch,
                published_choice=str(row["adaptive_mode"]),
                simulated_choice=choice,
                published_latency_pct=float(row["latency_gain_pct"]),
                simulated_latency_pct=100 * (1 - best.total_s / baseline.total_s),
                published_energy_pct=float(row["energy_gain_pct"]),
                simulated_energy_pct=_energy_gain(best, baseline),
            )
        )
    return tuple(gains)


def _energy_gain(best: Measurement, baseline: Measurement) -> float | None:
    if best.energy is None or baseline.energy is None:
        return None
    return 100 * (1 - best.energy.terminal_j / baseline.energy.terminal_j)
