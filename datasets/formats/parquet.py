"""Parquet columns under limits: the footer is checked before a page is read, texts are decoded as dictionaries."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasets.findings import Findings, reject
from datasets.formats.columns import TEXT_LIMIT, note_rows, numbers, suggest
from datasets.formats.delimited import SMALL, check_numbers, to_numbers
from datasets.formats.plain import Cell
from datasets.formats.sheet import Bools, Sheet, Spot, blank, join_masks
from datasets.threads import allowed, each

MAX_COLUMNS = 2048
MAX_GROUPS = 10_000
MAX_UNPACKED = 64 << 30
MAX_WHOLE = 10**18 - 1  # ids up to here are whole numbers, not floats
_AS_TEXT = frozenset({"text", "auto", "class"})
_FLOATS = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal)


def open_parquet(path: Path, *, dictionaries: Sequence[str] = (), rows: int | None = None) -> pq.ParquetFile:
    """Open ``path`` and check its footer.

    Raises:
        Rejected: it is no Parquet file, or its footer promises too much.
    """
    with path.open("rb") as source:
        head = source.read(4)
        source.seek(-min(path.stat().st_size, 4), 2)
        tail = source.read(4)
    if head != b"PAR1" or tail != b"PAR1":
        raise reject("wrong-format", "The file is not Parquet.", hint="Write it with pandas, pyarrow, polars or GDAL.")
    try:
        file = pq.ParquetFile(
            path,
            read_dictionary=list(dictionaries),
            memory_map=False,
            pre_buffer=False,
            arrow_extensions_enabled=False,
            thrift_string_size_limit=16 << 20,
            thrift_container_size_limit=1 << 20,
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise reject("unreadable", "The Parquet footer cannot be read.", hint="Write the file again.") from error
    _check_footer(file.metadata, rows)
    return file


def _check_footer(meta: pq.FileMetaData, rows: int | None) -> None:
    if meta.num_columns > MAX_COLUMNS:
        raise reject("too-many-columns", f"The file has {meta.num_columns} columns; {MAX_COLUMNS} are allowed.")
    if meta.num_rows == 0:
        raise reject("empty-file", "The file has no rows.")
    if meta.num_rows < 0 or meta.num_row_groups > MAX_GROUPS:
        raise reject("suspicious-structure", "The file is cut into more row groups than any writer makes.")
    if rows is not None and meta.num_rows > rows:
        raise reject(
            "too-many-rows",
            f"The file has {meta.num_rows} rows, far more than the challenge asks for.",
            hint="Send one row for each id.",
        )


def read_columns(path: Path, wanted: Mapping[str, Cell], found: Findings, *, rows: int | None = None) -> Sheet:
    """The wanted columns as float64, int64 or text.

    Every column that is missing or of another type, every null and every text that is no number is noted.

    Raises:
        Rejected: nothing of the file can be read.
    """
    file = open_parquet(path, rows=rows)
    schema = file.schema_arrow
    names = check_names([field.name for field in schema], list(wanted), found)
    names = [name for name in names if _check_type(schema.field(name).type, name, found)]
    if not names:
        found.stop_if_any()
    texts = [name for name in names if _is_text(schema.field(name).type)]
    if texts:
        file = open_parquet(path, dictionaries=texts, rows=rows)
    columns: dict[str, pa.ChunkedArray] = {}
    bad: dict[str, Bools] = {}
    for name, read in zip(names, _read_each(path, file, names, texts), strict=True):
        column, wrong = _convert(read, name, wanted[name], found)
        columns |= {} if column is None else {name: column}
        bad |= {} if wrong is None else {name: wrong}
    if not columns:
        found.stop_if_any()
    return Sheet(columns, bad)


def _read_each(path: Path, file: pq.ParquetFile, names: Sequence[str], texts: Sequence[str]) -> Iterator[Any]:
    """One column after the other, each in one piece, so that no more than a few are held twice."""
    check_size(file, names)
    threads = allowed() if path.stat().st_size > SMALL else 1

    def read(name: str) -> pa.ChunkedArray:
        own = file if threads < 2 else open_parquet(path, dictionaries=[name] if name in texts else ())
        column = _pages(own, [name]).column(0)
        return column if name in texts else pa.chunked_array([column.combine_chunks()], column.type)

    return each(read, names, threads=threads)


def check_names(names: Sequence[str], wanted: Sequence[str], found: Findings) -> list[str]:
    """The wanted columns that stand once in the file; the others are noted."""
    for name in dict.fromkeys(wanted):
        if names.count(name) == 0:
            found.add(
                "missing-column",
                f"The column {name!r} is not in the file.",
                {"column": name},
                hint=suggest(name, names),
            )
        elif names.count(name) > 1:
            found.add(
                "duplicate-column",
                f"The column {name!r} stands more than once in the file.",
                {"column": name},
                hint="Keep one of them.",
            )
    return [name for name in dict.fromkeys(wanted) if names.count(name) == 1]


def load(file: pq.ParquetFile, names: Sequence[str]) -> pa.Table:
    """Read columns of an opened file.

    Raises:
        Rejected: a page is damaged, or the footer and the pages do not agree.
    """
    check_size(file, names)
    return _pages(file, names)


def check_size(file: pq.ParquetFile, names: Sequence[str]) -> None:
    meta = file.metadata
    paths = [meta.schema.column(i).path for i in range(meta.num_columns)]
    inside = [i for i, path in enumerate(paths) if path in set(names) or path.split(".", 1)[0] in set(names)]
    size = sum(meta.row_group(g).column(i).total_uncompressed_size for g in range(meta.num_row_groups) for i in inside)
    if size > MAX_UNPACKED or size < 0:
        raise reject("too-large", "The columns unpack to more than an entry may hold.")


def _pages(file: pq.ParquetFile, names: Sequence[str]) -> pa.Table:
    try:
        table = file.read(columns=list(names), use_threads=False)
    except (pa.ArrowInvalid, OSError, pa.ArrowNotImplementedError, ValueError) as error:
        raise reject(
            "unreadable", "A Parquet page cannot be read.", hint="Write the file again with snappy or zstd compression."
        ) from error
    if table.num_rows != file.metadata.num_rows:
        raise reject("suspicious-structure", "The Parquet footer and its pages disagree about the number of rows.")
    if not all(_indices_fit(chunk) for column in table.columns for chunk in column.chunks):
        raise reject("unreadable", "A Parquet page names texts that its dictionary has not.", hint="Write it again.")
    return table


def _indices_fit(chunk: pa.Array) -> bool:
    """Whether a dictionary has every text its indices name; Arrow does not look when it reads."""
    if not pa.types.is_dictionary(chunk.type) or chunk.null_count == len(chunk):
        return True
    ends = pc.min_max(chunk.indices).as_py()
    return bool(ends["min"] >= 0 and ends["max"] < len(chunk.dictionary))


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def _check_type(kind: pa.DataType, name: str, found: Findings) -> bool:
    good = _is_text(kind) or any(test(kind) for test in _FLOATS)
    if not good:
        found.add(
            "wrong-type",
            f"The column {name!r} is of type {str(kind)[:60]}.",
            {"column": name},
            hint="Store numbers as float64 or int64 and texts as strings.",
        )
    return good


def _convert(
    column: pa.ChunkedArray, name: str, kind: Cell, found: Findings
) -> tuple[pa.ChunkedArray | None, Bools | None]:
    """The column in the wanted type and its bad cells; no column where it cannot be spread out."""
    bad: Bools | None = None
    if column.null_count:
        bad = _mask(column.is_null())
        note_rows(found, "missing-value", np.flatnonzero(bad), name, "the cell is empty", hint="Fill the cell.")
    if _is_text(column.type):
        return _of_texts(column, Spot(name, bad), kind, found)
    if bad is not None:
        column = column if pa.types.is_integer(column.type) else pc.cast(column, pa.float64(), safe=False)
        column = pc.fill_null(column, 0)
    if kind == "auto" and _is_plain(column):
        return pc.cast(column, pa.int64()), bad
    if kind in _AS_TEXT:
        return _labels(column) if kind == "class" and pa.types.is_integer(column.type) else _number_texts(column), bad
    if kind == "float":
        return pc.cast(column, pa.float64(), safe=False), bad
    return _whole(column, Spot(name, bad), found)


def _of_texts(
    column: pa.ChunkedArray, spot: Spot, kind: Cell, found: Findings
) -> tuple[pa.ChunkedArray | None, Bools | None]:
    if kind == "class" and spot.bad is None and pa.types.is_dictionary(column.type) and _short(column):
        return column, None
    texts = plain_text(column, spot.name, found)
    if texts is None:
        return None, None
    texts = texts if spot.bad is None else pc.fill_null(texts, "")
    if kind in _AS_TEXT:
        return texts, spot.bad
    wrong = check_numbers(texts, spot, kind, found)
    return to_numbers(blank(texts, wrong, "0"), kind), wrong


def plain_text(column: pa.ChunkedArray, name: str, found: Findings) -> pa.ChunkedArray | None:
    """A text column, dictionary or not, as plain large text; None, and noted, when a value is too long to spread."""
    if not _short(column):
        found.add("text-too-long", f"A value in {name!r} is longer than {TEXT_LIMIT} bytes.", {"column": name})
        return None
    return pc.cast(column, pa.large_string())


def _short(column: pa.ChunkedArray) -> bool:
    """Whether no value of a text column is longer than TEXT_LIMIT."""
    for chunk in column.chunks:
        values = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
        if len(values) and (pc.max(pc.binary_length(values)).as_py() or 0) > TEXT_LIMIT:
            return False
    return True


def _is_plain(column: pa.ChunkedArray) -> bool:
    """Whether a column holds whole numbers that a text file would give as such, too."""
    if not pa.types.is_integer(column.type):
        return False
    ends = pc.min_max(column).as_py()
    return bool(ends["min"] >= -MAX_WHOLE and ends["max"] <= MAX_WHOLE)


def _labels(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers as dictionaries of their texts."""
    coded = column.dictionary_encode()
    texts = [
        pa.DictionaryArray.from_arrays(chunk.indices, pc.cast(chunk.dictionary, pa.string())) for chunk in coded.chunks
    ]
    return pa.chunked_array(texts)


