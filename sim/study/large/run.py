"""Run a large study: chunk by chunk from an executor into the file and the summary."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from prism import __version__
from prism.profile import SystemProfile, profile_json
from sim.study.executor import Executor
from sim.study.large.chunk import Job, chunk_rows
from sim.study.large.layout import Layout
from sim.study.large.parquet import finished_rows, writing
from sim.study.large.tally import Tally
from sim.study.spec import Study


def partial_path(path: Path) -> Path:
    """Where an interrupted study keeps what it had simulated."""
    return path.with_name(path.name + ".partial")


def run_large(
    study: Study,
    profile: SystemProfile,
    layout: Layout,
    path: Path,
    executor: Executor,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Tally:
    """Simulate every point of `layout` and write the rows to `path`, in its order.

    A run that is interrupted leaves its chunks at `partial_path`, from where the same study goes on. The rows are the
    same to the bit wherever their chunks are computed.

    `progress` is told the points that are done and that there are.

    Raises:
        InputError: the file cannot be written.
        RunFailed: the executor has lost its machines.
    """
    about = _about(study, profile)
    job, partial, tally = Job(layout, profile), partial_path(path), Tally(layout)
    with writing(path, partial, about) as file:
        for chunk, rows in zip(layout.chunks, _all_rows(job, partial, about, executor), strict=True):
            file.add(rows)
            tally.add(chunk, rows)
            progress(tally.points, layout.points)
    tally.finish()
    return tally


def _all_rows(job: Job, partial: Path, about: dict[str, Any], executor: Executor) -> Iterator[pa.RecordBatch]:
    """The rows of every chunk in order: those that an interrupted run left, then simulated ones."""
    kept = 0
    for rows in finished_rows(partial, about):
        kept += 1
        yield rows
    yield from executor.parts(chunk_rows, job, range(kept, len(job.layout.chunks)))


def _about(study: Study, profile: SystemProfile) -> dict[str, Any]:
    """Which study a file belongs to: its name, and a digest of all that its rows depend on."""
    versions = {"prism": __version__, "numpy": np.__version__}
    inputs = repr(study) + profile_json(profile) + repr(versions)
    digest = hashlib.sha256(inputs.encode()).hexdigest()
    return {"format": "prism.sweep/1", "name": study.name, "profile": profile.name, **versions, "inputs": digest}
