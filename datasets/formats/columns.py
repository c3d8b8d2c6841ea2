"""Columns of Arrow to canonical columns: number checks, classes, ids, duplicates, text. Vectorised throughout."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datasets.canonical import Array
from datasets.findings import SHOWN, Findings
from datasets.formats.column_loops import recode
from datasets.formats.sheet import Bools, Spot, join_masks
from datasets.hashing import distinct

TEXT_LIMIT = 4096
MAX_CLASSES = 4096
_BLANKS = " \t"
PIECE = 1 << 16  # rows worked on at a time
NARROW = 127  # labels that the smallest indices of dictionaries can surely count
WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"
DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"


def suggest(name: str, names: Sequence[str]) -> str:
    """A hint that names the closest of the columns there are."""
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        return "Separate the columns by commas."
    close = difflib.get_close_matches(name.lower(), [item.lower() for item in names[:200]], n=1)
    if close:
        best = next(item for item in names if item.lower() == close[0])
        return f"Did you mean {best!r}? Names must match to the letter."
    return f"Add it. The file has: {', '.join(repr(item) for item in names[:12])}."


def numbers(column: pa.ChunkedArray | pa.Array) -> Array:
    """A number column without nulls as a numpy array.

    Arrow's own ``to_numpy`` would import pandas; its buffers are enough.
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [_buffer(chunk) for chunk in chunks if len(chunk)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, np.dtype(str(column.type).replace("double", "float64")))


def _buffer(chunk: pa.Array) -> Array:
    kind = np.dtype(str(chunk.type).replace("double", "float64"))
    whole = np.frombuffer(chunk.buffers()[1], dtype=kind)
    return whole[chunk.offset : chunk.offset + len(chunk)]


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether a column holds plain texts."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def check_finite(values: npt.NDArray[np.float64], spot: Spot, found: Findings) -> Spot:
    """Note values that are not finite; they are bad from then on."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return spot
    what = "the value is not a finite number"
    note_rows(found, "not-finite", spot.rows(bad), spot.name, what, hint="Every row needs a finite number.")
    return Spot(spot.name, join_masks(spot.bad, bad))


def check_range(
    values: Array, spot: Spot, found: Findings, *, low: float | None, high: float | None, code: str = "out-of-range"
) -> Spot:
    """Note values outside low … high, both included; they are bad from then on. NaN is left to ``check_finite``."""
    outside = np.zeros(len(values), dtype=bool)
    if low is not None:
        outside |= values < low
    if high is not None:
        outside |= values > high
    what = f"the value is outside {low if low is not None else '-∞'} … {high if high is not None else '∞'}"
    if not outside.any():
        return spot
    note_rows(found, code, spot.rows(outside), spot.name, what, hint="Clip or mend the value.")
    return Spot(spot.name, join_masks(spot.bad, outside))


def note_rows(
    found: Findings, code: str, rows: npt.NDArray[np.integer[Any]], name: str, what: str, *, hint: str = ""
) -> None:
    """Note 0-based ``rows`` of a column; they are shown 1-based."""
    if len(rows):
        shown = [int(row) + 1 for row in rows[:SHOWN]]
        found.add_each(
            code,
            shown,
            lambda row: (f"Row {row}, column {name!r}: {what}.", {"row": row, "column": name}),
            total=len(rows),
            hint=hint,
        )


def text_arrays(column: pa.ChunkedArray, name: str) -> dict[str, Array]:
    """A text column as the canonical pair of offsets and bytes."""
    offsets = np.zeros(len(column) + 1, dtype=np.int64)
    np.cumsum(numbers(pc.cast(pc.binary_length(column), pa.int64())), out=offsets[1:])
    data = np.empty(int(offsets[-1]), dtype=np.uint8)
    start = 0
    for chunk in column.chunks:
        piece = _chunk_bytes(chunk)
        data[start : start + len(piece)] = piece
        start += len(piece)
    return {f"{name}.offsets": offsets, f"{name}.bytes": data}


def _chunk_bytes(chunk: pa.Array) -> npt.NDArray[np.uint8]:
    _, offsets, data = chunk.buffers()
    wide = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
    if data is None or offsets is None or not len(chunk):
        return np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, dtype=wide)
    return np.frombuffer(data, dtype=np.uint8)[ends[chunk.offset] : ends[chunk.offset + len(chunk)]]


def infer(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids of unknown type: int64 if all are whole numbers in plain form, else float64 if all are numbers, else text."""
    if not len(texts):
        return texts
    if pc.all(pc.match_substring_regex(texts, WHOLE)).as_py():
        return pc.cast(texts, pa.int64())
    if pc.all(pc.match_substring_regex(texts, DECIMAL)).as_py():
        return pc.cast(texts, pa.float64())
    return texts


