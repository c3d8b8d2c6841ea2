"""Number columns of Parquet straight from their pages to the canonical columns: a page at a time, pages on threads."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from datasets.canonical import Array
from datasets.expect import Column
from datasets.formats.column_loops import add_to, all_inside, small_codes
from datasets.formats.page_loops import MAX_WIDTH, all_present, look_up
from datasets.formats.parquet_pages import DICTIONARY, Group, Page, groups_of
from datasets.formats.sink import Sink, is_fraction

CODES = 256
KINDS: Mapping[str, tuple[str, type[np.generic]]] = {
    "double": ("DOUBLE", np.float64),
    "float": ("FLOAT", np.float32),
    "int64": ("INT64", np.int64),
    "int32": ("INT32", np.int32),
    "int16": ("INT32", np.int32),
    "int8": ("INT32", np.int32),
    "uint16": ("INT32", np.int32),
    "uint8": ("INT32", np.int32),
}
_NARROW = {kind: np.iinfo(kind) for kind in ("int16", "int8", "uint16", "uint8")}
MAX_WHOLE = 10**18 - 1  # ids up to here are whole numbers, not floats
_NUMBERS = tuple(str(code) for code in range(CODES))
_SURE = 1e-6 - 1e-9  # of a sum of probabilities, in whatever order it was taken


class UnlikeError(Exception):
    """Something is not as it plainly should be: the careful reader takes over."""


@dataclass(frozen=True)
class Source:
    """The pages of a column by row group, the kind of number that stands in them, and the kind Arrow gives."""

    groups: Sequence[Group]
    stored: np.dtype[Any]
    kind: str


@dataclass
class Landing:
    """Where decoded columns go, one by one; probabilities are added up on the way, in any order."""

    sink: Sink
    total: Array
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, column: Column, first: int, values: Array) -> None:
        """Check and write numbers (n,) float64 or int64 from row ``first`` on.

        Raises:
            UnlikeError: one is not as it plainly should be.
        """
        if column.type == "class":
            self.sink.put_codes(column.key, first, *whole_codes(values))
            return
        if column.type == "auto" and len(values) and not -MAX_WHOLE <= values.min() <= values.max() <= MAX_WHOLE:
            raise UnlikeError
        if not self.sink.put_one(column.key, first, values):
            raise UnlikeError
        if len(self.total) and column.key in self.sink.bounds.sums:
            with self.lock:
                add_to(self.total[first : first + len(values)], values)

    def close(self) -> None:
        """Raises:
        UnlikeError: the probabilities of a row do not surely add up to 1.
        """
        if len(self.total):
            self.total -= 1.0
            if not all_inside(self.total, -_SURE, _SURE):
                raise UnlikeError


@dataclass
class Pages:
    """Columns whose pages are understood, by row group; the groups begin at ``starts``."""

    descriptor: int
    columns: Mapping[Column, "Source"]
    starts: Sequence[int]
    landing: Landing
    local: threading.local = field(default_factory=threading.local)

    @classmethod
    def of(
        cls, file: pq.ParquetFile, descriptor: int, columns: Sequence[Column], starts: Sequence[int], landing: Landing
    ) -> "Pages":
        """Of ``columns`` those that can be read so."""
        found: dict[Column, Source] = {}
        for column in columns:
            kind = str(file.schema_arrow.field(column.name).type)
            groups = groups_of(file, descriptor, column.name, KINDS[kind][0]) if kind in KINDS else None
            if groups is not None and is_fraction(column) == (KINDS[kind][0] in {"DOUBLE", "FLOAT"}):
                found[column] = Source(groups, np.dtype(KINDS[kind][1]).newbyteorder("<"), kind)
        return cls(descriptor, found, starts, landing)

    def read(self, group: int, column: Column) -> None:
        """Raises:
        UnlikeError: something is not as it plainly should be.
        """
        source = self.columns[column]
        found, first = source.groups[group], self.starts[group]
        table = self._dictionary(found.dictionary, source.stored)
        if first + sum(page.values for page in found.pages) != self.starts[group + 1]:
            raise UnlikeError
        for page in found.pages:
            values = self._values(page, source.stored, table).view(wide_kind(source.stored))
            if not holds(source.kind, values):
                raise UnlikeError
            self.landing.put(column, first, values)
            first += page.values

    def _dictionary(self, page: Page | None, dtype: np.dtype[Any]) -> Array:
        """What indices count in, as 64-bit words of the canonical kind."""
        if page is None:
            return np.zeros(0, dtype=np.uint64)
        data = page.read(self.descriptor)
        if data is None or len(data) < page.values * dtype.itemsize:
            raise UnlikeError
        return wide(np.frombuffer(data, dtype=dtype, count=page.values))

    def _room(self, count: int) -> Array:
        room: Array | None = getattr(self.local, "room", None)
        if room is None or len(room) < count:
            room = self.local.room = np.empty(count, dtype=np.uint64)
        return room[:count]

    def _values(self, page: Page, dtype: np.dtype[Any], table: Array) -> Array:
        """The values of a page as 64-bit words, in memory that the next page uses again."""
        data = page.read(self.descriptor)
        if data is None:
            raise UnlikeError
        start, stop = page.levels, len(data)
        if start < 0:
            start = 4 + int.from_bytes(data[:4].tobytes(), "little")
        if start > stop or (page.levels and not all_present(data, 4 if page.levels < 0 else 0, start, page.values)):
            raise UnlikeError
        room = self._room(page.values)
        if page.encoding == DICTIONARY:
            width = int(data[start]) if start < stop else MAX_WIDTH + 1
            if width > MAX_WIDTH or not look_up(data, start + 1, stop, width, table, room):
                raise UnlikeError
            return room
        if stop - start != page.values * dtype.itemsize:
            raise UnlikeError
        room.view(wide_kind(dtype))[:] = np.frombuffer(data, dtype=dtype, count=page.values, offset=start)
        return room


def holds(kind: str, values: Array) -> bool:
    """Whether whole numbers are of the kind; a smaller one is stored in four bytes."""
    ends = _NARROW.get(kind)
    return ends is None or not len(values) or bool(ends.min <= values.min() <= values.max() <= ends.max)


def wide_kind(dtype: np.dtype[Any]) -> type[np.generic]:
    """The kind of number of the canonical column."""
    return np.float64 if dtype.kind == "f" else np.int64


def wide(values: Array) -> Array:
    """Numbers as 64-bit words of the canonical kind."""
    return np.ascontiguousarray(values, dtype=wide_kind(values.dtype)).view(np.uint64)


def whole_codes(values: Array) -> tuple[Array, Sequence[str]]:
    """Whole numbers (n,) int64 as uint8 codes into their texts."""
    codes, seen = np.empty(len(values), dtype=np.uint8), np.zeros(CODES, dtype=np.uint8)
    if not small_codes(values, codes, seen):
        raise UnlikeError
    used = np.flatnonzero(seen)
    if len(used) and used[-1] == len(used) - 1:
        return codes, _NUMBERS[: len(used)]
    places = np.zeros(CODES, dtype=np.uint8)
    places[used] = np.arange(len(used))
    return places[codes], [_NUMBERS[code] for code in used]
