"""CSV, read strictly: UTF-8, commas, one header line, numbers in plain decimal or exponent form and nothing else.

A plain file is read in one compiled pass (``datasets.formats.plain``). Of any other, Arrow parses numbers in bulk;
only when it stumbles are the columns read again as text, to name every bad cell.
"""

import csv
import mmap
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from datasets.findings import Findings, reject
from datasets.formats.columns import TEXT_LIMIT, is_text, numbers, suggest
from datasets.formats.plain import Cell, read_plain
from datasets.formats.sheet import Bools, Sheet, Spot, blank, join_masks

MAX_COLUMNS = 2048
SMALL = 4 << 20
_HINT = "Save the file as UTF-8 with commas and one line per row."
MAX_HEADER = 1 << 20
FLOAT = r"^[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*$"
INTEGER = r"^[ \t]*[+-]?[0-9]{1,18}(\.0*)?[ \t]*$"
_NOT_FINITE = r"(?i)^[ \t]*[+-]?(nan|inf|infinity)[ \t]*$"
_TYPES: Mapping[str, pa.DataType] = {
    "float": pa.float64(), "int": pa.int64(), "text": pa.string(), "auto": pa.string(), "class": pa.string(),
}  # fmt: skip


def read_header(path: Path) -> list[str]:
    """The column names of the first line.

    Raises:
        Rejected: the file is empty, not UTF-8, or its first line is no header.
    """
    with path.open("rb") as source:
        start = source.read(MAX_HEADER)
    if not start.strip(b"\xef\xbb\xbf\r\n \t"):
        raise reject(
            "empty-file", "The file holds no header and no rows.", hint="Write one header line and one line per row."
        )
    line = start.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].split(b"\r", 1)[0]
    if len(line) >= MAX_HEADER - 3:
        raise reject(
            "suspicious-structure",
            "The first line is longer than 1 MiB.",
            hint="Write one header line and one line per row.",
        )
    try:
        (names,) = csv.reader([line.decode("utf-8")], strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise reject(
            "unreadable",
            "The first line is not a CSV header in UTF-8.",
            {"row": 0},
            hint="Save the file as UTF-8 with commas.",
        ) from error
    if len(names) > MAX_COLUMNS:
        raise reject("too-many-columns", f"The header has {len(names)} columns; {MAX_COLUMNS} are allowed.")
    return names


def locate(names: Sequence[str], wanted: Sequence[str], found: Findings) -> dict[str, int]:
    """The position of each wanted column; one that is missing or stands twice is noted and left out."""
    for name in dict.fromkeys(wanted):
        count = names.count(name)
        if count == 0:
            found.add(
                "missing-column",
                f"The column {name!r} is not in the header.",
                {"column": name},
                hint=suggest(name, names),
            )
        elif count > 1:
            found.add(
                "duplicate-column",
                f"The column {name!r} stands {count} times in the header.",
                {"column": name},
                hint="Keep one of them.",
            )
    return {name: names.index(name) for name in wanted if names.count(name) == 1}


def read_columns(path: Path, asked: Mapping[str, Cell], found: Findings) -> Sheet:
    """The asked columns, as float64, int64 or text. Other columns are skipped.

    ``auto`` gives int64 or text, ``class`` text or dictionaries of texts, whichever is read sooner.
    Every column, row and cell that is not as it has to be is noted; non-finite numbers are left to the caller
    when the whole file can be read in bulk.

    Raises:
        Rejected: nothing of the file can be read.
    """
    names = read_header(path)
    places = locate(names, list(asked), found)
    if not places:
        found.stop_if_any()
    wanted = {name: asked[name] for name in places}
    plain = read_plain(path, len(names), {places[name]: kind for name, kind in wanted.items()})
    if plain is not None:
        return _checked({name: plain[places[name]] for name in wanted}, {}, found)
    quotes, hexadecimal = _scan(path, ints="int" in wanted.values())
    options = _options(names, quotes=quotes, threads=path.stat().st_size > SMALL)
    types = {f"c{places[name]}": _TYPES[kind] for name, kind in wanted.items()}
    if not hexadecimal:
        try:
            table = pa_csv.read_csv(_source(path), **options, convert_options=_convert(types))
            return _checked({name: table.column(f"c{places[name]}") for name in wanted}, {}, found)
        except pa.ArrowInvalid:
            pass  # read again, slowly, to say what is wrong and where
    texts, lost = _read_texts(path, places, options, found)
    return _parsed(texts, lost, wanted, found)


def _source(path: Path) -> Path | pa.BufferReader:
    """A small file whole: no thread has to be started to read it."""
    return pa.BufferReader(path.read_bytes()) if path.stat().st_size <= SMALL else path


def _scan(path: Path, *, ints: bool) -> tuple[bool, bool]:
    with path.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.find(b'"') >= 0, ints and (view.find(b"0x") >= 0 or view.find(b"0X") >= 0)


def _options(names: Sequence[str], *, quotes: bool, threads: bool = True) -> dict[str, Any]:
    return {
        "read_options": pa_csv.ReadOptions(
            use_threads=threads, column_names=[f"c{i}" for i in range(len(names))], skip_rows=1, block_size=1 << 22
        ),
        "parse_options": pa_csv.ParseOptions(
            delimiter=",", quote_char='"', double_quote=True, escape_char=False, newlines_in_values=quotes
        ),
    }


def _convert(types: Mapping[str, pa.DataType]) -> pa_csv.ConvertOptions:
    return pa_csv.ConvertOptions(
        column_types=dict(types),
        include_columns=list(types),
        null_values=[],
        true_values=[],
        false_values=[],
        strings_can_be_null=False,
        check_utf8=True,
    )


def _read_texts(
    path: Path, places: Mapping[str, int], options: dict[str, Any], found: Findings
) -> tuple[dict[str, pa.ChunkedArray], Bools | None]:
    """The columns as texts, and the rows that were left empty because their number of fields is wrong."""
    skipped = array("q")

    def note(row: pa_csv.InvalidRow) -> str:
        where = {} if row.number is None else {"row": row.number - 1}
        found.add(
            "wrong-row",
            f"A row has {row.actual_columns} fields; the header has {row.expected_columns}.",
            where,
            hint="Quote texts that hold commas.",
        )
        if row.number is not None:
            skipped.append(row.number - 2)
        return "skip"

    options["read_options"].use_threads = False
    options["parse_options"].invalid_row_handler = note
    convert = _convert({f"c{place}": pa.string() for place in places.values()})
    try:
        table = pa_csv.read_csv(_source(path), **options, convert_options=convert)
    except pa.ArrowInvalid as error:
        found.add("unreadable", _reason(error), {"detail": str(error)[:200]}, hint=_HINT)
        found.stop_if_any()
        raise AssertionError from error
    texts = {name: table.column(f"c{place}") for name, place in places.items()}
    if not skipped:
        return texts, None
    rows = _spread(table.num_rows, np.frombuffer(skipped, dtype=np.int64))
    return {name: pc.fill_null(column.take(rows), "") for name, column in texts.items()}, numbers(
        pc.cast(rows.is_null(), pa.uint8())
    ).astype(np.bool_)


def _spread(count: int, skipped: Any) -> pa.Array:
    """For each row of the file its place among the ``count`` rows read, null for those that were skipped."""
    total = count + len(skipped)
    places = np.full(total, -1, dtype=np.int64)
    places[np.setdiff1d(np.arange(total), skipped)[:count]] = np.arange(count)
    return pa.array(places, mask=places < 0)


def _parsed(
    texts: Mapping[str, pa.ChunkedArray], lost: Bools | None, wanted: Mapping[str, Cell], found: Findings
) -> Sheet:
    """Texts as numbers where numbers are wanted."""
    columns, bad = dict(texts), {} if lost is None else dict.fromkeys(texts, lost)
    for name, kind in wanted.items():
        if kind in {"float", "int"}:
            wrong = check_numbers(texts[name], Spot(name, lost), kind, found)
            columns[name] = to_numbers(blank(texts[name], wrong, "0"), kind)
            bad |= {} if wrong is None else {name: wrong}
    return _checked(columns, bad, found)


def _reason(error: pa.ArrowInvalid) -> str:
    text = str(error)
    if "UTF8" in text or "UTF-8" in text:
        return "The file is not UTF-8 text."
    if "straddling" in text or "block" in text:
        return "A row is longer than 4 MiB."
    return "The file is not well-formed CSV."


def _checked(columns: dict[str, pa.ChunkedArray], bad: dict[str, Bools], found: Findings) -> Sheet:
    """The columns as a sheet; texts that are too long are noted."""
    for name, column in columns.items():
        if is_text(column) and len(column) and (pc.max(pc.binary_length(column)).as_py() or 0) > TEXT_LIMIT:
            found.add("text-too-long", f"A value in {name!r} is longer than {TEXT_LIMIT} bytes.", {"column": name})
            long = numbers(pc.cast(pc.binary_length(column), pa.int64())) > TEXT_LIMIT
            columns[name] = blank(column, long, "")
            bad[name] = long | bad.get(name, long)
    return Sheet(columns, bad)


def check_numbers(texts: pa.ChunkedArray, spot: Spot, kind: Cell, found: Findings) -> Bools | None:
    """Note every text in a column that is not a number of the kind, told apart: empty, not finite, not a number.

    Returns:
        The cells that hold no number (n,), those of ``spot`` included; None when there are none.
    """
    good = pc.match_substring_regex(texts, FLOAT if kind == "float" else INTEGER)
    wrong = numbers(pc.cast(pc.invert(good), pa.uint8())).astype(np.bool_)
    bad = spot.rows(wrong)
    if len(bad):
        _note_texts(texts, bad, spot.name, found)
    return join_masks(spot.bad, wrong) if len(bad) else spot.bad


def _note_texts(texts: pa.ChunkedArray, bad: npt.NDArray[np.int64], name: str, found: Findings) -> None:
    values = pc.utf8_trim(texts.take(pa.array(bad)), " \t")
    infinite = pc.match_substring_regex(values, _NOT_FINITE)
    empty = pc.equal(values, "")
    other = pc.invert(pc.or_(infinite, empty))
    hints = {
        "missing-value": "Fill the cell.",
        "not-finite": "Every row needs a finite number.",
        "not-a-number": "Write numbers like 12, -0.5 or 1.2e-3.",
    }
    for code, mask in (("missing-value", empty), ("not-finite", infinite), ("not-a-number", other)):
        picked = numbers(pc.indices_nonzero(mask))
        shown = [(int(bad[i]) + 1, str(values[int(i)])[:40]) for i in picked[:20]]
        found.add_each(
            code,
            shown,
            lambda item: (f"Row {item[0]}, column {name!r}: {_word(item[1])}.", {"row": item[0], "column": name}),
            total=len(picked),
            hint=hints[code],
        )


def _word(text: str) -> str:
    return f"{text!r} is not a finite number" if text else "the cell is empty"


def to_numbers(texts: pa.ChunkedArray, kind: Cell) -> pa.ChunkedArray:
    """Numbers of texts that ``check_numbers`` found to be right."""
    plain = pc.replace_substring_regex(pc.utf8_trim(texts, " \t"), r"^\+", "")
    if kind == "int":
        plain = pc.replace_substring_regex(plain, r"\.0*$", "")
    return pc.cast(plain, _TYPES[kind])
