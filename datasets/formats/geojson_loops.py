"""Compiled loops over the text of a plain GeoJSON: coordinates and the properties asked for, straight into arrays.

As in ``json_loops`` a place is an address, 0 stands for what is not plain, and zero bytes end the text. Not plain are
also positions of three numbers, rings that are not closed, and a geometry of another kind.
"""

# ruff: noqa: PLR0912, PLR0913, PLR0917, C901  one flat loop is what a compiler makes fast

from typing import Any

import numpy as np

from datasets.formats.json_loops import (
    DEPTH,
    KEYS,
    NONE,
    ONE,
    blank,
    key_end,
    number,
    plain_string,
    string_end,
    value_end,
)
from datasets.formats.number_loops import byte_at, word_at
from datasets.kernels import compiled

MEMBERS = 32  # of the collection itself
ENDED, MORE, STRANGE = 0, 1, 2
NUMBER, TEXT = 0, 1
TEXT_BYTES = 200
# the words a feature is made of, one after the other; further ones are the names asked for
WORDS = (b"properties", b"geometry", b"type", b"coordinates", b"Polygon", b"MultiPolygon")
_PROPERTIES, _GEOMETRY, _TYPE, _COORDINATES, _POLYGON, _MULTIPOLYGON = range(len(WORDS))
_NAMES = len(WORDS)
_FEATURES = np.uint64(int.from_bytes(b"features", "little"))
_U1, _I8 = "Array(uint8, 1, 'C', True)", "Array(int64, 1, 'C', True)"


@compiled()
def _is(place: Any, words: Any, ends: Any, which: Any) -> Any:
    """Whether the string at ``place`` is a certain one of the words."""
    start, stop = ends[which], ends[which + 1]
    place += ONE
    for at in range(start, stop):
        if byte_at(place) != words[at]:
            return False
        place += ONE
    return byte_at(place) == 34


@compiled()
def _ring(place: Any, coords: Any, counts: Any, fives: Any) -> Any:
    """The place after a closed ring of at least four positions of two numbers, which go to ``coords``; 0: it is none.

    ``counts``: features, parts, rings and vertices so far.
    """
    if byte_at(place) != 91:
        return NONE
    start = vertex = counts[3]
    while True:
        place = blank(place + ONE)
        if byte_at(place) != 91 or vertex >= len(coords):
            return NONE
        place, coords[vertex, 0] = number(blank(place + ONE), fives)
        if place == NONE:
            return NONE
        place = blank(place)
        if byte_at(place) != 44:
            return NONE
        place, coords[vertex, 1] = number(blank(place + ONE), fives)
        if place == NONE:
            return NONE
        place = blank(place)
        if byte_at(place) != 93:
            return NONE
        vertex += 1
        place = blank(place + ONE)
        if byte_at(place) != 44:
            break
    last = vertex - 1
    closed = coords[start, 0] == coords[last, 0] and coords[start, 1] == coords[last, 1]
    if byte_at(place) != 93 or vertex - start < 4 or not closed:
        return NONE
    counts[3] = vertex
    return place + ONE


@compiled()
def _part(place: Any, coords: Any, rings: Any, counts: Any, fives: Any) -> Any:
    """The place after the rings of a polygon; 0: they are not plain."""
    if byte_at(place) != 91:
        return NONE
    while True:
        place = _ring(blank(place + ONE), coords, counts, fives)
        if place == NONE or counts[2] + 1 >= len(rings):
            return NONE
        counts[2] += 1
        rings[counts[2]] = counts[3]
        place = blank(place)
        if byte_at(place) != 44:
            return place + ONE if byte_at(place) == 93 else NONE


@compiled()
def _parts(place: Any, many: Any, coords: Any, rings: Any, parts: Any, counts: Any, fives: Any) -> Any:
    """The place after the coordinates of a Polygon, or of a MultiPolygon (``many``); 0: they are not plain."""
    if many:
        if byte_at(place) != 91:
            return NONE
        place = blank(place + ONE)
    while True:
        place = _part(place, coords, rings, counts, fives)
        if place == NONE or counts[1] + 1 >= len(parts):
            return NONE
        counts[1] += 1
        parts[counts[1]] = counts[2]
        if not many:
            return place
        place = blank(place)
        if byte_at(place) != 44:
            return place + ONE if byte_at(place) == 93 else NONE
        place = blank(place + ONE)


@compiled()
def _geometry(
    place: Any,
    words: Any,
    ends: Any,
    keys: Any,
    count: Any,
    firsts: Any,
    coords: Any,
    rings: Any,
    parts: Any,
    counts: Any,
    fives: Any,
) -> Any:
    """The place after a geometry that is a Polygon or a MultiPolygon; 0: it is not plain."""
    if byte_at(place) != 123:
        return NONE
    first, kind, done, at = count, -1, -1, NONE
    while True:
        start = blank(place + ONE)
        place = key_end(start, keys, first, count)
        if place == NONE:
            return NONE
        count += 1
        if _is(start, words, ends, _TYPE):
            kind = 0 if _is(place, words, ends, _POLYGON) else 1 if _is(place, words, ends, _MULTIPOLYGON) else -1
            if kind < 0 or byte_at(place) != 34:
                return NONE
            place = string_end(place)
        elif _is(start, words, ends, _COORDINATES):
            at = place
            if kind < 0:  # the type comes later: count the brackets
                for _ in range(3):
                    if byte_at(at) != 91:
                        return NONE
                    at = blank(at + ONE)
                done = 1 if byte_at(at) == 91 else 0
            else:
                done = kind
            place = _parts(place, done == 1, coords, rings, parts, counts, fives)
        else:
            place = value_end(place, keys, count, firsts)
        if place == NONE:
            return NONE
        place = blank(place)
        if byte_at(place) != 44:
            return place + ONE if byte_at(place) == 125 and kind >= 0 and kind == done else NONE


