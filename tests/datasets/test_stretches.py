"""Number columns read a stretch of pages at a time: the numbers pyarrow reads, or none where a page is damaged."""

import io
import os
import random
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.canonical import Array
from datasets.expect import Column
from datasets.formats import head_loops, straight_stretches
from datasets.formats.straight_pages import UnlikeError
from datasets.formats.straight_stretches import Stretches

KINDS: dict[str, Any] = {
    "double": pa.float64(), "float": pa.float32(), "int64": pa.int64(), "int32": pa.int32(), "uint16": pa.uint16(),
}  # fmt: skip
COLUMNS = [Column(name, f"value.{name}", "float" if name in {"double", "float"} else "int") for name in KINDS]
OPTIONS = st.fixed_dictionaries({
    "compression": st.sampled_from(["none", "snappy"]),
    "use_dictionary": st.booleans(),
    "data_page_version": st.sampled_from(["1.0", "2.0"]),
    "data_page_size": st.sampled_from([16, 200, 1 << 20]),
    "write_batch_size": st.sampled_from([1, 7, 1024]),
    "dictionary_pagesize_limit": st.sampled_from([16, 1 << 20]),
    "row_group_size": st.sampled_from([5, 70, 1000]),
})  # fmt: skip
quick = settings(max_examples=60, deadline=None)


class Wall:
    """A landing that only takes what it is given."""

    def __init__(self, rows: int) -> None:
        self.rows, self.found = rows, np.zeros(0)

    def put(self, _column: Column, first: int, values: Array) -> None:
        assert 0 <= first <= self.rows - len(values)
        if not len(self.found):
            self.found = np.full(self.rows, 99, dtype=values.dtype)
        self.found[first : first + len(values)] = values


def written(rows: int, few: bool, nullable: bool, options: dict[str, Any]) -> bytes:
    make = np.random.default_rng(rows)
    values = make.integers(0, 4 if few else 60_000, (len(KINDS), rows))
    table = pa.table(
        [pa.array(one, pa.int64()).cast(kind) for one, kind in zip(values, KINDS.values(), strict=True)],
        schema=pa.schema([pa.field(name, kind, nullable=nullable) for name, kind in KINDS.items()]),
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def ours(path: Path, column: Column) -> Array | None:
    file = pq.ParquetFile(path)
    meta = file.metadata
    starts = [0, *accumulate(meta.row_group(group).num_rows for group in range(meta.num_row_groups))]
    landing: Any = Wall(starts[-1])
    with path.open("rb") as source:
        stretches = Stretches.of(file, source.fileno(), [column], starts, landing)
        assert column in stretches.columns
        try:
            for group in range(meta.num_row_groups):
                stretches.read(group, column)
        except UnlikeError:
            return None
    found: Array = landing.found
    return found


def theirs(path: Path, column: Column) -> Array | None:
    try:
        values = pq.ParquetFile(path).read(columns=[column.name], use_threads=False).column(0)
        values.validate(full=True)
    except (pa.ArrowException, OSError):
        return None
    return None if values.null_count else values.to_numpy().astype(np.float64 if column.type == "float" else np.int64)


@quick
@given(
    rows=st.sampled_from([1, 8, 61, 700]), few=st.booleans(), nullable=st.booleans(), options=OPTIONS,
    sizes=st.sampled_from([(1, 1, 1), (40_000, 64, 100), (1 << 20, 1 << 18, 1 << 17)]),
)  # fmt: skip
def test_stretches_of_any_size_give_what_pyarrow_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: int, few: bool, nullable: bool, options: Any, sizes: Any
) -> None:
    path = tmp_path_factory.mktemp("stretch") / "a.parquet"
    path.write_bytes(written(rows, few, nullable, options))
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("STRETCH", "SCRATCH", "ROOM"), sizes, strict=True):
            patch.setattr(straight_stretches, name, size)
        for column in COLUMNS:
            assert np.array_equal(ours(path, column), theirs(path, column))  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(few=st.booleans(), nullable=st.booleans(), options=OPTIONS, chance=st.randoms(use_true_random=False))
def test_of_damaged_pages_nothing_is_read_that_pyarrow_reads_otherwise(
    tmp_path_factory: pytest.TempPathFactory, few: bool, nullable: bool, options: Any, chance: random.Random
) -> None:
    path = tmp_path_factory.mktemp("stretch") / "a.parquet"
    right = written(61, few, nullable, options)
    meta = pq.ParquetFile(io.BytesIO(right)).metadata
    for _ in range(20):
        place = chance.randrange(len(COLUMNS))
        about = meta.row_group(chance.randrange(meta.num_row_groups)).column(place)
        start = about.dictionary_page_offset or about.data_page_offset
        damaged = bytearray(right)
        at = start + chance.randrange(min(60, about.total_compressed_size))
        damaged[at] = chance.choice([0, 1, 255, damaged[at] ^ 1 << chance.randrange(8)])
        path.write_bytes(damaged)
        found = ours(path, COLUMNS[place])
        if found is not None:
            wanted = theirs(path, COLUMNS[place])
            assert wanted is not None, damaged[start : start + 60].hex(" ")
            assert np.array_equal(found, wanted, equal_nan=found.dtype.kind == "f")


@pytest.mark.parametrize("kind", ["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"])
def test_other_encodings_are_left_to_pyarrow(tmp_path: Path, kind: str) -> None:
    table = pa.table({"int32": pa.array(range(50), pa.int32())})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False, column_encoding={"int32": kind})
    assert ours(tmp_path / "a.parquet", COLUMNS[3]) is None


def test_a_file_cut_short_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(written(700, few=False, nullable=True, options={"use_dictionary": False, "compression": "none"}))
    file = pq.ParquetFile(path)
    with path.open("rb") as source:
        stretches = Stretches.of(file, source.fileno(), COLUMNS[:1], [0, 700], Wall(700))  # type: ignore[arg-type]
        os.truncate(path, 500)
        with pytest.raises(UnlikeError):
            stretches.read(0, COLUMNS[0])


def test_a_header_says_what_it_says_or_is_odd() -> None:
    """PageHeader of a first-version page: 10 unpacked, 8 packed bytes, 5 values, plain, levels in runs."""
    right = bytes.fromhex("15 00 15 14 15 10 2c 15 0a 15 00 15 06 15 06 00 00")
    found = np.zeros(head_loops.WORK, dtype=np.int64)

    def read(data: bytes) -> int:
        return int(head_loops.head_at(np.frombuffer(data, np.uint8), 0, len(data), found))

    assert read(right + b"rest") == len(right)
    assert found[: head_loops.LEVELS].tolist() == [0, 10, 8, 5, 0]
    assert all(read(right[:size]) < 0 for size in range(len(right)))
    for odd in ("15 00 15 13", "15 00 05 14", "15 04 15 14", "35 00 15 14", "15 00 1b 14", "10 00 15 14"):
        assert read(bytes.fromhex(odd) + right[4:]) < 0