def class_codes(
    texts: pa.ChunkedArray, spot: Spot, found: Findings, *, classes: Sequence[str], open_end: bool
) -> tuple[Array, list[str]]:
    """Class texts as int64 codes into the returned list: ``classes`` first, then new ones when ``open_end``."""
    encoded = _encoded(texts)
    labels = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    if len(labels) > MAX_CLASSES:
        found.add(
            "wrong-type",
            f"The column {spot.name!r} has {len(labels)} different classes.",
            {"column": spot.name},
            hint="Is this the class column?",
        )
        return np.zeros(len(texts), np.int64), list(classes)
    known, place = places_of(labels, classes, open_end=open_end)
    lookup = np.array([place[label] for label in labels] or [-1], dtype=np.int64)
    codes = _looked_up(encoded, lookup)
    if (lookup < 0).any() and len(codes):
        empty = np.array([not label.strip(_BLANKS) for label in labels], dtype=np.int64)
        _note_unknown(codes < 0, _looked_up(encoded, empty).astype(np.bool_), spot, known, found)
    return codes, known


def places_of(labels: Sequence[str], classes: Sequence[str], *, open_end: bool) -> tuple[list[str], dict[str, int]]:
    """The classes, with new ones behind them when ``open_end``, and the place of every label; -1: it is none."""
    known = list(classes)
    whole = bool(known) and all(_is_whole(item) for item in known)
    plain = [_plain_label(label, whole) for label in labels]
    if open_end:
        known += sorted({label for label in plain if label} - set(known), key=_label_order)
    place = {label: i for i, label in enumerate(known)}
    return known, {label: place.get(own, -1) for label, own in zip(labels, plain, strict=True)}


