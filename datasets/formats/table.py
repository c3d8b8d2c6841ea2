"""Tables keyed by id, from CSV and Parquet, to the canonical columns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from datasets.canonical import Array, CanonicalWriter
from datasets.expect import Column, Expectation
from datasets.findings import SHOWN, Findings, reject
from datasets.formats import delimited, parquet
from datasets.formats.columns import (
    check_finite,
    check_ids,
    check_range,
    class_codes,
    infer,
    is_text,
    numbers,
    text_arrays,
)
from datasets.formats.plain import Cell
from datasets.formats.sheet import Bools, Sheet, Spot, join_masks
from datasets.formats.sink import WINDOW, Bounds, is_id
from datasets.formats.straight import CELLS, write_straight
from datasets.threads import each

_AS_TEXT = frozenset({"auto", "text", "class"})  # kinds that one column can be at a time
_STRETCH = 1 << 17  # rows written at a time; a call of 1 MiB costs the least a byte


def read_table(path: Path, form: str, expect: Expectation, out: Path) -> None:
    """Read the expected columns of ``path`` and write the canonical table.

    Of a table that is refused the ids that could be read are written, with the 0-based ``row`` of each.

    Raises:
        Rejected: with every finding.
    """
    if write_straight(path, form, expect, out, row_limit(expect)):
        return
    found = Findings()
    sheet = Sheet({})
    with found.gather():
        read = _read(path, form, expect, found)
        _check_rows(len(read), expect)
        sheet = read
    if not len(sheet):
        found.stop_if_any()
    columns = [column for column in expect.columns if column.name in sheet.columns]
    arrays, classes = _arrays(sheet, [column for column in columns if not is_id(column)], expect, found)
    ids, spots = _ids(sheet, columns, found)
    _check_values(arrays, sheet, columns, expect, found)
    names = [column.name for column in expect.columns if is_id(column)]
    if len(ids) == len(names):
        lost = check_ids(list(ids.values()), spots, found)
        if found:
            _write_ids(out, ids, lost, names)
    found.stop_if_any()
    keys = {name: array for key, values in ids.items() for name, array in _stored(values, key).items()}
    _write(out, keys | arrays, {"rows": len(sheet), "ids": names, "classes": classes})


def _read(path: Path, form: str, expect: Expectation, found: Findings) -> Sheet:
    wanted = _wanted(expect)
    if form == "csv":
        return delimited.read_columns(path, wanted, found)
    return parquet.read_columns(path, wanted, found, rows=row_limit(expect))


def _arrays(
    sheet: Sheet, columns: list[Column], expect: Expectation, found: Findings
) -> tuple[dict[str, Array], list[str] | None]:
    """The canonical arrays of all columns but the ids, and the classes."""
    arrays: dict[str, Array] = {}
    classes: list[str] | None = None
    for column in columns:
        values = sheet.columns[column.name]
        if column.type == "class":
            arrays[column.key], classes = class_codes(
                values, sheet.spot(column.name), found, classes=expect.classes, open_end=expect.classes_open
            )
        else:
            arrays.update(_stored(values, column.key))
    return arrays, classes


def _stored(values: pa.ChunkedArray, key: str) -> dict[str, Array]:
    if is_text(values):
        return text_arrays(values, key)
    return {key: numbers(values)}


def _ids(sheet: Sheet, columns: list[Column], found: Findings) -> tuple[dict[str, pa.ChunkedArray], list[Spot]]:
    """The id columns that could be read, by key, and what is bad in each."""
    ids: dict[str, pa.ChunkedArray] = {}
    spots: list[Spot] = []
    for column in filter(is_id, columns):
        values, spot = sheet.columns[column.name], sheet.spot(column.name)
        values = infer(values) if column.type == "auto" and is_text(values) else values
        if pa.types.is_floating(values.type):
            spot = check_finite(numbers(values), spot, found)
        ids[column.key] = values
        spots.append(spot)
    return ids, spots


def _wanted(expect: Expectation) -> dict[str, Cell]:
    wanted: dict[str, Cell] = {}
    for column in expect.columns:
        cell = CELLS[column.type]
        if cell != wanted.get(column.name, cell) and {cell, wanted[column.name]} <= _AS_TEXT:
            cell = wanted[column.name] = "text"
        if wanted.get(column.name, cell) != cell:
            raise reject(
                "wrong-type",
                f"The column {column.name!r} is asked for as text and as a number.",
                {"column": column.name},
            )
        wanted[column.name] = cell
    return wanted


def row_limit(expect: Expectation) -> int | None:
    return None if expect.rows is None else 2 * expect.rows + 1000


def _check_rows(count: int, expect: Expectation) -> None:
    limit = row_limit(expect)
    if count == 0:
        raise reject("empty-file", "The file has a header but no rows.", hint="Write one line per row of the template.")
    if limit is not None and count > limit:
        raise reject(
            "too-many-rows",
            f"The file has {count} rows; the challenge asks for {expect.rows}.",
            hint="Send one row for each id of the template.",
        )


def _check_values(
    arrays: Mapping[str, Array], sheet: Sheet, columns: list[Column], expect: Expectation, found: Findings
) -> None:
    columns = [column for column in columns if column.type in {"float", "probability", "weight"} and not is_id(column)]
    if not sheet.bad and _plainly_right(arrays, columns, expect):
        return
    bad: Bools | None = None
    for column in columns:
        values = arrays[column.key]
        spot = check_finite(values, sheet.spot(column.name), found)
        if column.type == "float":
            check_range(values, spot, found, low=expect.low, high=expect.high)
        elif column.type == "weight":
            check_range(values, spot, found, low=0.0, high=None)
        else:
            bad = join_masks(
                bad, check_range(values, spot, found, low=0.0, high=1.0, code="probability-out-of-range").bad
            )
    probable = [column.key for column in expect.columns if column.type == "probability"]
    if len(probable) > 1 and all(key in arrays for key in probable):
        _check_sums([arrays[key] for key in probable], bad, found)


def _plainly_right(arrays: Mapping[str, Array], columns: list[Column], expect: Expectation) -> bool:
    """Whether all numbers are finite and in range and all probabilities add up, found in one pass."""
    bounds = Bounds.of(columns, expect)
    count = len(arrays[columns[0].key]) if columns else 0
    starts = range(0, count, WINDOW)
    return all(
        each(
            lambda start: bounds.hold(arrays, start, min(start + WINDOW, count)),
            starts,
            threads=1 if len(starts) < 2 else None,
        )
    )


def _check_sums(columns: list[Array], bad: Bools | None, found: Findings) -> None:
    """Rows whose probabilities do not add up; rows with a bad probability are noted for that one."""
    with np.errstate(invalid="ignore"):
        total = np.sum(columns, axis=0)
        rows = Spot("", bad).rows(np.abs(total - 1.0) > 1e-6)
    shown = [(int(row) + 1, float(total[row])) for row in rows[:SHOWN]]
    found.add_each(
        "probabilities-do-not-sum",
        shown,
        lambda item: (f"Row {item[0]}: the class probabilities add up to {item[1]:.9g}, not 1.", {"row": item[0]}),
        total=len(rows),
        hint="Divide each row by its sum.",
    )


def _write_ids(out: Path, ids: Mapping[str, pa.ChunkedArray], lost: Bools | None, names: list[str]) -> None:
    count = len(next(iter(ids.values())))
    rows = np.arange(count, dtype=np.int64) if lost is None else np.flatnonzero(~lost)
    arrays: dict[str, Array] = {"row": rows}
    for key, values in ids.items():
        arrays.update(_stored(values if lost is None else values.take(pa.array(rows)), key))
    _write(out, arrays, {"rows": len(rows), "ids": names, "classes": None})


def _write(out: Path, arrays: Mapping[str, Array], attrs: Mapping[str, Any]) -> None:
    writer = CanonicalWriter(out, "table")
    for name, array in arrays.items():
        _save(writer, name, array)
    writer.finish(attrs)


def _save(writer: CanonicalWriter, name: str, array: Array) -> None:
    if len(array) < 2 * _STRETCH:
        writer.save(name, array)
        return
    with writer.placed(name, array.dtype, array.shape) as target:
        for _ in each(lambda start: target.put(start, array[start : start + _STRETCH]), range(0, len(array), _STRETCH)):
            pass
