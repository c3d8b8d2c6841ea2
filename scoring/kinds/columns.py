"""Columns of a canonical table or feature set: numbers as arrays, texts as Arrow strings over the mapped bytes."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.canonical import Array, Canonical
from datasets.errors import EngineFault
from datasets.threads import each

Codes = npt.NDArray[np.int64]
_WINDOW = 1 << 18
_NARROW = 128
Column = Any  # an array of numbers, or a pyarrow LargeStringArray


def has_column(canonical: Canonical, name: str) -> bool:
    """Whether the canonical form holds a numeric or text column of that name."""
    return name in canonical.arrays or f"{name}.offsets" in canonical.arrays


def column(canonical: Canonical, name: str) -> Column:
    """A column by its canonical name; text without copying the bytes.

    Raises:
        EngineFault: intake promised the column and did not write it.
    """
    if name in canonical.arrays:
        return canonical.arrays[name]
    if f"{name}.offsets" not in canonical.arrays:
        raise EngineFault(f"the canonical {canonical.kind} has no column {name!r}")
    offsets, data = canonical.arrays[f"{name}.offsets"], canonical.arrays[f"{name}.bytes"]
    buffers = (pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(np.ascontiguousarray(data)))
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, *buffers)


def is_text(values: Column) -> bool:
    return isinstance(values, pa.Array)


def text_of(values: Column) -> pa.LargeStringArray:
    """Any column as text: whole numbers without a decimal point, others in their shortest form."""
    if isinstance(values, pa.Array):
        return values
    distinct, codes = np.unique(values, return_inverse=True)
    labels = pa.array([number_text(value) for value in distinct.tolist()], pa.large_string())
    return labels.take(pa.array(codes.reshape(-1)))


def number_text(value: float) -> str:
    """A number as the text people write: 3, not 3.0."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def numbers_of(values: Column) -> Array:
    """Any column as numbers; a text that is none becomes NaN, which equals no other number."""
    if not isinstance(values, pa.Array):
        return np.asarray(values)
    codes, labels = factorize(values)
    parsed: Array = np.array([_number(label) for label in labels], dtype=np.float64)[codes]
    return parsed


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def factorize(values: Column) -> tuple[Codes, list[str]]:
    """Codes (n,) into the list of distinct texts, which is sorted."""
    encoded = text_of(values).dictionary_encode()
    labels = encoded.dictionary.to_pylist()
    order = sorted(range(len(labels)), key=labels.__getitem__)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels))
    return rank[encoded.indices.to_numpy(zero_copy_only=False)], [labels[place] for place in order]


def class_codes(values: Column, classes: Sequence[str]) -> Codes:
    """Position of every label in ``classes``; -1 where it is none of them."""
    codes, labels = factorize(values)
    places = {label: place for place, label in enumerate(classes)}
    table = np.array([places.get(label, -1) for label in labels], dtype=np.int64)
    return table[codes] if len(labels) else codes


def label_codes(canonical: Canonical, name: str, classes: Sequence[str]) -> Array:
    """Position in ``classes`` of every label of a class column; -1 where it is none. One byte where that is enough.

    A class column is int64 codes into the canonical form's own attrs ``classes``, or plain labels without them.
    """
    values, own = column(canonical, name), canonical.attrs.get("classes")
    if own is None or is_text(values):
        return class_codes(values, classes)
    places = {label: place for place, label in enumerate(classes)}
    table = np.array([places.get(label, -1) for label in own], dtype=np.int64)
    found = np.full(len(values), -1, dtype=np.int8 if len(classes) < _NARROW else np.int64)
    if len(table):
        starts = range(0, len(values), _WINDOW)
        for _ in each(partial(_look_up, table, values, found), starts, threads=1 if len(starts) < 2 else None):
            pass
    return found


def _look_up(table: Codes, values: Array, found: Array, start: int) -> None:
    """found = table[values] of a window of rows."""
    found[start : start + _WINDOW] = table[values[start : start + _WINDOW]]


def joint_codes(left: Column, right: Column) -> tuple[Codes, Codes]:
    """Codes of two id columns over their common values, by hashing; equal values have equal codes.

    Numbers compare as numbers where ``left`` is numeric, else texts as texts. NaN gets code -1.
    """
    if is_text(left):
        both = pa.concat_arrays([text_of(left), text_of(right)]).dictionary_encode()
        codes = both.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    else:
        codes = hashed(np.concatenate([np.asarray(left), numbers_of(right)]))
    return codes[: len(left)], codes[len(left) :]


def hashed(values: Array) -> Codes:
    """Codes of numbers by first appearance; 0.0 and -0.0 are equal, NaN gets -1."""
    plain = values + 0.0 if values.dtype.kind == "f" else values
    codes: Codes = pa.array(plain).dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    if values.dtype.kind == "f":
        codes[np.isnan(plain)] = -1
    return codes


def id_codes(left: list[Column], right: list[Column]) -> tuple[Codes, Codes]:
    """Codes of compound ids: one code per distinct tuple over all id columns of both sides; -1 for ids with NaN."""
    left_codes, right_codes = joint_codes(left[0], right[0])
    for one, other in zip(left[1:], right[1:], strict=True):
        more_left, more_right = joint_codes(one, other)
        high = np.concatenate([left_codes, right_codes])
        low = np.concatenate([more_left, more_right])
        width = int(low.max(initial=0)) + 1
        pairs = np.where((high < 0) | (low < 0), -1, high * width + low)
        codes = np.where(pairs < 0, -1, hashed(pairs))
        left_codes, right_codes = codes[: len(left_codes)], codes[len(left_codes) :]
    return left_codes, right_codes


def rows_text(columns: list[Column], rows: Codes) -> list[str]:
    """The ids of some rows as people read them: their parts joined by commas."""
    parts = [
        text_of(values.take(pa.array(rows)) if is_text(values) else values[rows]).to_pylist() for values in columns
    ]
    return [", ".join(row) for row in zip(*parts, strict=True)]


def row_text(columns: list[Column], row: int) -> str:
    """The id of one row as people read it."""
    return rows_text(columns, np.array([row]))[0]