def _encoded(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts, dictionaries or not, as chunks that share one dictionary."""
    if not pa.types.is_dictionary(texts.type):
        return texts.dictionary_encode().unify_dictionaries()
    used = [chunk for chunk in texts.chunks if len(chunk)]
    narrow = texts.type.index_type.bit_width < 32
    if narrow and len({label for chunk in used for label in chunk.dictionary.to_pylist()}) > NARROW:
        wide = [(numbers(chunk.indices).astype(np.int32), chunk.dictionary) for chunk in used]
        used = [pa.DictionaryArray.from_arrays(indices, labels) for indices, labels in wide]
    return pa.chunked_array(used, used[0].type if used else texts.type).unify_dictionaries()


def _looked_up(encoded: pa.ChunkedArray, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """codes[indices] of a chunked dictionary."""
    out = np.empty(len(encoded), dtype=np.int64)
    start = 0
    for chunk in encoded.chunks:
        indices, stop = numbers(chunk.indices), start + len(chunk)
        if indices.dtype == np.uint8:
            recode(indices, codes, out[start:stop])
        else:
            _pick(codes, indices, out[start:stop])
        start = stop
    return out


def _pick(codes: npt.NDArray[np.int64], indices: Array, out: npt.NDArray[np.int64]) -> None:
    """``out[:] = codes[indices]``, in pieces that stay in cache; numpy's own check would buffer the whole."""
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(codes):
        raise IndexError("a dictionary index lies outside the dictionary")
    for start in range(0, len(indices), PIECE):
        rows = slice(start, start + PIECE)
        np.take(codes, indices[rows], out=out[rows], mode="clip")


def _note_unknown(bad: Bools, gaps: Bools, spot: Spot, known: Sequence[str], found: Findings) -> None:
    if not bad.any():
        return
    empty, strange = spot.rows(bad & gaps), spot.rows(bad & ~gaps)
    note_rows(found, "missing-value", empty, spot.name, "the cell is empty", hint="Every row needs a class.")
    hint = f"Classes are {', '.join(known[:30])}."
    note_rows(found, "unknown-class", strange, spot.name, "the class is not one of the challenge's", hint=hint)


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii()


def _plain_label(label: str, whole: bool) -> str:
    head, dot, tail = label.strip(_BLANKS).partition(".")
    return head if whole and dot and not tail.strip("0") and _is_whole(head) else label.strip(_BLANKS)


def _label_order(label: str) -> tuple[int, int, str]:
    return (0, int(label), "") if _is_whole(label) and len(label) < 19 else (1, 0, label)


def check_ids(columns: Sequence[pa.ChunkedArray], spots: Sequence[Spot], found: Findings) -> Bools | None:
    """Note empty ids and every row whose id stood in an earlier row.

    Returns:
        The rows without an id that can be read (n,); None when there are none.
    """
    lost: Bools | None = None
    for column, spot in zip(columns, spots, strict=True):
        lost = join_masks(lost, spot.bad, _note_empty(column, spot, found))
    label = " + ".join(spot.name for spot in spots)
    what = "this id stands in an earlier row already"
    if lost is None:
        rows = repeated(columns)
    else:
        kept = np.flatnonzero(~lost)
        rows = kept[repeated([column.take(pa.array(kept)) for column in columns])]
    note_rows(found, "duplicate-id", rows, label, what, hint="Keep one row for each id.")
    return lost


def _note_empty(column: pa.ChunkedArray, spot: Spot, found: Findings) -> Bools | None:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    empty = numbers(pc.cast(pc.equal(column, ""), pa.uint8())).astype(np.bool_)
    if not empty.any():
        return None
    note_rows(found, "missing-value", spot.rows(empty), spot.name, "the id is empty", hint="Give every row its id.")
    return empty


def repeated(columns: Sequence[pa.ChunkedArray]) -> npt.NDArray[np.int64]:
    """0-based rows whose combination of values occurs in an earlier row, ascending."""
    n = len(columns[0])
    if n < 2:
        return np.zeros(0, np.int64)
    if distinct([_words(column) for column in columns]):
        return np.zeros(0, np.int64)
    keys = _keys(columns)
    order = np.argsort(keys, kind="stable")
    again = keys[order][1:] == keys[order][:-1]
    return np.sort(order[1:][again]).astype(np.int64)


def _words(column: pa.ChunkedArray) -> Any:
    """A column as hashing takes it: equal values have equal words."""
    if is_text(column):
        return tuple(text_arrays(column, "").values())
    if pa.types.is_floating(column.type):
        return (numbers(column) + 0.0).view(np.int64)  # -0.0 and 0.0 are one id
    return numbers(column)


def _keys(columns: Sequence[pa.ChunkedArray]) -> Array:
    if len(columns) == 1 and pa.types.is_integer(columns[0].type):
        return numbers(columns[0])
    keys = np.zeros(len(columns[0]), dtype=np.int64)
    size = 1
    for column in columns:
        codes, count = _codes(column)
        if size * count >= 1 << 62:
            _, keys = np.unique(keys, return_inverse=True)
            size = int(keys.max()) + 1
        keys = keys * count + codes
        size *= count
    return keys


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], int]:
    if pa.types.is_floating(column.type):
        column = pa.chunked_array([numbers(column) + 0.0])  # -0.0 and 0.0 are one id
    encoded = column.combine_chunks().dictionary_encode()
    return numbers(encoded.indices).astype(np.int64), max(len(encoded.dictionary), 1)
