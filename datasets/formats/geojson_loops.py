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
    THREE,
    blank,
    key_end,
    number,
    plain_string,
    put_float,
    put_whole,
    string_end,
    value_end,
    whole_at,
)
from datasets.formats.number_loops import byte_at, word_at
from datasets.kernels import compiled

MEMBERS = 32  # of the collection itself
HOLD = KEYS + DEPTH + 4
ENDED, MORE, STRANGE = 0, 1, 2
NUMBER, TEXT = 0, 1
TEXT_BYTES = 200
# the words a feature is made of, one after the other; further ones are the names asked for
WORDS = (b"properties", b"geometry", b"type", b"coordinates", b"Polygon", b"MultiPolygon")
_PROPERTIES, _GEOMETRY, _TYPE, _COORDINATES, _POLYGON, _MULTIPOLYGON = range(len(WORDS))
_NAMES = len(WORDS)
_PARTS, _RINGS, _VERTICES = 1, 2, 3  # places in counts
_FOUR, _EIGHT, _SIXTEEN = np.uint64(4), np.uint64(8), np.uint64(16)
_FEATURES = np.uint64(int.from_bytes(b"features", "little"))
_U1, _I8 = "Array(uint8, 1, 'C', True)", "Array(int64, 1, 'C', True)"


@compiled()
def _is(place: Any, words: Any, ends: Any, which: Any) -> Any:
    """Whether the string at ``place`` is a certain one of the words."""
    at, stop = words + np.uint64(whole_at(ends, which)), words + np.uint64(whole_at(ends, which + 1))
    place += ONE
    while at < stop:
        if byte_at(place) != byte_at(at):
            return False
        place += ONE
        at += ONE
    return byte_at(place) == 34


@compiled()
def _ring(place: Any, coords: Any, room: Any, counts: Any, fives: Any) -> Any:
    """The place after a closed ring of at least four positions of two numbers, which go to ``coords``; 0: it is none.

    ``room``: the vertices that fit there. ``counts``: features, parts, rings and vertices so far.
    """
    if byte_at(place) != 91:
        return NONE
    vertex = whole_at(counts, _VERTICES)
    first_x, first_y, x, y, start = 0.0, 0.0, 0.0, 0.0, vertex
    target = coords + (np.uint64(vertex) << _FOUR)
    while True:
        place = blank(place + ONE)
        if byte_at(place) != 91 or vertex >= room:
            return NONE
        place, x = number(blank(place + ONE), fives)
        if place == NONE:
            return NONE
        place = blank(place)
        if byte_at(place) != 44:
            return NONE
        place, y = number(blank(place + ONE), fives)
        if place == NONE:
            return NONE
        place = blank(place)
        if byte_at(place) != 93:
            return NONE
        put_float(target, x)
        put_float(target + _EIGHT, y)
        if vertex == start:
            first_x, first_y = x, y
        target += _SIXTEEN
        vertex += 1
        place = blank(place + ONE)
        if byte_at(place) != 44:
            break
    if byte_at(place) != 93 or vertex - start < 4 or x != first_x or y != first_y:
        return NONE
    put_whole(counts, _VERTICES, vertex)
    return place + ONE


@compiled()
def _part(place: Any, coords: Any, rings: Any, rooms: Any, counts: Any, fives: Any) -> Any:
    """The place after the rings of a polygon; 0: they are not plain."""
    if byte_at(place) != 91:
        return NONE
    while True:
        place = _ring(blank(place + ONE), coords, whole_at(rooms, _VERTICES), counts, fives)
        ring = whole_at(counts, _RINGS) + 1
        if place == NONE or ring >= whole_at(rooms, _RINGS):
            return NONE
        put_whole(counts, _RINGS, ring)
        put_whole(rings, ring, whole_at(counts, _VERTICES))
        place = blank(place)
        if byte_at(place) != 44:
            return place + ONE if byte_at(place) == 93 else NONE


@compiled()
def _parts(place: Any, many: Any, coords: Any, rings: Any, parts: Any, rooms: Any, counts: Any, fives: Any) -> Any:
    """The place after the coordinates of a Polygon, or of a MultiPolygon (``many``); 0: they are not plain."""
    if many:
        if byte_at(place) != 91:
            return NONE
        place = blank(place + ONE)
    while True:
        place = _part(place, coords, rings, rooms, counts, fives)
        part = whole_at(counts, _PARTS) + 1
        if place == NONE or part >= whole_at(rooms, _PARTS):
            return NONE
        put_whole(counts, _PARTS, part)
        put_whole(parts, part, whole_at(counts, _RINGS))
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
    rooms: Any,
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
            place = _parts(place, done == 1, coords, rings, parts, rooms, counts, fives)
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
    room: Any,
    words: Any,
    ends: Any,
    kinds: Any,
    names: Any,
    keys: Any,
    count: Any,
    firsts: Any,
    reals: Any,
    texts: Any,
    fives: Any,
) -> Any:
    """The place after an object that holds every name asked for; 0: it does not, or is not plain.

    ``names``: how many those are; ``reals`` and ``texts`` have ``room`` rows for each.
    """
    missing = names
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
        for name in range(names):
            if _is(start, words, ends, _NAMES + name):
                which = name
        if which < 0:
            place = value_end(place, keys, count, firsts)
        elif whole_at(kinds, which) == NUMBER:
            place, value = number(place, fives)
            put_float(reals + (np.uint64(which * room + row) << THREE), value)
            missing -= 1
        else:
            start = place
            place, _ = plain_string(start)
            size = np.int64(place - start) - 2
            if place == NONE or size < 1 or size > TEXT_BYTES:
                return NONE
            put_whole(texts, 2 * (which * room + row), np.int64(start) + 1)
            put_whole(texts, 2 * (which * room + row) + 1, size)
            missing -= 1
        if place == NONE:
            return NONE
        place = blank(place)
        if byte_at(place) != 44:
            return place + ONE if byte_at(place) == 125 and missing == 0 else NONE
        place = blank(place + ONE)


