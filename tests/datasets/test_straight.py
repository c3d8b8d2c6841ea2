"""Tables that are right go straight into the canonical form: the same bytes as by the careful way, or nothing."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets.canonical import Canonical, CanonicalWriter
from datasets.errors import Rejected
from datasets.expect import Column, Expectation
from datasets.formats import page_loops, plain, straight_parquet, table
from datasets.threads import allow

relaxed = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
COLUMNS = (
    Column("id", "id.0", "int"),
    Column("well", "id.1", "text"),
    Column("y", "value.y", "float"),
    Column("a", "value.a", "probability"),
    Column("b", "value.b", "probability"),
    Column("kind", "value.kind", "class"),
    Column("w", "weight", "weight"),
)
EXPECT = Expectation("table", "entry", ("csv", "parquet"), 1 << 30, columns=COLUMNS, rows=40, low=-1e6, high=1e6)
ROW = st.tuples(
    st.integers(-99, 99),
    st.sampled_from(["A-1", "A-2", "B 7"]),
    st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from([0.5, 7.0, -0.0, 1e-300, -12.75]),
    st.floats(0, 1, allow_subnormal=False) | st.sampled_from([0.0, 1.0, 0.25]),
    st.sampled_from(["clay", "sand", "3", "10"]),
    st.floats(0, 9, allow_subnormal=False),
)
ROWS = st.lists(ROW, min_size=1, max_size=40, unique_by=lambda row: row[:2])
FAULTS: dict[str, Any] = {
    "y": [float("nan"), float("inf"), 2e6], "a": [-0.25, 1.5, float("nan")], "w": [-1.0], "kind": [""], "well": [""],
}  # fmt: skip


def columns_of(rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    number, well, y, a, kind, w = map(list, zip(*rows, strict=True))
    return {"id": number, "well": well, "y": y, "a": a, "b": [1.0 - one for one in a], "kind": kind, "w": w}


def csv_file(folder: Path, columns: dict[str, list[Any]]) -> Path:
    path = folder / "entry.csv"
    lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="ascii")
    return path


def parquet_file(folder: Path, columns: dict[str, list[Any]], **options: Any) -> Path:
    path = folder / "entry.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


def outcome(path: Path, expect: Expectation, out: Path) -> Any:
    """What the canonical form holds, to the bit, or every finding."""
    try:
        table.read_table(path, path.suffix[1:], expect, out)
    except Rejected as refusal:
        return refusal.findings
    made = Canonical.read(out)
    return made.attrs, {name: (array.dtype.str, array.tobytes()) for name, array in made.arrays.items()}


def both(path: Path, folder: Path, expect: Expectation = EXPECT, threads: int = 1) -> tuple[Any, Any, bool]:
    """(straight, careful, whether the straight way was taken)."""
    taken: list[bool] = []
    straight = table.write_straight

    def watched(*given: Any) -> bool:
        taken.append(straight(*given))
        return taken[-1]

    found = []
    for number, way in enumerate((watched, lambda *_given: False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table, "write_straight", way)
            patch.setattr(straight_parquet, "SMALL", 0)
            allow(threads)
            try:
                found.append(outcome(path, expect, folder / f"out-{len(list(folder.iterdir()))}-{number}"))
            finally:
                allow(1)
    return found[0], found[1], taken[0]


@relaxed
@given(rows=ROWS, piece=st.integers(120, 400), threads=st.integers(1, 3), open_end=st.booleans())
def test_a_right_csv_gives_the_same_bytes(
    tmp_path: Path, rows: list[tuple[Any, ...]], piece: int, threads: int, open_end: bool
) -> None:
    path = csv_file(tmp_path, columns_of(rows))
    expect = EXPECT if open_end else Expectation(**{**_fields(EXPECT), "classes": CLASSES, "classes_open": False})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "PIECE", piece)
        patch.setattr(plain, "SAMPLE", 32)
        straight, careful, taken = both(path, tmp_path, expect, threads)
    assert straight == careful
    assert taken


CLASSES = ("3", "10", "clay", "sand")


def _fields(expect: Expectation) -> dict[str, Any]:
    return {name: getattr(expect, name) for name in expect.__dataclass_fields__}


NUMBERS = Expectation(**{**_fields(EXPECT), "columns": tuple(one for one in COLUMNS if one.type != "text")})
NUMBERED = st.lists(ROW, min_size=1, max_size=40, unique_by=lambda row: row[0])
WRITERS = st.fixed_dictionaries(
    {
        "row_group_size": st.sampled_from([3, 7, 64]),
        "compression": st.sampled_from(["snappy", "zstd", "none", "gzip"]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "data_page_size": st.sampled_from([16, 1 << 20]),
        "write_batch_size": st.sampled_from([2, 1024]),
    }
)


@relaxed
@given(
    rows=st.lists(ROW, min_size=1, max_size=40, unique_by=lambda row: row[0]),
    options=WRITERS,
    threads=st.integers(1, 3),
)
def test_a_right_parquet_gives_the_same_bytes(
    tmp_path: Path, rows: list[tuple[Any, ...]], options: dict[str, Any], threads: int
) -> None:
    path = parquet_file(tmp_path, columns_of(rows), **options)
    straight, careful, taken = both(path, tmp_path, NUMBERS, threads)
    assert straight == careful
    assert taken


@relaxed
@given(rows=NUMBERED, packed=st.booleans(), data=st.data())
def test_a_wrong_cell_gives_the_same_findings(
    tmp_path: Path, rows: list[tuple[Any, ...]], packed: bool, data: st.DataObject
) -> None:
    expect = NUMBERS if packed else EXPECT
    name = data.draw(st.sampled_from([one.name for one in expect.columns if one.name in {"id", *FAULTS}]))
    row = data.draw(st.integers(0, len(rows) - 1))
    columns = columns_of([*rows, rows[row]] if name == "id" else rows)
    if name != "id":
        columns[name][row] = data.draw(st.sampled_from(FAULTS[name]))
    write: Callable[[Path, dict[str, list[Any]]], Path] = parquet_file if packed else csv_file
    straight, careful, taken = both(write(tmp_path, columns), tmp_path, expect)
    assert straight == careful
    assert careful[0].code
    assert not taken


@pytest.mark.parametrize("kind", ["int8", "int16", "uint8", "int32", "int64"])
def test_whole_classes_of_any_width_are_the_same(tmp_path: Path, kind: str) -> None:
    columns = columns_of([(number, "A", 1.0, 0.5, 0, 1.0) for number in range(30)])
    given_ = pa.table({**columns, "kind": pa.array([number % 5 for number in range(30)], kind)})
    pq.write_table(given_, tmp_path / "entry.parquet")
    straight, careful, taken = both(tmp_path / "entry.parquet", tmp_path, NUMBERS)
    assert taken
    assert straight == careful


@relaxed
@given(
    runs=st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.integers(0, 40)), min_size=1, max_size=6),
    width=st.integers(0, 9),
    size=st.integers(1, 60),
    cut=st.integers(0, 6),
)
def test_runs_of_indices_are_read_as_they_are_written(
    runs: list[tuple[bool, int, int]], width: int, size: int, cut: int
) -> None:
    """Indices packed here by the letter of the format; any that lies outside, or a text cut short, is refused."""
    wanted: list[int] = []
    packed = b""
    for repeated, count, seed in runs:
        if repeated:
            value = seed % (1 << width)
            wanted += [value] * count
            packed += bytes([count << 1]) + value.to_bytes((width + 7) // 8, "little")
        else:
            values = [(seed * 7 + place * 11) % (1 << width) for place in range(8 * count)]
            wanted += values
            bits = sum(value << (width * place) for place, value in enumerate(values))
            packed += bytes([count << 1 | 1]) + bits.to_bytes(count * width, "little")
    table_ = np.arange(size, dtype=np.uint64) + np.uint64(1000)
    data = np.frombuffer(packed + bytes(9), dtype=np.uint8)
    out = np.zeros(len(wanted), dtype=np.uint64)
    inside = max(wanted) < size
    assert page_loops.look_up(data, 0, len(packed), width, table_, out) == inside
    if inside:
        assert out.tolist() == [1000 + index for index in wanted]
    if cut and width:
        assert not page_loops.look_up(data, 0, max(0, len(packed) - cut), width, table_, out) or cut > len(packed)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=1, max_size=5), st.integers(0, 71))
def test_levels_are_all_present_or_not(runs: list[tuple[bool, int]], hole: int) -> None:
    packed, total = b"", 0
    for repeated, count in runs:
        if repeated:
            packed += bytes([count << 1, hole != total])
            total += count
        else:
            bits = (1 << (8 * count)) - 1
            if total <= hole < total + 8 * count:
                bits &= ~(1 << (hole - total))
            packed += bytes([count << 1 | 1]) + bits.to_bytes(count, "little")
            total += 8 * count
    starts, missing = 0, False
    for repeated, count in runs:
        size = count if repeated else 8 * count
        missing |= hole == starts if repeated else starts <= hole < starts + size
        starts += size
    data = np.frombuffer(packed, dtype=np.uint8)
    assert page_loops.all_present(data, 0, len(data), total) == (not missing)
    assert not page_loops.all_present(data, 0, len(data), total + 1)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.randoms())
def test_an_array_grows_to_what_is_written_in_any_order(sizes: list[int], random: Any) -> None:
    starts = np.concatenate([[0], np.cumsum(sizes)])
    values = np.arange(starts[-1], dtype=np.float64) * 0.5
    with TemporaryDirectory() as name:
        writer = CanonicalWriter(Path(name), "table")
        with writer.growing("y", np.float64) as target:
            for part in random.sample(range(len(sizes)), len(sizes)):
                target.put(int(starts[part]), values[starts[part] : starts[part + 1]])
        assert writer.written("y").tobytes() == values.tobytes()
        writer.finish({})
        assert Canonical.read(Path(name)).arrays["y"].tobytes() == values.tobytes()
