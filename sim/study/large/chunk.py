"""One chunk of a large study: a pure function of the job and the chunk's number, wherever it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prism.catalogue import CATALOGUE
from prism.plan import EXCHANGES, INPUTS, MODES, WIRE_BYTES, Plan
from prism.profile import SystemProfile
from prism.shape import TransformerShape
from sim.study.estimate import MAX_POINTS
from sim.study.large.layout import Layout
from sim.twin.outline import outline
from sim.twin.scenarios import Floats, Scenarios
from sim.twin.simulate import Times, simulate_many

_NAME = pa.dictionary(pa.int32(), pa.string())

#: The columns of the file. Names, units and meanings are those of a small study's table, but for `extrapolated`, which
#: is only whether, and `engine`, which says what simulated the point.
SCHEMA = pa.schema(
    [
        *((name, _NAME) for name in ("engine", "model", "mode")),
        ("devices", pa.int16()),
        ("segments", pa.int32()),
        ("compression_rate", pa.float64()),
        ("batch", pa.int32()),
        ("bandwidth_mbps", pa.float64()),
        *((name, _NAME) for name in ("exchange", "input_distribution", "wire_dtype")),
        *((f"{part}_speedup", pa.float64()) for part in ("compute", "staging", "link_latency", "air")),
        ("memory_mb", pa.float64()),
        ("feasible", pa.bool_()),
        ("extrapolated", pa.bool_()),
        *((f"{time}_ms", pa.float64()) for time in ("total", "per_sample", "compute", "staging")),
        *((f"{time}_ms", pa.float64()) for time in ("communication", "transfer", "waiting")),
        *((f"{boards}_j", pa.float64()) for boards in ("terminal", "all_boards")),
    ]
)

_CATEGORIES: dict[str, tuple[str, ...]] = {
    "engine": tuple(MAX_POINTS),
    "model": tuple(CATALOGUE),
    "mode": MODES,
    "exchange": EXCHANGES,
    "input_distribution": INPUTS,
    "wire_dtype": tuple(WIRE_BYTES),
}


@dataclass(frozen=True, eq=False)
class Job:
    """All that a chunk needs to know."""

    layout: Layout
    profile: SystemProfile


def chunk_rows(job: Job, number: int) -> pa.RecordBatch:
    """Simulate the points of chunk `number`; rows in their order, columns of `SCHEMA`."""
    layout = job.layout
    chunk = layout.chunks[number]
    section = layout.sections[chunk.section]
    plan, cell = np.divmod(np.arange(chunk.start, chunk.stop), layout.cells)
    batch, bandwidth = np.divmod(cell, len(layout.bandwidths_mbps))
    plans = section.plans[plan[0] : plan[-1] + 1]
    plan -= plan[0]
    many = Scenarios.of(section.shape, plans, layout.batches[batch], layout.bandwidths_mbps[bandwidth], plan=plan)
    times = simulate_many(many, section.speedup.of(job.profile))
    changed = bool(section.speedup.changed)
    columns: dict[str, pa.Array] = {
        "engine": _constant("engine", chunk.engine, chunk.points),
        "model": _constant("model", section.shape.name, chunk.points),
        **_plan_columns(section.shape, plans, plan),
        "batch": pa.array(many.batch, pa.int32()),
        "bandwidth_mbps": pa.array(many.bandwidth_mbps),
        **{f"{part}_speedup": pa.repeat(factor, chunk.points) for part, factor in asdict(section.speedup).items()},
        "memory_mb": pa.array(_memory_mb(section.shape, plans, layout.batches)[plan, batch]),
        "feasible": pa.array(times.fits),
        "extrapolated": pa.array((times.extrapolated | changed) & times.fits),
        **_time_columns(times, many.batch),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _plan_columns(shape: TransformerShape, plans: Sequence[Plan], plan: NDArray[np.intp]) -> dict[str, pa.Array]:
    rates = [each.compression_rate(shape.tokens) if each.devices > 1 else None for each in plans]
    index = pa.array(plan)
    return {
        **{
            name: _names(name, [getattr(each, name) for each in plans], plan)
            for name in ("mode", "exchange", "input_distribution", "wire_dtype")
        },
        "devices": pa.array([each.devices for each in plans], pa.int16()).take(index),
        "segments": pa.array([each.segments for each in plans], pa.int32()).take(index),
        "compression_rate": pa.array(rates, pa.float64()).take(index),
    }


def _names(column: str, values: Sequence[str], index: NDArray[np.intp]) -> pa.Array:
    """`values[index]`, kept as numbers of names."""
    known = _CATEGORIES[column]
    numbers = np.array([known.index(value) for value in values], np.int32)
    return pa.DictionaryArray.from_arrays(numbers[index], pa.array(known))


def _constant(column: str, value: str, count: int) -> pa.Array:
    return _names(column, [value], np.zeros(count, np.intp))


def _memory_mb(shape: TransformerShape, plans: Sequence[Plan], batches: NDArray[np.int64]) -> Floats:
    """Memory of the board that needs most, of the shape (plans, batches)."""
    needed = [
        np.max([start + growth * batches for start, growth in outline(shape, plan).memory], axis=0) for plan in plans
    ]
    megabytes: Floats = np.array(needed) / 1e6
    return megabytes


def _time_columns(times: Times, batch: NDArray[np.int64]) -> dict[str, pa.Array]:
    terminal, total_ms = times.terminal, times.total_s * 1e3
    columns = {
        "total_ms": total_ms,
        "per_sample_ms": total_ms / batch,
        "compute_ms": terminal.compute_s * 1e3,
        "staging_ms": terminal.staging_s * 1e3,
        "communication_ms": terminal.communication_s * 1e3,
        "transfer_ms": terminal.transfer_s * 1e3,
        "waiting_ms": terminal.waiting_s * 1e3,
        "terminal_j": times.terminal_j,
        "all_boards_j": times.all_boards_j,
    }
    return {name: pa.array(values, from_pandas=True) for name, values in columns.items()}  # not a number: none
