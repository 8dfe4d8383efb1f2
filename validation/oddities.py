"""What does not fit in the published tables, computed from them, so that no fit can smooth it away unseen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pandas as pd

from calibration.published import MODEL, published_measurements, read_table
from prism.catalogue import shape_of
from prism.plan import Plan
from prism.record import Measurement
from prism.schedule import build_schedule


def published_oddities() -> tuple[str, ...]:
    """One sentence each, every figure computed from the tables in `calibration/data`."""
    runs = published_measurements()
    return tuple(
        chain(
            _communication_bump(runs),
            _compute_above_local(runs),
            _implied_rates(runs),
            _powers(runs),
            _tables_differ(runs),
            _tokens(),
            _unsaid(),
        )
    )


def _of(runs: list[Measurement], mode: str) -> dict[int, Measurement]:
    return {run.batch: run for run in runs if run.plan.mode == mode}


def _communication_bump(runs: list[Measurement]) -> Iterator[str]:
    means = _of(runs, "segment_means")
    before, at, after = (means[batch].terminal.communication_s * 1e3 for batch in (4, 8, 16))
    straight = float(np.interp(8, [4, 16], [before, after]))
    logarithmic = float(np.sqrt(before * after))
    yield (
        f"segment_means communication at batch 8 is {at:.1f} ms, {100 * (at / straight - 1):.0f} % above the straight "
        f"line through batch 4 and 16 ({straight:.1f} ms), {100 * (at / logarithmic - 1):.0f} % above it on "
        f"logarithmic axes."
    )


def _compute_above_local(runs: list[Measurement]) -> Iterator[str]:
    full, local = _of(runs, "full_tensor"), _of(runs, "local")
    above = [batch for batch in full if full[batch].terminal.compute_s > local[batch].terminal.compute_s]
    shape = shape_of(MODEL)
    whole = build_schedule(shape, Plan(), 1).flops(0)
    schedule = build_schedule(shape, Plan("full_tensor", 2), 1)
    share = (schedule.flops(0) + schedule.flops(1)) / 2 / whole
    yield (
        f"full_tensor compute exceeds local compute at batch {', '.join(map(str, above))} although a board does "
        f"{100 * (1 - share):.0f} % fewer FLOPs."
    )


def _implied_rates(runs: list[Measurement]) -> Iterator[str]:
    for mode in ("full_tensor", "segment_means"):
        rates = []
        for run in _of(runs, mode).values():
            sent_bits = run.scenario.schedule().exchanged_bytes(0) * 8
            rates.append(sent_bits / run.terminal.communication_s / 1e6)
        yield (
            f"{mode}: bytes over communication time give {min(rates):.0f} to {max(rates):.0f} Mbps one way, twice that "
            f'for both directions together; "400 Mbps" is the throttle\'s label, not a goodput.'
        )


def _powers(runs: list[Measurement]) -> Iterator[str]:
    ranges = []
    for mode in ("local", "full_tensor", "segment_means"):
        watts = [run.energy.terminal_j / run.total_s for run in _of(runs, mode).values() if run.energy is not None]
        ranges.append(f"{mode} {min(watts):.1f} to {max(watts):.1f} W")
    yield (
        f"Energy over latency is {', '.join(ranges)}: no one set of stage powers gives all three, and neither the "
        f"boards nor the rails that were counted are stated."
    )


def _tables_differ(runs: list[Measurement]) -> Iterator[str]:
    table: pd.DataFrame = read_table("energy")
    for _, row in table.iterrows():
        run = _of(runs, str(row["adaptive_mode"]))[int(row["batch"])]
        difference = row["adaptive_latency_ms"] - run.total_s * 1e3
        if abs(difference) > 0.01:
            yield (
                f"{row['adaptive_mode']} at batch {row['batch']} takes {run.total_s * 1e3:.1f} ms in one published "
                f"table and {row['adaptive_latency_ms']:.1f} ms in the other."
            )


def _tokens() -> Iterator[str]:
    tokens = shape_of(MODEL).tokens
    yield (
        f"A published compression rate of 9.9 with L = 10 on two boards implies {9.9 * 10 * 2:.0f} tokens; the model "
        f"has {tokens}. The published GFLOPs match the mean of {tokens / 2} tokens a board."
    )


def _unsaid() -> Iterator[str]:
    yield "Only the terminal device was throttled, and the source does not say whether input distribution is counted."
