"""Snappy texts unpacked (github.com/google/snappy, format_description.txt), a tag at a time without a branch.

Most texts of numbers are literals and copies of a few bytes, and which comes next cannot be foretold: what a stock
decoder waits for is the branch. Bytes are given by the address of the first; nothing outside is read or written.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datasets.formats.number_loops import byte_at, word_at
from datasets.kernels import compiled

Words = npt.NDArray[np.uint64]
_SHORT = 16  # bytes that are copied whatever the length
_IN, _OUT = 20, 16  # bytes that have to be left of either side for that
_LONG = 255  # stands for a length that is copied another way
_BYTE, _TWO_BYTES = np.uint64(0xFF), np.uint64(0xFFFF)
_ONE, _EIGHT, _TWENTY_FOUR = np.uint64(1), np.uint64(8), np.uint64(24)


@intrinsic
def _put_word(_context: Any, _address: Any, _word: Any) -> Any:
    """Write eight bytes to an address."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(types.uint64, types.uint64), make


@intrinsic
def _put_byte(_context: Any, _address: Any, _byte: Any) -> Any:
    """Write a byte to an address."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte = builder.trunc(arguments[1], ir.IntType(8))
        builder.store(byte, builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()), align=1)
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(types.uint64, types.int64), make


put_word: Any = _put_word
put_byte: Any = _put_byte


def _tags() -> Words:
    """What each tag says: length (bits 0 to 7), which of the next two bytes are of the offset (8 to 23), and its high
    bits (24 to 39)."""
    table = np.empty(256, dtype=np.uint64)
    for tag in range(256):
        kind, length, mask, high = tag & 3, (tag >> 2) + 1, 0, 0
        if kind == 1:
            length, mask, high = ((tag >> 2) & 7) + 4, 0xFF, (tag >> 5) << 8
        elif kind == 2:
            mask = 0xFFFF
        plain = kind != 3 and length <= _SHORT
        table[tag] = (length if plain else _LONG) | mask << 8 | high << 24
    return table


TAGS = _tags()


@compiled()
def _copy(source: Any, target: Any, length: int, apart: int) -> None:
    """Copy bytes from left to right, ``apart`` bytes further on; those just written are copied again."""
    done = 0
    while apart >= 8 and length - done >= 8:
        put_word(target + np.uint64(done), word_at(source + np.uint64(done)))
        done += 8
    while done < length:
        put_byte(target + np.uint64(done), byte_at(source + np.uint64(done)))
        done += 1


@compiled()
def _number(data: Any, at: int, count: int) -> int:
    """``count`` bytes as a little-endian number."""
    value = 0
    for i in range(count):
        value |= byte_at(data + np.uint64(at + i)) << (8 * i)
    return value


@compiled()
def _short(data: Any, at: int, size: int, target: Any, out: int, room: int, tags: Words) -> tuple[int, int]:
    """Unpack tags up to one that is long, close to either end or copies what is very near; the places after them."""
    while at < size - _IN and out < room - _OUT:
        place = data + np.uint64(at)
        tag = byte_at(place)
        about, kind = tags[tag], tag & 3
        length, literal = int(about & _BYTE), kind == 0
        offset = int((word_at(place) >> _EIGHT & about >> _EIGHT & _TWO_BYTES) | about >> _TWENTY_FOUR)
        if length > _SHORT or (not literal and (offset < 8 or offset > out)):
            break
        to = target + np.uint64(out)
        source = place + _ONE if literal else to - np.uint64(offset)
        put_word(to, word_at(source))
        put_word(to + _EIGHT, word_at(source + _EIGHT))
        out += length
        at += (tag >> 2) + 2 if literal else kind + 1
    return at, out


@compiled("bool_(uint64, int64, int64, uint64, int64, Array(uint64, 1, 'C', True))")
def unsnap(data: Any, at: int, size: int, target: Any, room: int, tags: Words) -> bool:
    """Unpack the bytes ``at`` … ``size`` − 1 of ``data``, behind the length, into the ``room`` bytes of ``target``.

    False: they are damaged, or not just as long.
    """
    out = 0
    while at < size:
        at, out = _short(data, at, size, target, out, room, tags)
        tag, at = byte_at(data + np.uint64(at)), at + 1
        kind, length = tag & 3, (tag >> 2) + 1
        more = max(length - 60, 0) if kind == 0 else 4 if kind == 3 else kind
        if size - at < more:
            return False
        number, at = _number(data, at, more), at + more
        if kind == 0:
            if more:
                length = number + 1
            if length > size - at or length > room - out:
                return False
            _copy(data + np.uint64(at), target + np.uint64(out), length, 8)
            at += length
        else:
            if kind == 1:
                length, number = ((tag >> 2) & 7) + 4, number | (tag >> 5) << 8
            if number < 1 or number > out or length > room - out:
                return False
            _copy(target + np.uint64(out - number), target + np.uint64(out), length, number)
        out += length
    return out == room