def _number_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):
        values = numbers(pc.cast(column, pa.float64()))
        if np.all(np.isfinite(values)) and np.all(values == np.round(values)) and np.all(np.abs(values) < 2**53):
            return pc.cast(pa.chunked_array([values.astype(np.int64)]), pa.large_string())
    return pc.cast(column, pa.large_string())


def _whole(column: pa.ChunkedArray, spot: Spot, found: Findings) -> tuple[pa.ChunkedArray, Bools | None]:
    if pa.types.is_integer(column.type):
        try:
            return pc.cast(column, pa.int64()), spot.bad
        except pa.ArrowInvalid:
            found.add("out-of-range", f"A whole number in {spot.name!r} is larger than 2^63.", {"column": spot.name})
            huge = _mask(pc.greater(column, pa.scalar(2**63 - 1, column.type)))
            return pc.cast(blank(column, huge, 0), pa.int64()), join_masks(spot.bad, huge)
    values = numbers(pc.cast(column, pa.float64(), safe=False))
    bad = ~(np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53))
    hint = "Write ids as the template has them."
    note_rows(found, "not-a-number", spot.rows(bad), spot.name, "the id is not a whole number", hint=hint)
    whole = pa.chunked_array([np.where(bad, 0.0, values).astype(np.int64)])
    return whole, join_masks(spot.bad, bad) if bad.any() else spot.bad


def _mask(flags: Any) -> Bools:
    return numbers(pc.cast(flags, pa.uint8())).astype(np.bool_)
