"""Headers of Parquet's pages mean what Arrow takes them for, or nothing: a file must not read two ways."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.formats import head_loops
from datasets.formats.parquet_pages import Group, groups_of

RUNS, PACKED = b"\x15\x06\x15\x06", b"\x15\x08\x15\x06"  # encodings of levels in a page header: 3 or 4, then 3


def groups(path: Path) -> list[Group] | None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return groups_of(pq.ParquetFile(path), descriptor, "x", "DOUBLE")
    finally:
        os.close(descriptor)


def end_of_head(data: bytes) -> Any:
    found = np.zeros(head_loops.WORK, dtype=np.int64)
    return head_loops.read_head(np.frombuffer(data, dtype=np.uint8), 0, len(data), found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.parquet"
    table = pa.table({"x": np.arange(32.0)})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    return path


def test_levels_of_the_older_kind_are_left_to_arrow(path: Path) -> None:
    data = path.read_bytes()
    assert data.count(RUNS) == 1
    assert groups(path) is not None
    assert end_of_head(data[4:]) > 0
    path.write_bytes(data.replace(RUNS, PACKED))
    assert pq.read_table(path)["x"].null_count > 0  # the same bytes say something else
    assert groups(path) is None
    assert end_of_head(path.read_bytes()[4:]) == -1


def test_a_field_of_no_type_ends_a_struct(path: Path) -> None:
    data = path.read_bytes()[4:]
    head = data[: end_of_head(data)]
    assert head.endswith(b"\0\0")
    assert end_of_head(head[:-1] + b"\x10\0") == -1  # to Thrift's own readers it ends at \x10
