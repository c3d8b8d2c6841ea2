"""Compiled loops over texts in WKB: where they lie in a Parquet page, how much they hold, and their coordinates.

Bytes are given by the address of the first and their number; nothing outside is read. Places of texts are (n, 2):
start and end within them.
"""

# ruff: noqa: PLR0912, C901  one flat loop is what a compiler makes fast

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datasets.formats.number_loops import as_float, byte_at, word_at
from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_POLYGON, _MULTIPOLYGON = 3, 6  # OGC 06-103r4, table 7: codes of the two-dimensional types
_HEAD = 9  # bytes: byte order, type, count
_ENDLESS = np.uint64(0x7FF << 52)  # the bits of an infinity, which every NaN has too
_WIDEST = 32  # bits of an index
_I1, _I2 = "Array(int64, 1, 'C', True)", "Array(int64, 2, 'C', True)"


@intrinsic
def _half_at(_context: Any, _address: Any) -> Any:
    """The four bytes at an address as one little-endian number."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        half = builder.load(builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()), align=1)
        return builder.zext(half, ir.IntType(64))

    return types.int64(types.uint64), make


half_at: Any = _half_at


@compiled()
def _varint(data: Any, at: int, size: int) -> Any:
    """(value, place after it) of at most five bytes; place -1: it is none."""
    value = 0
    for step in range(5):
        if at >= size:
            return 0, -1
        byte = byte_at(data + np.uint64(at))
        at += 1
        value |= (byte & 127) << (7 * step)
        if byte < 128:
            return value, at
    return 0, -1


@compiled("bool_(uint64, int64, int64)")
def all_present(data: Any, size: int, count: int) -> bool:
    """Whether ``count`` definition levels of one bit, in runs (Parquet's Encodings.md, "RLE"), are all 1."""
    at = 0
    while count > 0:
        head, at = _varint(data, at, size)
        if at < 0 or head < 2:
            return False
        if head & 1 == 0:
            if at >= size or byte_at(data + np.uint64(at)) != 1:
                return False
            at += 1
            count -= head >> 1
            continue
        for _ in range(head >> 1):
            if at >= size:
                return False
            wanted = (1 << min(max(count, 0), 8)) - 1
            if byte_at(data + np.uint64(at)) & wanted != wanted:
                return False
            at += 1
            count -= 8
    return True


@compiled("bool_(uint64, int64, int64[:, ::1])")
def plain_texts(data: Any, size: int, places: Ints) -> bool:
    """The places of texts that follow each other, each behind its length; False: they do not fill the bytes."""
    at = 0
    for i in range(len(places)):
        if size - at < 4:
            return False
        length = half_at(data + np.uint64(at))
        at += 4
        if length > size - at:
            return False
        places[i, 0], places[i, 1] = at, at + length
        at += length
    return at == size


@compiled(f"bool_(uint64, int64, {_I2}, int64[:, ::1])")
def chosen_texts(data: Any, size: int, pool: Ints, places: Ints) -> bool:
    """The places of texts given by their indices in ``pool``: a byte with the bits of an index, then runs of them."""
    if size < 1:
        return False
    width, at, done, count = byte_at(data), 1, 0, len(places)
    if width > _WIDEST:
        return False
    wide, mask = (width + 7) >> 3, (1 << width) - 1
    while done < count:
        head, at = _varint(data, at, size)
        if at < 0 or head < 2:
            return False
        if head & 1 == 0:
            if size - at < wide:
                return False
            index = 0
            for byte in range(wide):
                index |= byte_at(data + np.uint64(at + byte)) << (8 * byte)
            at += wide
            if index >= len(pool):
                return False
            for i in range(done, min(done + (head >> 1), count)):
                places[i, 0], places[i, 1] = pool[index, 0], pool[index, 1]
            done = min(done + (head >> 1), count)
            continue
        values = min(8 * (head >> 1), count - done)
        if size - at < (values * width + 7) >> 3:
            return False
        have = held = 0
        for i in range(done, done + values):
            while have < width:
                held |= byte_at(data + np.uint64(at)) << have
                at += 1
                have += 8
            index = held & mask
            held, have = held >> width, have - width
            if index >= len(pool):
                return False
            places[i, 0], places[i, 1] = pool[index, 0], pool[index, 1]
        at += ((head >> 1) * width) - ((values * width + 7) >> 3)
        done += values
    return True


@compiled()
def _part_end(data: Any, at: int, end: int, counts: Ints) -> int:
    """Where the polygon that begins at ``at`` ends; adds its rings and vertices to ``counts``. -1: it is not plain."""
    place = data + np.uint64(at)
    if end - at < _HEAD or byte_at(place) != 1 or half_at(place + np.uint64(1)) != _POLYGON:
        return -1
    rings, at = half_at(place + np.uint64(5)), at + _HEAD
    if rings < 1:
        return -1
    for _ in range(rings):
        if end - at < 4:
            return -1
        size, at = half_at(data + np.uint64(at)), at + 4
        if size < 4 or (end - at) // 16 < size:
            return -1
        at += 16 * size
        counts[1] += size
    counts[0] += rings
    return at


@compiled(f"bool_(uint64, {_I2}, int64, int64[::1])")
def count_wkb(data: Any, places: Ints, most: int, counts: Ints) -> bool:
    """Add up rings, vertices and parts of the texts at ``places``, which lie inside the bytes.

    False: one is no plain polygon or multipolygon in little-endian WKB, with rings of four vertices or more; or there
    are more than ``most`` vertices.
    """
    for i in range(len(places)):
        at, end = places[i, 0], places[i, 1]
        place = data + np.uint64(at)
        if end - at < _HEAD or byte_at(place) != 1:
            return False
        kind, members = half_at(place + np.uint64(1)), 1
        if kind == _MULTIPOLYGON:
            members, at = half_at(place + np.uint64(5)), at + _HEAD
            if members < 1:
                return False
        for _ in range(members):
            at = _part_end(data, at, end, counts)
            if at < 0:
                return False
        if at != end:
            return False
        counts[2] += members
        if counts[1] > most:
            return False
    return True


@compiled(f"bool_(uint64, {_I2}, {_I1}, float64[:, ::1], int64[::1], int64[::1], int64[::1])")
def fill_wkb(data: Any, places: Ints, before: Ints, coords: Floats, rings: Ints, parts: Ints, features: Ints) -> bool:
    """Write what ``count_wkb`` counted, behind ``before``: features, parts, rings and vertices of earlier texts.

    False: a coordinate is not finite, or a ring is not closed.
    """
    part, ring, vertex = before[1], before[2], before[3]
    endless, eight, sixteen = False, np.uint64(8), np.uint64(16)
    for i in range(len(places)):
        place, members = data + np.uint64(places[i, 0]), 1
        if half_at(place + np.uint64(1)) == _MULTIPOLYGON:
            members, place = half_at(place + np.uint64(5)), place + np.uint64(_HEAD)
        for _ in range(members):
            count, place = half_at(place + np.uint64(5)), place + np.uint64(_HEAD)
            for _ in range(count):
                size, place = half_at(place), place + np.uint64(4)
                for k in range(vertex, vertex + size):
                    x, y = word_at(place), word_at(place + eight)
                    endless |= (x & _ENDLESS == _ENDLESS) | (y & _ENDLESS == _ENDLESS)
                    coords[k, 0], coords[k, 1] = as_float(x), as_float(y)
                    place += sixteen
                last = vertex + size - 1
                if coords[vertex, 0] != coords[last, 0] or coords[vertex, 1] != coords[last, 1]:
                    return False
                vertex += size
                ring += 1
                rings[ring] = vertex
            part += 1
            parts[part] = ring
        features[before[0] + i + 1] = part
    return not endless
