"""Compiled loops over the text of strict JSON: white space, numbers, strings, keys, and values that are read over.

A loop works on addresses and stops at a zero byte: whoever calls puts PAD of them behind the text, as for
``number_loops``. What is not plain gives address 0 and is left to the reader that names faults: numbers with more
than 19 digits, escapes in keys, deep nesting, very many keys, a key twice, whatever is no JSON. Bytes beyond ASCII
pass in strings; whether they are UTF-8 is for the caller to see. Arrays are handed on by address, too: counting
references to them takes a quarter of the time.
"""

# ruff: noqa: PLR0912, C901  one flat loop is what a compiler makes fast

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datasets.formats.number_loops import EXACT, TENS, byte_at, digits_at, exponent_at, leading_zeros, rounded, word_at
from datasets.kernels import compiled

DEPTH = 24  # of nested values that are read over
KEYS = 512  # open keys of all of them together
ONE, THREE = np.uint64(1), np.uint64(3)
NONE = np.uint64(0)
_FOUR, _FIVE = np.uint64(4), np.uint64(5)
_LITERAL = np.uint64(0xFFFFFFFF)
_TRUE, _NULL, _ALSE = (np.uint64(int.from_bytes(text, "little")) for text in (b"true", b"null", b"alse"))
_START, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a; equal hashes only ever decline


@intrinsic
def _put_word(_context: Any, _address: Any, _word: Any) -> Any:
    """Write eight bytes at an address."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), make


@intrinsic
def _put_float(_context: Any, _address: Any, _value: Any) -> Any:
    """Write a float64 at an address."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.DoubleType().as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, types.float64), make


put_word: Any = _put_word
put_float: Any = _put_float


@compiled()
def whole_at(place: Any, index: Any) -> Any:
    """Number ``index`` of the int64 at an address."""
    return np.int64(word_at(place + (np.uint64(index) << THREE)))


@compiled()
def put_whole(place: Any, index: Any, value: Any) -> None:
    """Write it."""
    put_word(place + (np.uint64(index) << THREE), np.uint64(value))


@compiled()
def blank(place: Any) -> Any:
    """The first byte at or after ``place`` that is no white space."""
    byte = byte_at(place)
    while byte == 32 or byte == 10 or byte == 13 or byte == 9:  # noqa: PLR1714  a set is slow here
        place += ONE
        byte = byte_at(place)
    return place


@compiled()
def number(place: Any, fives: Any) -> Any:
    """(place after, value) of the JSON number at ``place``, as Python's float has it; place 0: it is not plain.

    ``fives``: the address of FIVES.
    """
    negative, whole = byte_at(place) == 45, True
    if negative:
        place += ONE
    start = place
    place, digits = digits_at(place, NONE)
    count, power = np.int64(place - start), np.int64(0)
    if count == 0 or (count > 1 and byte_at(start) == 48):
        return NONE, 0.0
    if byte_at(place) == 46:
        point, whole = place + ONE, False
        place, digits = digits_at(point, digits)
        if place == point:
            return NONE, 0.0
        power = -np.int64(place - point)
        count -= power
    if count > 19 and count - leading_zeros(start) > 19:
        return NONE, 0.0
    if byte_at(place) | 32 == 101:
        whole = False
        place, more = exponent_at(place + ONE)
        power += more
        if place == NONE:
            return NONE, 0.0
    if digits <= EXACT and -22 <= power <= 22:
        value = np.float64(np.int64(digits))
        value = value / TENS[-power] if power < 0 else value * TENS[power]
    elif whole:  # which other whole numbers share its float decides whether a ring is closed
        return NONE, 0.0
    else:
        value = rounded(digits, power, fives)
        if value < 0.0:
            return NONE, 0.0
    return place, -value if negative and not (whole and digits == NONE) else value


@compiled()
def _number_end(place: Any) -> Any:
    """The place after a JSON number of which the value does not matter; 0: it is none, or it is very long."""
    if byte_at(place) == 45:
        place += ONE
    start = place
    while 48 <= byte_at(place) <= 57:
        place += ONE
    if place == start or (place - start > ONE and byte_at(start) == 48) or place - start > np.uint64(400):
        return NONE
    if byte_at(place) == 46:
        place += ONE
        start = place
        while 48 <= byte_at(place) <= 57:
            place += ONE
        if place == start:
            return NONE
    if byte_at(place) | 32 == 101:
        place += ONE
        if byte_at(place) == 43 or byte_at(place) == 45:
            place += ONE
        start = place
        while 48 <= byte_at(place) <= 57:
            place += ONE
        if place == start:
            return NONE
    return place


