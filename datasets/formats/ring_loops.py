"""Compiled loops over polygons: WKB to arrays, and a proof that a ring does not meet itself."""

from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

MOST = 200  # edges of a ring that are compared with each other
_FAR = 1e140  # products of two differences of smaller coordinates are finite
_NEAR = 1e-280  # what products may lose below the smallest normal number, with a margin
_TURN = 4 * 2.0**-53  # of a determinant or scalar product of differences: Shewchuk (1997) needs (3 + 16·2⁻⁵³)·2⁻⁵³
_POLYGON, _MULTIPOLYGON = 3, 6  # OGC 06-103r4, table 7: codes of the two-dimensional types
_HEAD = 9  # bytes: byte order, type, count
_F2, _I1 = "Array(float64, 2, 'C', True)", "Array(int64, 1, 'C', True)"
_U1, _I4 = "Array(uint8, 1, 'C', True)", "Array(int32, 1, 'C', True)"


@compiled()
def _side(coords: Floats, a: int, b: int, c: int) -> int:
    """1 or -1: c surely lies left or right of the line from a to b; 0: not sure."""
    left = (coords[a, 0] - coords[c, 0]) * (coords[b, 1] - coords[c, 1])
    right = (coords[a, 1] - coords[c, 1]) * (coords[b, 0] - coords[c, 0])
    error = _TURN * (abs(left) + abs(right)) + _NEAR
    return 1 if left - right > error else -1 if right - left > error else 0


@compiled()
def _goes_on(coords: Floats, a: int, b: int, c: int) -> bool:
    """Whether the edges a → b and b → c surely share b alone."""
    if _side(coords, a, b, c) != 0:
        return True
    along = (coords[b, 0] - coords[a, 0]) * (coords[c, 0] - coords[b, 0])
    up = (coords[b, 1] - coords[a, 1]) * (coords[c, 1] - coords[b, 1])
    return bool(along + up > _TURN * (abs(along) + abs(up)) + _NEAR)


@compiled()
def _apart(coords: Floats, i: int, j: int) -> bool:
    """Whether the edges from i and from j surely lie on different sides of one of them."""
    side = _side(coords, i, i + 1, j)
    if side != 0 and side == _side(coords, i, i + 1, j + 1):
        return True
    side = _side(coords, j, j + 1, i)
    return side != 0 and side == _side(coords, j, j + 1, i + 1)


@compiled()
def _is_simple(coords: Floats, start: int, stop: int) -> bool:
    """Whether the closed ring of vertices start … stop − 1 surely does not touch itself. False: not sure."""
    count = stop - start - 1
    if count < 3 or count > MOST or coords[start, 0] != coords[stop - 1, 0] or coords[start, 1] != coords[stop - 1, 1]:
        return False
    for k in range(start, stop):
        if not (abs(coords[k, 0]) < _FAR and abs(coords[k, 1]) < _FAR):
            return False
    for i in range(count):
        k = start + i
        following = start + 1 if i == count - 1 else k + 2
        if not _goes_on(coords, k, k + 1, following):
            return False
        low_x, high_x = min(coords[k, 0], coords[k + 1, 0]), max(coords[k, 0], coords[k + 1, 0])
        low_y, high_y = min(coords[k, 1], coords[k + 1, 1]), max(coords[k, 1], coords[k + 1, 1])
        for j in range(k + 2, stop - 2 if i == 0 else stop - 1):
            x0, y0, x1, y1 = coords[j, 0], coords[j, 1], coords[j + 1, 0], coords[j + 1, 1]
            beside = (x0 > high_x and x1 > high_x) or (x0 < low_x and x1 < low_x)
            if not (beside or (y0 > high_y and y1 > high_y) or (y0 < low_y and y1 < low_y) or _apart(coords, k, j)):
                return False
    return True


@compiled(f"void({_F2}, {_I1}, {_I1}, {_I1}, int64, int64, bool_[::1])")
def prove_valid(coords: Floats, rings: Ints, parts: Ints, features: Ints, start: int, stop: int, out: Flags) -> None:
    """Mark the features start … stop − 1 that are surely valid polygons: one part, no hole, a simple ring."""
    for i in range(start, stop):
        part = features[i]
        out[i] = (
            features[i + 1] == part + 1
            and parts[part + 1] == parts[part] + 1
            and _is_simple(coords, rings[parts[part]], rings[parts[part] + 1])
        )


@compiled()
def _word(data: Bytes, at: int) -> Any:
    return (
        np.int64(data[at]) | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2]) << 16 | np.int64(data[at + 3]) << 24
    )


@compiled()
def _part_end(data: Bytes, at: int, end: int, counts: Ints) -> int:
    """Where the polygon that begins at ``at`` ends; adds its rings and vertices to ``counts``. -1: it is not plain."""
    if end - at < _HEAD or data[at] != 1 or _word(data, at + 1) != _POLYGON:
        return -1
    rings, at = _word(data, at + 5), at + _HEAD
    if rings < 1:
        return -1
    for _ in range(rings):
        if end - at < 4:
            return -1
        size, at = _word(data, at), at + 4
        if size < 4 or (end - at) // 16 < size:
            return -1
        at += 16 * size
        counts[1] += size
    counts[0] += rings
    return at


@compiled(f"bool_({_U1}, {_I1}, {_I4}, int64, int64[::1])")
def count_wkb(data: Bytes, offsets: Ints, index: Ints, most: int, counts: Ints) -> bool:
    """Add up rings, vertices and parts of the features: feature i is the text ``index[i]``, cut by ``offsets``.

    False: one is no plain polygon or multipolygon in little-endian WKB, with rings of four vertices or more; or there
    are more than ``most`` vertices.
    """
    for i in range(len(index)):
        text = np.int64(index[i])
        if text < 0 or text + 1 >= len(offsets):
            return False
        at, end = offsets[text], offsets[text + 1]
        if at < 0 or end > len(data) or end - at < _HEAD or data[at] != 1:
            return False
        kind, members = _word(data, at + 1), 1
        if kind == _MULTIPOLYGON:
            members, at = _word(data, at + 5), at + _HEAD
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


@compiled(f"void({_U1}, {_I1}, {_I4}, int64[::1], uint8[::1], int64[::1], int64[::1], int64[::1])")
def fill_wkb(
    data: Bytes, offsets: Ints, index: Ints, at_: Ints, coords: Bytes, rings: Ints, parts: Ints, features: Ints
) -> None:
    """Write what ``count_wkb`` counted, from ring, vertex, part and feature ``at_`` on, which is moved along."""
    ring, vertex, part = at_[0], at_[1], at_[2]
    for i in range(len(index)):
        at = offsets[index[i]]
        members = 1
        if _word(data, at + 1) == _MULTIPOLYGON:
            members, at = _word(data, at + 5), at + _HEAD
        for _ in range(members):
            count, at = _word(data, at + 5), at + _HEAD
            for _ in range(count):
                size, at = _word(data, at), at + 4
                for byte in range(16 * size):
                    coords[16 * vertex + byte] = data[at + byte]
                at += 16 * size
                vertex += size
                ring += 1
                rings[ring] = vertex
            part += 1
            parts[part] = ring
        features[at_[3] + i + 1] = part
    at_[0], at_[1], at_[2], at_[3] = ring, vertex, part, at_[3] + len(index)
