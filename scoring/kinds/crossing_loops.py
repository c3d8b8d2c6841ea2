"""A compiled count of the edges of two footprints that may cross: what it costs to lay one over the other exactly."""

import numpy as np
import numpy.typing as npt

from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]

_F2, _I2, _I1 = "Array(float64, 2, 'C', True)", "Array(int64, 2, 'C', True)", "Array(int64, 1, 'C', True)"


@compiled()
def _boxes(coords: Floats, weight: Signs, start: int, stop: int, out: Floats, count: int) -> int:
    """Boxes of the edges of vertices start … stop − 1, into the columns of ``out`` from ``count`` on; the next one."""
    for k in range(start, stop - 1):
        if weight[k] == 0:
            continue
        out[0, count], out[1, count] = min(coords[k, 0], coords[k + 1, 0]), max(coords[k, 0], coords[k + 1, 0])
        out[2, count], out[3, count] = min(coords[k, 1], coords[k + 1, 1]), max(coords[k, 1], coords[k + 1, 1])
        count += 1
    return count


@compiled()
def _touching(boxes: Floats, middle: int, count: int, most: int) -> tuple[int, int]:
    """How many boxes of ``middle`` touch how many of the other ones, and how many pairs share some x; up to ``most``.

    From left to right; of each side those are kept that reach as far as the last one of the other.
    """
    active, held, found, looked = np.empty((2, count), np.int64), np.zeros(2, np.int64), 0, 0
    for one in np.argsort(boxes[0, :count]):
        side = 0 if one < middle else 1
        other, kept = 1 - side, 0
        for k in range(held[other]):
            two = active[other, k]
            if boxes[1, two] < boxes[0, one]:
                continue
            active[other, kept] = two
            kept += 1
            found += (boxes[2, two] <= boxes[3, one]) & (boxes[2, one] <= boxes[3, two])
        looked += held[other]
        if looked > most:
            break
        held[other] = kept
        active[side, held[side]] = one
        held[side] += 1
    return found, looked


@compiled(f"int64({_F2}, {_I2}, Array(int8, 1, 'C', True), {_F2}, {_I2}, Array(int8, 1, 'C', True), int64, int64[::1])")
def crossings(
    coords: Floats,
    mine: Ints,
    weight: Signs,
    others: Floats,
    theirs: Ints,
    other_weight: Signs,
    most: int,
    out: Ints,
) -> int:
    """Count edges that may cross, for pairs of footprints given by first and last vertex + 1 (n, 2).

    Writes ``out`` (n,) and returns how many pairs of edges were looked at. More than ``most``: the rest is left out.
    """
    looked = 0
    for i in range(len(mine)):
        size = mine[i, 1] - mine[i, 0] + theirs[i, 1] - theirs[i, 0]
        boxes = np.empty((4, size))
        middle = _boxes(coords, weight, mine[i, 0], mine[i, 1], boxes, 0)
        count = _boxes(others, other_weight, theirs[i, 0], theirs[i, 1], boxes, middle)
        out[i], own = _touching(boxes, middle, count, most - looked)
        looked += own + size
        if looked > most:
            break
    return looked
