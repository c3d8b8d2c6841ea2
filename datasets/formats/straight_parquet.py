"""Parquet tables with nothing wrong in them: the columns of every row group on threads, piece by piece."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasets.canonical import Array
from datasets.expect import Column, Expectation
from datasets.formats.columns import TEXT_LIMIT, numbers
from datasets.formats.delimited import SMALL
from datasets.formats.parquet import check_size, open_parquet
from datasets.formats.sink import Sink, is_fraction
from datasets.formats.straight_pages import CODES, Landing, Pages, UnlikeError
from datasets.formats.straight_stretches import Stretches
from datasets.threads import allowed, each

BATCH = 1 << 16  # rows decoded at a time: what a thread holds of a few columns stays in cache
_FLOATS = frozenset((pa.float32(), pa.float64()))
_WHOLES = frozenset((pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()))
_TEXTS = frozenset((pa.string(), pa.large_string()))


def read(path: Path, expect: Expectation, sink: Sink, limit: int | None) -> int:
    """How many rows were written; 0: something is not as it has to be.

    Raises:
        Rejected: the footer is not as it has to be.
    """
    file = open_parquet(path, rows=limit)
    schema, meta = file.schema_arrow, file.metadata
    names = [one.name for one in schema]
    if any(names.count(column.name) != 1 for column in expect.columns):
        return 0
    kinds = [schema.field(column.name).type for column in expect.columns]
    if not all(map(_fits, expect.columns, kinds)):
        return 0
    check_size(file, [column.name for column in expect.columns])
    threads = allowed() if path.stat().st_size > SMALL else 1
    try:
        _read(path, file, expect.columns, sink, threads)
    except (UnlikeError, pa.ArrowException, OSError, ValueError, MemoryError):
        return 0
    return int(meta.num_rows)


def _read(path: Path, file: pq.ParquetFile, columns: Sequence[Column], sink: Sink, threads: int) -> None:
    meta = file.metadata
    sizes = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
    starts = [0, *accumulate(sizes)]
    if starts[-1] != meta.num_rows or min(sizes) < 0:
        raise UnlikeError
    landing = Landing(sink, np.zeros(starts[-1] if sink.bounds.summed else 0))
    texts = [column.name for column in columns if file.schema_arrow.field(column.name).type in _TEXTS]
    with path.open("rb") as source:
        stretches = Stretches.of(file, source.fileno(), columns, starts, landing)
        rest = [column for column in columns if column not in stretches.columns]
        pages = Pages.of(file, source.fileno(), rest, starts, landing)
        others = _Others(path, texts, starts, landing)

        def one(task: tuple[int, Column]) -> None:
            own = stretches if task[1] in stretches.columns else pages if task[1] in pages.columns else others
            own.read(*task)

        tasks = [(group, column) for group in range(len(sizes)) for column in columns]
        for _ in each(one, tasks, threads=threads):
            pass
    landing.close()


def _fits(column: Column, kind: pa.DataType) -> bool:
    """Whether a column of Parquet can be read here as what is asked for."""
    if column.type == "class":
        return kind in _TEXTS or kind in _WHOLES
    return kind in _WHOLES or (kind in _FLOATS and is_fraction(column))


@dataclass
class _Others:
    """Columns as pyarrow decodes them, and where they go."""

    path: Path
    texts: Sequence[str]
    starts: Sequence[int]
    landing: Landing
    local: threading.local = field(default_factory=threading.local)

    def read(self, group: int, column: Column) -> None:
        """Raises:
        UnlikeError: something is not as it plainly should be.
        """
        if not hasattr(self.local, "file"):
            self.local.file = open_parquet(self.path, dictionaries=self.texts)
        first, stop = self.starts[group : group + 2]
        batches = self.local.file.iter_batches(
            batch_size=BATCH, row_groups=[group], columns=[column.name], use_threads=False
        )
        for batch in batches:
            values = batch.column(0)
            if values.null_count or first + len(values) > stop:
                raise UnlikeError
            if pa.types.is_dictionary(values.type):
                self.landing.sink.put_codes(column.key, first, *_codes(values))
            else:
                kind = np.float64 if is_fraction(column) else np.int64
                self.landing.put(column, first, np.ascontiguousarray(numbers(values), dtype=kind))
            first += len(values)
        if first != stop:
            raise UnlikeError


def _codes(values: pa.Array) -> tuple[Array, Sequence[str]]:
    """Dictionaries as uint8 codes into their labels."""
    labels, indices = values.dictionary, numbers(values.indices)
    if len(labels) > CODES or labels.null_count or (pc.max(pc.binary_length(labels)).as_py() or 0) > TEXT_LIMIT:
        raise UnlikeError
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(labels):
        raise UnlikeError
    return indices.astype(np.uint8), labels.to_pylist()
