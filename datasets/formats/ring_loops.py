"""Compiled loops over rings: a proof that a ring does not meet itself."""

import numpy as np
import numpy.typing as npt

from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MOST = 200  # edges of a ring that are compared with each other
_FAR = 1e140  # products of two differences of smaller coordinates are finite
_NEAR = 1e-280  # what products may lose below the smallest normal number, with a margin
_TURN = 4 * 2.0**-53  # of a determinant or scalar product of differences: Shewchuk (1997) needs (3 + 16·2⁻⁵³)·2⁻⁵³
_F2, _I1 = "Array(float64, 2, 'C', True)", "Array(int64, 1, 'C', True)"


@compiled()
def _side(coords: Floats, a: int, b: int, c: int) -> int:
    """1 or -1: c surely lies left or right of the line from a to b; 0: not sure."""
    left = (coords[a, 0] - coords[c, 0]) * (coords[b, 1] - coords[c, 1])
    right = (coords[a, 1] - coords[c, 1]) * (coords[b, 0] - coords[c, 0])
    error = _TURN * (abs(left) + abs(right)) + _NEAR
    return 1 if left - right > error else -1 if right - left > error else 0


@compiled()
def _apart(coords: Floats, i: int, j: int) -> bool:
    """Whether the edges from i and from j surely lie on different sides of one of them."""
    side = _side(coords, i, i + 1, j)
    if side != 0 and side == _side(coords, i, i + 1, j + 1):
        return True
    side = _side(coords, j, j + 1, i)
    return side != 0 and side == _side(coords, j, j + 1, i + 1)


@compiled()
def _turns(coords: Floats, start: int, stop: int) -> int:
    """2: the ring of vertices start … stop − 1 is surely convex; 1: edges that follow each other surely share one
    point; 0: not sure.

    Convex is what always turns to one side and once around: then its edges point up, or level to the right, in one run.
    """
    near, lefts, changes, count = True, 0, 0, stop - start - 1
    along, up = coords[start, 0] - coords[stop - 2, 0], coords[start, 1] - coords[stop - 2, 1]
    above = (up > 0) | ((up == 0) & (along > 0))
    straight = False
    for k in range(start, stop - 1):
        x, y = coords[k, 0], coords[k, 1]
        near &= (abs(x) < _FAR) & (abs(y) < _FAR)
        before, rise, over = along, up, above
        along, up = coords[k + 1, 0] - x, coords[k + 1, 1] - y
        above = (up > 0) | ((up == 0) & (along > 0))
        changes += above != over
        left, right = before * up, rise * along
        error = _TURN * (abs(left) + abs(right)) + _NEAR
        lefts += left - right > error
        if not abs(left - right) > error:
            straight = True
            on, high = before * along, rise * up
            if not on + high > _TURN * (abs(on) + abs(high)) + _NEAR:
                return 0
    if not near:
        return 0
    return 2 if changes == 2 and not straight and (lefts == 0 or lefts == count) else 1  # noqa: PLR1714


@compiled()
def _is_simple(coords: Floats, start: int, stop: int) -> bool:
    """Whether the closed ring of vertices start … stop − 1 surely does not touch itself. False: not sure."""
    count = stop - start - 1
    if count < 3 or count > MOST or coords[start, 0] != coords[stop - 1, 0] or coords[start, 1] != coords[stop - 1, 1]:
        return False
    turns = _turns(coords, start, stop)
    if turns != 1:
        return turns == 2
    for i in range(count):
        k = start + i
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
