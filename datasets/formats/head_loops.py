"""Compiled reading of Parquet's page headers (parquet.thrift, PageHeader; Thrift compact protocol).

Only what writers write: fields in rising order, each of its own type. Anything else is odd, and nothing is guessed.
"""

# ruff: noqa: C901, PLR0912 - one flat loop is what a compiler makes fast

from typing import Any

from datasets.formats.number_loops import varint
from datasets.kernels import compiled

HEAD = 1 << 14  # bytes a page header may have, with its statistics
DATA, INDICES, DATA2 = 0, 2, 3  # PageType; INDICES is the dictionary page
KIND, UNPACKED, PACKED, VALUES, ENCODING, LEVELS, REPEATS, NULLS, ROWS, SQUEEZED = range(10)  # what is found
FIELDS = 10
DEPTH = 4
WORK = FIELDS + 2 * DEPTH  # int64 words a reading needs
_ABSENT = -1
_RUNS = 6  # the encoding of levels that is understood, 3 in zigzag: runs, not the older packed bits
_FALSE, _BYTE, _SHORT, _INT, _LONG, _TEXT, _STRUCT = 2, 3, 4, 5, 6, 8, 12  # Thrift's types; 1 is true


@compiled()
def _place(owner: int, number: int) -> int:
    """Where the whole number of a page header's own struct goes; -1: nowhere.

    In a page of the first version LEVELS and REPEATS are how the levels are encoded, in the second how long they are.
    """
    if number == 1:
        return VALUES
    if owner == 8 and number in {5, 6}:
        return LEVELS if number == 5 else REPEATS
    if owner == 8:
        return NULLS if number == 2 else ROWS if number == 3 else ENCODING if number == 4 else -1
    return ENCODING if number == 2 else LEVELS if number == 3 else REPEATS if number == 4 else -1


@compiled()
def _is_whole(owner: int, found: Any) -> Any:
    """Whether a header says all that one of its type has to say."""
    kind = found[KIND]
    if owner != (5 if kind == DATA else 7 if kind == INDICES else 8 if kind == DATA2 else -2):
        return False
    least = min(found[UNPACKED], found[PACKED], found[VALUES], found[ENCODING])
    if kind != INDICES:
        least = min(least, found[LEVELS], found[REPEATS])
    if kind == DATA2:
        least = min(least, found[NULLS], found[ROWS])
    return least >= 0


@compiled()
def _note(found: Any, depth: int, owner: int, number: int, kind: int, value: int) -> Any:
    """Keep a whole number in ``found`` if it is one that is looked for; False: it is odd."""
    place = number - 1 if depth == 0 and number <= 3 else _place(owner, number) if depth == 1 else -1
    if depth == 1 and owner == 5 and number == 3 and value != _RUNS:
        return False
    if place >= 0:
        if kind != _INT or value & 1:  # a negative number
            return False
        found[place] = value >> 1
    return True


@compiled()
def read_head(data: Any, at: int, stop: int, found: Any) -> int:
    """The place after the header that begins at data[at], which fills ``found`` (WORK,); -1: it is odd.

    What a header does not say is -1 in ``found``, but SQUEEZED, whether a page of version 2 is compressed, is 1.
    """
    found[:FIELDS], found[FIELDS] = _ABSENT, 0
    found[SQUEEZED] = 1
    depth, owner = 0, -1
    while at < stop:
        byte = int(data[at])
        at += 1
        if byte == 0:
            if depth == 0:
                return at if _is_whole(owner, found) else -1
            depth -= 1
            continue
        number, kind = byte >> 4, byte & 15
        if number == 0 or kind == 0:  # Thrift ends a struct at any byte whose lower half is 0
            return -1
        number += found[FIELDS + depth]
        found[FIELDS + depth] = number
        if kind == _STRUCT:
            if depth == DEPTH - 1 or (depth == 0 and owner != -1):
                return -1
            owner = number if depth == 0 else owner
            depth += 1
            found[FIELDS + depth] = 0
        elif kind == _TEXT:
            size, at = varint(data, at, stop, 63)
            if at < 0 or size > stop - at:
                return -1
            at += size
        elif kind <= _FALSE:
            if depth == 1 and owner == 8 and number == 7:
                found[SQUEEZED] = int(kind != _FALSE)
        elif kind == _BYTE:
            at += 1
        elif kind <= _LONG:
            value, at = varint(data, at, stop, 63)
            if at < 0 or not _note(found, depth, owner, number, kind, value):
                return -1
        else:
            return -1
    return -1


@compiled("int64(Array(uint8, 1, 'C', readonly=True), int64, int64, int64[::1])")
def head_at(data: Any, at: int, stop: int, found: Any) -> Any:
    """``read_head``, for those who are not compiled themselves."""
    return read_head(data, at, stop, found)
