"""The pages of one Parquet column of bytes, where they lie in the file.

For a reader that takes values straight out of a page: nothing is gathered in between, and threads share a row group.
Only what programs usually write is understood (format 2.10: Encodings.md, parquet.thrift; Thrift compact protocol):
anything else gives None, and pyarrow, which names every fault, takes over.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.formats.snappy_loops import TAGS, unsnap

Bytes = npt.NDArray[np.uint8]
PLAIN, DICTIONARY = 0, 1
MAX_PAGES = 10_000
MAX_PAGE = 64 << 20  # bytes of an unpacked page
_HEAD = 1 << 14  # bytes a page header may have, with its statistics
_DEPTH = 4
_VARINT = 5  # bytes of a length in Snappy
_DATA, _INDICES, _DATA2 = 0, 2, 3  # PageType; _INDICES is the dictionary page
_ABOUT = {_DATA: 5, _INDICES: 7, _DATA2: 8}  # the field of PageHeader that says more
_ENCODINGS = {0: PLAIN, 2: DICTIONARY, 8: DICTIONARY}  # 2 is the older name of 8
_CODECS = {"UNCOMPRESSED": None, "SNAPPY": "snappy", "ZSTD": "zstd"}  # those that tell when a page is too short
_RUNS = 3  # the encoding of levels that is understood; the older packed bits have no length before them
_WHOLE = frozenset((3, 4, 5, 6))  # Thrift: one byte, then zigzag varints


class _OddError(ValueError):
    """What is not understood here."""


@dataclass(frozen=True, slots=True)
class Page:
    """``values`` of an ``encoding``, in ``packed`` bytes of the file from ``start`` on.

    ``levels``: bytes before the values that say which are present, never compressed; -1: they are compressed with the
    rest, behind their length.
    """

    start: int
    packed: int
    unpacked: int
    values: int
    encoding: int
    levels: int
    codec: str | None

    def read(self, file: int) -> Bytes | None:
        """Its bytes unpacked; None: they are not as the header says."""
        raw, plain = os.pread(file, self.packed, self.start), max(self.levels, 0)
        if len(raw) != self.packed or not raw or not self.unpacked:
            return None
        if self.codec is None:
            return np.frombuffer(raw, dtype=np.uint8) if self.packed == self.unpacked else None
        rest = _unpacked(raw[plain:] if plain else raw, self.unpacked - plain, self.codec)
        if rest is None or not plain:
            return rest
        return np.concatenate([np.frombuffer(raw[:plain], dtype=np.uint8), rest])


@dataclass(frozen=True, slots=True)
class Group:
    """The pages of a row group: what their indices count in, if they do, and the pages of values."""

    dictionary: Page | None
    pages: tuple[Page, ...]


def _unpacked(raw: bytes, size: int, codec: str | None) -> Bytes | None:
    try:
        if codec == "snappy":
            return _unsnapped(np.frombuffer(raw, dtype=np.uint8), *_varint(raw[:_VARINT], 0), size)
        found = pa.Codec(codec).decompress(raw, size)
    except (pa.ArrowException, OSError, ValueError, IndexError):
        return None
    return np.frombuffer(found, dtype=np.uint8) if found.size == size else None


def _unsnapped(raw: Bytes, length: int, start: int, size: int) -> Bytes | None:
    """Snappy's bytes behind their ``length``, which has to be ``size``."""
    if length != size:
        return None
    found = np.empty(size, dtype=np.uint8)
    return found if unsnap(raw.ctypes.data, start, len(raw), found.ctypes.data, size, TAGS) else None


def groups_of(file: pq.ParquetFile, descriptor: int, name: str, kind: str = "BYTE_ARRAY") -> list[Group] | None:
    """The pages of a column of that physical kind without lists around it, by row group; None: not understood."""
    meta = file.metadata
    columns = [i for i in range(meta.num_columns) if meta.schema.column(i).path == name]
    if len(columns) != 1:
        return None
    about = meta.schema.column(columns[0])
    if about.physical_type != kind or about.max_repetition_level or about.max_definition_level > 1:
        return None
    found: list[Group] = []
    pages = 0
    try:
        for number in range(meta.num_row_groups):
            group = meta.row_group(number)
            found.append(_group(group.column(columns[0]), group.num_rows, descriptor, about.max_definition_level == 1))
            pages += len(found[-1].pages)
            if pages > MAX_PAGES:
                return None
    except (_OddError, IndexError, KeyError, TypeError, OverflowError):
        return None
    return found


def _group(chunk: pq.ColumnChunkMetaData, rows: int, descriptor: int, optional: bool) -> Group:
    if chunk.compression not in _CODECS or chunk.file_path:
        raise _OddError
    start, values = chunk.data_page_offset, 0
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    budget = chunk.total_uncompressed_size
    dictionary: Page | None = None
    pages: list[Page] = []
    span = start, start + chunk.total_compressed_size
    for kind, page in _pages(descriptor, span, _CODECS[chunk.compression], optional=optional):
        budget -= page.unpacked
        if budget < 0 or page.unpacked > MAX_PAGE or len(pages) > MAX_PAGES:
            raise _OddError
        if kind == _INDICES:
            if dictionary is not None or pages:
                raise _OddError
            dictionary = page  # always plain, whatever the name of its encoding
            continue
        if page.encoding == DICTIONARY and dictionary is None:
            raise _OddError
        pages.append(page)
        values += page.values
    if values != rows:
        raise _OddError
    return Group(dictionary, tuple(pages))


def _pages(descriptor: int, span: tuple[int, int], codec: str | None, *, optional: bool) -> Iterator[tuple[int, Page]]:
    """(type, page) one after the other between two places."""
    at, end = span
    while at < end:
        head, size = _struct(os.pread(descriptor, min(_HEAD, end - at), at), 0, 0)
        at += size
        kind, unpacked, packed = head[1], head[2], head[3]
        if min(unpacked, packed) < 0 or packed > end - at or kind not in _ABOUT:
            raise _OddError
        about, own, levels = head[_ABOUT[kind]], codec, -1 if optional and kind == _DATA else 0
        if kind == _DATA2:
            levels, own = about[5], codec if about.get(7, True) else None
            if (
                about[6]
                or about[2]
                or about[3] != about[1]
                or not 0 <= levels <= min(packed, unpacked)
                or optional != (levels > 0)
            ):
                raise _OddError
        if about[1] < 0 or (levels < 0 and about[3] != _RUNS):
            raise _OddError
        encoding = _ENCODINGS[about[4 if kind == _DATA2 else 2]]
        if kind == _INDICES and about[2] == 8:  # a name that only pages of indices have
            raise _OddError
        yield kind, Page(at, packed, unpacked, about[1], encoding, levels, own)
        at += packed


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise _OddError


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by number, and the place after it; texts are read over."""
    if depth > _DEPTH:
        raise _OddError
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step:
            number += step
        else:
            raw, at = _varint(data, at)
            number = raw >> 1 ^ -(raw & 1)
        if number in fields:
            raise _OddError
        fields[number], at = _value(data, at, kind, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in {1, 2}:
        return kind == 1, at
    if kind in _WHOLE:
        raw, at = (data[at] << 1, at + 1) if kind == 3 else _varint(data, at)
        return raw >> 1 ^ -(raw & 1), at
    if kind == 8:
        size, at = _varint(data, at)
        if size > len(data) - at:
            raise _OddError
        return None, at + size
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise _OddError
