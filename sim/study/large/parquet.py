"""A large study's rows on disk: a row group a chunk, whole or not at all, and what an interrupted run had to show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from prism.files import atomic_path
from sim.study.large.chunk import SCHEMA

#: Columns with few distinct values; the others are written as they are.
_REPEATING = [name for name in SCHEMA.names[: SCHEMA.names.index("feasible")] if name != "memory_mb"]
_KEY = b"prism"


class Rows:
    """A file that is being written, a row group at a time.

    Attributes:
        written: row groups so far.
    """

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self.written = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Append one chunk."""
        self._writer.write_batch(rows, row_group_size=len(rows))
        self.written += 1


@contextmanager
def writing(path: Path, partial: Path, about: dict[str, Any]) -> Iterator[Rows]:
    """A file for a study's rows, under its name when the block ends well.

    When the block ends otherwise, what was written is kept as `partial`, a valid file as well.

    Args:
        path: of the finished file.
        partial: where an unfinished one is kept; one that is there goes away when the study is finished.
        about: kept in the file; says which study it is.

    Raises:
        InputError: the folder is missing or not writable, or the disk is full.
    """
    schema = SCHEMA.with_metadata({_KEY: json.dumps(about)})
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        writer = pq.ParquetWriter(file, schema, use_dictionary=_REPEATING)
        rows = Rows(writer)
        try:
            yield rows
        except OSError:  # no room for a footer either
            raise
        except BaseException:
            writer.close()
            if rows.written:
                temporary.replace(partial)
            raise
        writer.close()
    partial.unlink(missing_ok=True)


def finished_rows(partial: Path, about: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """The chunks that an interrupted run of the same study left, in order; none where there was none."""
    if not partial.is_file():
        return
    try:
        file = pq.ParquetFile(partial)
    except (OSError, pa.ArrowInvalid):
        return  # not one of ours, or broken: simulated anew
    with file:
        kept = (file.schema_arrow.metadata or {}).get(_KEY, b"null")
        if json.loads(kept) != about or not file.schema_arrow.equals(SCHEMA):
            return
        for number in range(file.num_row_groups):
            yield file.read_row_group(number).combine_chunks().to_batches()[0]