@compiled()
def _properties(
    place: Any,
    row: Any,
    words: Any,
    ends: Any,
    kinds: Any,
    keys: Any,
    count: Any,
    firsts: Any,
    reals: Any,
    texts: Any,
    fives: Any,
) -> Any:
    """The place after an object that holds every name asked for; 0: it does not, or is not plain."""
    missing = len(kinds)
    if byte_at(place) != 123:
        return value_end(place, keys, count, firsts) if missing == 0 else NONE
    first = count
    place = blank(place + ONE)
    if byte_at(place) == 125:
        return place + ONE if missing == 0 else NONE
    while True:
        start = place
        place = key_end(start, keys, first, count)
        if place == NONE:
            return NONE
        count += 1
        which = -1
        for name in range(len(kinds)):
            if _is(start, words, ends, _NAMES + name):
                which = name
        if which < 0:
            place = value_end(place, keys, count, firsts)
        elif kinds[which] == NUMBER:
            place, reals[which, row] = number(place, fives)
            missing -= 1
        else:
            start = place
            place, _ = plain_string(start)
            size = np.int64(place - start) - 2
            if place == NONE or size < 1 or size > TEXT_BYTES:
                return NONE
            texts[which, row, 0], texts[which, row, 1] = np.int64(start) + 1, size
            missing -= 1
        if place == NONE:
            return NONE
        place = blank(place)
        if byte_at(place) != 44:
            return place + ONE if byte_at(place) == 125 and missing == 0 else NONE
        place = blank(place + ONE)


@compiled(
    f"Tuple((int64, uint64))(uint64, uint64, {_U1}, {_I8}, {_I8}, uint64, int64[::1], "
    "float64[:, ::1], int64[::1], int64[::1], int64[::1], float64[:, ::1], int64[:, :, ::1])"
)
def read_features(
    place: Any,
    stop: Any,
    words: Any,
    ends: Any,
    kinds: Any,
    fives: Any,
    counts: Any,
    coords: Any,
    rings: Any,
    parts: Any,
    features: Any,
    reals: Any,
    texts: Any,
) -> Any:
    """Read features from the one at ``place`` on, as long as they begin before ``stop``.

    ``words`` are WORDS and the names asked for, cut by ``ends``; ``kinds``: of each name, NUMBER or TEXT;
    ``fives``: the address of FIVES. ``counts``: features, parts, rings and vertices, from 0. ``reals`` (names, room);
    ``texts`` (names, room, 2): address, size.

    Returns:
        ENDED and the place after the list, MORE and that of the feature to go on from, or STRANGE.
    """
    keys, firsts = np.empty(KEYS, np.uint64), np.empty(DEPTH, np.int64)
    while place < stop:
        row, count, have = counts[0], 0, 0
        if byte_at(place) != 123 or row + 1 >= len(features):
            return STRANGE, place
        while True:
            start = blank(place + ONE)
            place = key_end(start, keys, 0, count)
            if place == NONE:
                return STRANGE, start
            count += 1
            if _is(start, words, ends, _GEOMETRY):
                place = _geometry(
                    place, words, ends, keys, count, firsts, coords, rings, parts, counts, fives
                )  # fmt: skip
                have |= 1
            elif _is(start, words, ends, _PROPERTIES):
                place = _properties(
                    place, row, words, ends, kinds, keys, count, firsts, reals, texts, fives
                )  # fmt: skip
                have |= 2
            else:
                place = value_end(place, keys, count, firsts)
            if place == NONE:
                return STRANGE, start
            place = blank(place)
            if byte_at(place) != 44:
                break
        if byte_at(place) != 125 or have & 1 == 0 or (have & 2 == 0 and len(kinds) > 0):
            return STRANGE, place
        counts[0] = row + 1
        features[row + 1] = counts[1]
        place = blank(place + ONE)
        if byte_at(place) == 93:
            return ENDED, place + ONE
        if byte_at(place) != 44:
            return STRANGE, place
        place = blank(place + ONE)
    return MORE, place


@compiled("Tuple((int64, uint64))(uint64, uint64[:, ::1], int64)")
def read_members(place: Any, spans: Any, count: Any) -> Any:
    """Read the members of the collection at ``place``, its brace or what follows a member, up to a list of features.

    Writes ``spans`` (MEMBERS, 4) from ``count`` on: start and end of key and value, the keys with their quotes.

    Returns:
        The number of members, and the place after the end; or -1 - that number, the place of a list's first item and
        its key written; or -1 - MEMBERS, when it is not plain.
    """
    keys, firsts, strange = np.empty(KEYS, np.uint64), np.empty(DEPTH, np.int64), -1 - MEMBERS
    if byte_at(place) != (44 if count else 123):
        return (count, place + ONE) if count and byte_at(place) == 125 else (strange, place)
    while count < MEMBERS:
        start = blank(place + ONE)
        place, _ = plain_string(start)
        if place == NONE:
            return strange, place
        spans[count, 0], spans[count, 1] = start, place
        place = blank(place)
        if byte_at(place) != 58:
            return strange, place
        place = blank(place + ONE)
        if byte_at(place) == 91 and spans[count, 1] - start == np.uint64(10) and word_at(start + ONE) == _FEATURES:
            return -1 - count, blank(place + ONE)
        spans[count, 2] = place
        place = value_end(place, keys, 0, firsts)
        if place == NONE:
            return strange, place
        spans[count, 3] = place
        count += 1
        place = blank(place)
        if byte_at(place) != 44:
            return (count, place + ONE) if byte_at(place) == 125 else (strange, place)
    return strange, place