@compiled()
def _address(array: Any) -> Any:
    return np.uint64(array.ctypes.data)


@compiled()
def _lay(rooms: Any, parts: Any, rings: Any, vertices: Any) -> Any:
    put_whole(rooms, _PARTS, parts)
    put_whole(rooms, _RINGS, rings)
    put_whole(rooms, _VERTICES, vertices)


@compiled(
    f"Tuple((int64, uint64))(uint64, uint64, {_U1}, {_I8}, {_I8}, uint64, uint64[::1], int64[::1], "
    "float64[:, ::1], int64[::1], int64[::1], int64[::1], float64[:, ::1], int64[:, :, ::1])"
)
def read_features(
    place: Any,
    stop: Any,
    words: Any,
    ends: Any,
    kinds: Any,
    fives: Any,
    hold: Any,
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
    ``fives``: the address of FIVES; ``hold``: HOLD words to work with. ``counts``: features, parts, rings and vertices,
    from 0. ``reals`` (names, room); ``texts`` (names, room, 2): address, size.

    Returns:
        ENDED and the place after the list, MORE and that of the feature to go on from, or STRANGE.
    """
    keys, held, names, rows = _address(hold), _address(counts), len(kinds), reals.shape[1]
    firsts, room = keys + np.uint64(8 * KEYS), keys + np.uint64(8 * (KEYS + DEPTH))
    _lay(room, len(parts), len(rings), len(coords))
    word, end, kind, real, text = _address(words), _address(ends), _address(kinds), _address(reals), _address(texts)
    xy, ring, part = _address(coords), _address(rings), _address(parts)
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
            if _is(start, word, end, _GEOMETRY):
                place = _geometry(place, word, end, keys, count, firsts, xy, ring, part, room, held, fives)
                have |= 1
            elif _is(start, word, end, _PROPERTIES):
                place = _properties(place, row, rows, word, end, kind, names, keys, count, firsts, real, text, fives)
                have |= 2
            else:
                place = value_end(place, keys, count, firsts)
            if place == NONE:
                return STRANGE, start
            place = blank(place)
            if byte_at(place) != 44:
                break
        if byte_at(place) != 125 or have & 1 == 0 or (have & 2 == 0 and names > 0):
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


@compiled(
    "void(float64[:, ::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], "
    "float64[:, ::1], int64[::1], int64[::1], int64[::1])"
)
def put_features(
    coords: Any,
    rings: Any,
    parts: Any,
    features: Any,
    counts: Any,
    before: Any,
    all_coords: Any,
    all_rings: Any,
    all_parts: Any,
    all_features: Any,
) -> None:
    """Copy what ``read_features`` read, ``counts`` of it, behind what stands ``before``."""
    feature, part, ring, vertex = before[0], before[1], before[2], before[3]
    for i in range(1, counts[0] + 1):
        all_features[feature + i] = features[i] + part
    for i in range(1, counts[1] + 1):
        all_parts[part + i] = parts[i] + ring
    for i in range(1, counts[2] + 1):
        all_rings[ring + i] = rings[i] + vertex
    for i in range(counts[3]):
        all_coords[vertex + i, 0], all_coords[vertex + i, 1] = coords[i, 0], coords[i, 1]


@compiled("Tuple((int64, uint64))(uint64, uint64[:, ::1], int64, uint64[::1])")
def read_members(place: Any, spans: Any, count: Any, hold: Any) -> Any:
    """Read the members of the collection at ``place``, its brace or what follows a member, up to a list of features.

    Writes ``spans`` (MEMBERS, 4) from ``count`` on: start and end of key and value, the keys with their quotes.
    ``hold``: HOLD words to work with.

    Returns:
        The number of members, and the place after the end; or -1 - that number, the place of a list's first item and
        its key written; or -1 - MEMBERS, when it is not plain.
    """
    keys, strange = _address(hold), -1 - MEMBERS
    firsts = keys + np.uint64(8 * KEYS)
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
