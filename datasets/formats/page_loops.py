"""Compiled loops over the pages of Parquet: runs of levels and of indices into a dictionary.

Format 2.10, Encodings.md, "RLE / Bit-Packing Hybrid": a run begins with a varint; even, it counts repeats of one
value, odd, it counts groups of eight values packed bit by bit. Nothing is read beyond ``stop``.
"""

# ruff: noqa: C901 - one flat loop is what a compiler makes fast

from typing import Any

import numpy as np

from datasets.formats.number_loops import varint, word_at
from datasets.kernels import compiled

MAX_WIDTH = 32  # bits of an index
_NONE, _ONE, _THREE, _SEVEN = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(7)

_BYTES = "Array(uint8, 1, 'C', readonly=True)"


@compiled(f"boolean({_BYTES}, int64, int64, int64)")
def all_present(data: Any, at: Any, stop: Any, count: Any) -> Any:
    """Whether the levels in data[at:stop] say of ``count`` values that each is there."""
    done = 0
    while done < count:
        head, at = varint(data, at, stop, 35)
        if at < 0 or at >= stop:
            return False
        if head & 1 == 0:
            if data[at] != 1:
                return False
            done += head >> 1
            at += 1
            continue
        if head == 1:
            return False
        if head >> 1 > stop - at:
            return False
        for _ in range(min(head >> 1, (count - done + 7) // 8)):
            wanted = 255 if count - done >= 8 else (1 << (count - done)) - 1
            if data[at] & wanted != wanted:
                return False
            done += 8
            at += 1
    return True


@compiled()
def _word(data: Any, base: Any, at: Any, stop: Any) -> Any:
    """Eight bytes from data[at] on, zeros behind ``stop``."""
    if at + 8 <= stop:
        return word_at(base + np.uint64(at))
    word = _NONE
    for place in range(at, stop):
        word |= np.uint64(data[place]) << np.uint64(8 * (place - at))
    return word


@compiled(f"boolean({_BYTES}, int64, int64, int64, Array(uint64, 1, 'C', readonly=True), uint64[::1])")
def look_up(data: Any, at: Any, stop: Any, width: Any, table: Any, out: Any) -> Any:
    """out = table[indices], whose ``width`` bits each stand in data[at:stop]; False: they do not fit."""
    base, count, size, done = np.uint64(data.ctypes.data), len(out), np.uint64(len(table)), 0
    mask, whole = (_ONE << np.uint64(width)) - _ONE, (_ONE << np.uint64((width + 7) // 8 * 8)) - _ONE
    while done < count:
        head, at = varint(data, at, stop, 35)
        if at < 0 or head < 2:
            return False
        if head & 1 == 0:
            index = _word(data, base, at, stop) & whole
            at += (width + 7) // 8
            if at > stop or index >= size:
                return False
            some = min(head >> 1, count - done)
            for row in range(done, done + some):
                out[row] = table[index]
            done += some
            continue
        some, bits = min(8 * (head >> 1), count - done), 8 * at
        if (head >> 1) * width > stop - at:
            return False
        safe = min(some, max(0, (8 * (stop - 8) - bits) // width)) if width else some
        for row in range(safe):
            place = np.uint64(bits + row * width)
            index = (word_at(base + (place >> _THREE)) >> (place & _SEVEN)) & mask if width else _NONE
            if index >= size:
                return False
            out[done + row] = table[index]
        for row in range(safe, some):
            place = bits + row * width
            index = (_word(data, base, place >> 3, stop) >> np.uint64(place & 7)) & mask
            if index >= size:
                return False
            out[done + row] = table[index]
        done += some
        at += (head >> 1) * width
    return True
