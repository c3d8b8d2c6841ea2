"""Canonical columns of a table while they are written piece by piece, and the checks each piece passes on the way.

Pieces come from several threads in any order. What a check says no to is looked at again by the reader that names
faults, so nothing is said here.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datasets.canonical import Array, CanonicalWriter, Placed
from datasets.expect import Column, Expectation
from datasets.formats.column_loops import add_to, all_inside, recode
from datasets.formats.columns import MAX_CLASSES, TEXT_LIMIT, places_of
from datasets.hashing import Words, distinct
from datasets.threads import each

WINDOW = 1 << 16
BOUNDS: Mapping[str, tuple[float | None, float | None]] = {"weight": (0.0, None), "probability": (0.0, 1.0)}
_LARGEST = float(np.finfo(np.float64).max)
_FRACTIONS = frozenset({"float", "probability", "weight"})


def is_id(column: Column) -> bool:
    return column.key.startswith("id.")


def is_fraction(column: Column) -> bool:
    """Whether a column holds float64."""
    return column.type in _FRACTIONS


@dataclass(frozen=True)
class Bounds:
    """What numbers have to keep: ``ends`` by column, and the columns that add up to 1."""

    ends: Mapping[str, tuple[float, float]]
    sums: Sequence[str]

    @classmethod
    def of(cls, columns: Sequence[Column], expect: Expectation) -> "Bounds":
        """Those of ``columns``, which are all that could be read."""
        ends = {}
        for column in filter(is_fraction, columns):
            own = (None, None) if is_id(column) else (expect.low, expect.high)
            low, high = BOUNDS.get(column.type, own)
            ends[column.key] = (-_LARGEST if low is None else low, _LARGEST if high is None else high)
        return cls(ends, [column.key for column in expect.columns if column.type == "probability"])

    @property
    def summed(self) -> bool:
        """Whether anything has to add up."""
        return len(self.sums) > 1

    def inside(self, key: str, values: Array) -> bool:
        """Whether all of a column are finite and in range."""
        return key not in self.ends or bool(all_inside(values, *self.ends[key]))

    def hold(self, values: Mapping[str, Array], start: int, stop: int) -> bool:
        """Whether rows start … stop − 1 are finite and in range, and the probabilities among them add up."""
        if not all(self.inside(key, array[start:stop]) for key, array in values.items() if key in self.ends):
            return False
        if not self.summed or not values.keys() & set(self.sums):
            return True
        if not values.keys() >= set(self.sums):
            return False
        total = values[self.sums[0]][start:stop].copy()
        for key in self.sums[1:]:
            add_to(total, values[key][start:stop])
        total -= 1.0
        return bool(all_inside(total, -1e-6, 1e-6))


@dataclass
class _Coded:
    """A class column: pieces of codes with the labels they count, by their first row."""

    column: Column
    target: Placed
    pieces: dict[int, tuple[Array, Sequence[str]]] = field(default_factory=dict)


class Sink:
    """The columns of ``expect``, written into ``writer`` until ``stack`` closes."""

    def __init__(self, expect: Expectation, writer: CanonicalWriter, stack: ExitStack) -> None:
        self.classes: list[str] | None = None
        self._expect, self._writer = expect, writer
        self.bounds = Bounds.of(expect.columns, expect)
        self._arrays: dict[str, Placed] = {}
        self._coded: dict[str, _Coded] = {}
        for column in expect.columns:
            self._open(column, stack)

    def _open(self, column: Column, stack: ExitStack) -> None:
        kinds: dict[str, Any] = {column.key: np.float64 if is_fraction(column) else np.int64}
        if column.type == "text":
            kinds = {f"{column.key}.offsets": np.int64, f"{column.key}.bytes": np.uint8}
        for name, kind in kinds.items():
            self._arrays[name] = stack.enter_context(self._writer.growing(name, kind))
        if column.type == "text":
            self._arrays[f"{column.key}.offsets"].put(0, np.zeros(1, dtype=np.int64))
        if column.type == "class":
            self._coded[column.key] = _Coded(column, self._arrays[column.key])

    def put(self, first: int, values: Mapping[str, Array]) -> bool:
        """Write number columns from row ``first`` on; False: a number is not as it has to be."""
        count = len(next(iter(values.values()), ()))
        for start in range(0, count, WINDOW):
            if not self.bounds.hold(values, start, min(start + WINDOW, count)):
                return False
        for key, array in values.items():
            self._arrays[key].put(first, array)
        return True

    def put_one(self, key: str, first: int, values: Array) -> bool:
        """Write a number column from row ``first`` on; False: a number is not in range. Sums are for the caller."""
        if not self.bounds.inside(key, values):
            return False
        self._arrays[key].put(first, values)
        return True

    def put_codes(self, key: str, first: int, codes: Array, labels: Sequence[str]) -> bool:
        """Keep class codes (n,) uint8 into ``labels`` from row ``first`` on."""
        self._coded[key].pieces[first] = codes, labels
        return True

    def put_text(self, column: Column, first: int, start: int, text: tuple[Array, Array]) -> bool:
        """Write texts, their offsets and bytes, from row ``first`` and byte ``start`` on; False: one is not right."""
        ends, data = text
        sizes = np.diff(ends)
        if len(sizes) and (sizes.max() > TEXT_LIMIT or (is_id(column) and not sizes.min())):
            return False
        self._arrays[f"{column.key}.offsets"].put(first + 1, ends[1:] + start)
        self._arrays[f"{column.key}.bytes"].put(start, data)
        return True

    def close(self) -> bool:
        """Write the class columns; False: a class is not one of the challenge's."""
        return all(self._close(coded) for coded in self._coded.values())

    def _close(self, coded: _Coded) -> bool:
        labels = list(dict.fromkeys(label for _, given in coded.pieces.values() for label in given))
        if len(labels) > MAX_CLASSES:
            return False
        self.classes, place = places_of(labels, self._expect.classes, open_end=self._expect.classes_open)
        if min(place.values(), default=0) < 0:
            return False

        def write(first: int) -> None:
            codes, given = coded.pieces[first]
            out = np.empty(len(codes), dtype=np.int64)
            recode(codes, np.array([place[label] for label in given], dtype=np.int64), out)
            coded.target.put(first, out)

        for _ in each(write, coded.pieces, threads=1 if len(coded.pieces) < 2 else None):
            pass
        return True

    def all_differ(self) -> bool:
        """Whether no id stands twice; asked when all is written."""
        words: list[Words] = []
        for column in filter(is_id, self._expect.columns):
            if column.type == "text":
                offsets, data = (self._writer.written(f"{column.key}.{part}") for part in ("offsets", "bytes"))
                words.append((offsets, data))
            else:
                values = self._writer.written(column.key)
                words.append((values + 0.0).view(np.int64) if is_fraction(column) else values)
        return distinct(words)