@compiled()
def plain_string(place: Any) -> Any:
    """(place after, hash) of the string at ``place``; place 0: it is none, or holds an escape."""
    if byte_at(place) != 34:
        return NONE, NONE
    place += ONE
    byte, key = byte_at(place), _START
    while byte != 34:
        if byte < 32 or byte == 92:
            return NONE, NONE
        key = (key ^ np.uint64(byte)) * _PRIME
        place += ONE
        byte = byte_at(place)
    return place + ONE, key


@compiled()
def string_end(place: Any) -> Any:
    """The place after the string at ``place``, escapes read over; 0: it is not closed, or an escape is wrong."""
    place += ONE
    while True:
        byte = byte_at(place)
        if byte == 34:
            return place + ONE
        if byte < 32:
            return NONE
        if byte == 92:
            place += ONE
            byte = byte_at(place)
            if byte == 117:
                for _ in range(4):
                    place += ONE
                    byte = byte_at(place)
                    if not (48 <= byte <= 57 or 97 <= byte | 32 <= 102):
                        return NONE
            elif not (
                byte == 34 or byte == 92 or byte == 47 or byte == 98  # noqa: PLR1714
                or byte == 102 or byte == 110 or byte == 114 or byte == 116
            ):  # fmt: skip
                return NONE
        place += ONE


@compiled()
def key_end(place: Any, keys: Any, first: Any, count: Any) -> Any:
    """The place of the value after the key at ``place``, whose hash becomes ``keys[count]``; 0: not plain, or twice."""
    place, own = plain_string(place)
    if place == NONE or count >= KEYS:
        return NONE
    for other in range(first, count):
        if word_at(keys + (np.uint64(other) << THREE)) == own:
            return NONE
    put_word(keys + (np.uint64(count) << THREE), own)
    place = blank(place)
    return blank(place + ONE) if byte_at(place) == 58 else NONE


@compiled()
def _scalar_end(place: Any, byte: Any) -> Any:
    """The place after the string, number or literal at ``place``, which begins with ``byte``; 0: it is none."""
    if byte == 34:
        return string_end(place)
    if byte == 45 or 48 <= byte <= 57:
        return _number_end(place)
    word = word_at(place) & _LITERAL
    if word == _TRUE or word == _NULL:  # noqa: PLR1714, SIM109
        return place + _FOUR
    return place + _FIVE if byte == 102 and word_at(place + ONE) & _LITERAL == _ALSE else NONE


@compiled()
def value_end(place: Any, keys: Any, count: Any, firsts: Any) -> Any:
    """The place after the value at ``place``, whatever it is; ``keys`` from ``count`` and ``firsts`` are its own.

    Both are addresses: of KEYS and of DEPTH words.
    """
    depth = 0  # firsts[d]: the first key of the object that is open at depth d; -1 - that: an array
    while True:
        byte = byte_at(place)
        if byte == 123 or byte == 91:  # noqa: PLR1714
            if depth == DEPTH:
                return NONE
            place = blank(place + ONE)
            if byte_at(place) == byte + 2:
                place += ONE
            else:
                put_whole(firsts, depth, count if byte == 123 else -1 - count)
                depth += 1
                if byte == 123:
                    place = key_end(place, keys, count, count)
                    count += 1
                    if place == NONE:
                        return NONE
                continue
        else:
            place = _scalar_end(place, byte)
        while True:
            if place == NONE or depth == 0:
                return place
            place, first = blank(place), whole_at(firsts, depth - 1)
            byte = byte_at(place)
            if byte == 44:
                place = blank(place + ONE)
                if first >= 0:
                    place = key_end(place, keys, first, count)
                    count += 1
                    if place == NONE:
                        return NONE
                break
            if byte != (125 if first >= 0 else 93):
                return NONE
            depth -= 1
            count = first if first >= 0 else -1 - first
            place += ONE
