"""Polygons of WKB texts as arrays, without an object for each: from bytes in memory or the pages of a Parquet column.

None stands for anything that is not plain little-endian WKB of polygons with closed, finite rings; another reader
then tells what it is.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from datasets import threads
from datasets.formats import wkb_loops as loops
from datasets.formats.parquet_pages import DICTIONARY, Group, Page, groups_of
from datasets.formats.ragged import Gathering, Ragged

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
_VERTEX, _RING, _PART = 16, 4 * 16, 9 + 4 * 16  # bytes of WKB one takes at least
_LENGTH = 4  # bytes before a text that tell its length
_REPEATED = 1 << 20  # bytes of texts that stand for several features: room beyond what the pages hold
_MANY = 32  # bytes of pages for each vertex that is allowed; with more there is something else in them


@dataclass(frozen=True, slots=True)
class _Texts:
    """``places`` (n, 2) of texts inside ``data``: start and end."""

    data: Bytes
    places: Ints


_NONE = _Texts(np.empty(0, dtype=np.uint8), np.empty((0, 2), dtype=np.int64))


def from_wkb(texts: Sequence[tuple[Any, Any, Any]], most: int) -> Ragged | None:
    """Polygons of texts given in pieces of (bytes, offsets of texts, the text of each feature).

    None also where there are more than ``most`` vertices.
    """
    pieces: list[_Texts] = []
    for data, offsets, index in texts:
        starts, ends = offsets[:-1], offsets[1:]
        inside = not len(starts) or (starts.min() >= 0 and ends.max() <= len(data) and (starts <= ends).all())
        if not inside or not len(index) or index.min() < 0 or index.max() >= len(starts):
            return None
        pieces.append(_Texts(data, np.column_stack([starts[index], ends[index]])))
    if not pieces:
        return None
    size = sum(int((piece.places[:, 1] - piece.places[:, 0]).sum()) for piece in pieces)
    room = _room(sum(len(piece.places) for piece in pieces), size, most)
    return room.polygons() if all(_put(room, turn, piece, most) for turn, piece in enumerate(pieces)) else None


def from_pages(path: Path, file: pq.ParquetFile, name: str, most: int) -> Ragged | None:
    """Polygons of a Parquet column, page by page on as many threads as allowed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        groups = groups_of(file, descriptor, name)
        if groups is None:
            return None
        size = sum(page.unpacked for group in groups for page in (*group.pages, group.dictionary) if page)
        if size > _REPEATED + _MANY * most:
            return None
        return _gathered(groups, descriptor, _room(file.metadata.num_rows, size + _REPEATED, most), most)
    except MemoryError:
        return None
    finally:
        os.close(descriptor)


def _room(features: int, size: int, most: int) -> Gathering:
    """Room for as many features in ``size`` bytes of WKB."""
    return Gathering((features, features + size // _PART, features + size // _RING, min(most, size // _VERTEX)))


def _gathered(groups: Sequence[Group], descriptor: int, room: Gathering, most: int) -> Ragged | None:
    turn = 0
    for group in groups:
        pool = _NONE if group.dictionary is None else _pool(group.dictionary, descriptor)
        if pool is None:
            return None

        def put(item: tuple[int, Page], pool: _Texts = pool) -> bool:
            good = False
            try:
                texts = _texts(item[1], descriptor, pool)
                good = texts is not None and _put(room, item[0], texts, most)
            finally:
                if not good:
                    room.give_up()
            return good

        if not all(list(threads.each(put, enumerate(group.pages, turn)))):
            return None
        turn += len(group.pages)
    return room.polygons()


def _pool(page: Page, descriptor: int) -> _Texts | None:
    """The texts of a dictionary."""
    data = page.read(descriptor) if page.values * _LENGTH <= page.unpacked else None
    if data is None:
        return None
    places = np.empty((page.values, 2), dtype=np.int64)
    return _Texts(data, places) if loops.plain_texts(_address(data), len(data), places) else None


def _texts(page: Page, descriptor: int, pool: _Texts) -> _Texts | None:
    """The texts of a page, none of them missing; where it holds indices, those of ``pool``."""
    data = page.read(descriptor)
    levels, start = page.levels, 0
    if data is None or (levels < 0 and len(data) < _LENGTH):
        return None
    if levels < 0:
        levels, start = int(data[:_LENGTH].view("<u4")[0]), _LENGTH
    behind = start + levels
    if behind > len(data) or (behind and not loops.all_present(_address(data) + start, levels, page.values)):
        return None
    places, values = np.empty((page.values, 2), dtype=np.int64), data[behind:]
    if page.encoding == DICTIONARY:
        found = loops.chosen_texts(_address(values), len(values), pool.places, places)
        return _Texts(pool.data, places) if found else None
    return _Texts(values, places) if loops.plain_texts(_address(values), len(values), places) else None


def _put(room: Gathering, turn: int, texts: _Texts, most: int) -> bool:
    """Put the polygons of some texts into their place; False: they are not plain."""
    counts, start = np.zeros(3, dtype=np.int64), _address(texts.data)
    if not loops.count_wkb(start, texts.places, most, counts):
        return False
    rings, vertices, parts = counts.tolist()
    before = room.claim(turn, np.array([len(texts.places), parts, rings, vertices], dtype=np.int64))
    if before is None:
        return False
    return bool(loops.fill_wkb(start, texts.places, before, room.coords, room.rings, room.parts, room.features))


def _address(data: Bytes) -> int:
    return int(data.ctypes.data)
