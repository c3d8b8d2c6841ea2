"""Compiled loops over footprints: sizes, a tree of boxes, intersection areas, matching.

Footprints come as ``coords`` (v, 2), ``first`` (n + 1) vertex offsets and ``weight`` (v): how the edge from a vertex
to the next one counts, 0 where a ring ends. ``facts`` (n, 6) per footprint: least x, least y, greatest x, greatest y,
area, and how far an area made of rounded crossing points may be off.

The intersection of two footprints is a sum over pairs of edges: the area below both edges, between the ends they
share in x, signed by the direction of each. Every vertical line through both footprints tells why: the signs of the
edges above a point sum to 1 inside and to 0 outside. Parts, holes, touching and equal edges need no case of their own.
"""

# ruff: noqa: PLR0913, PLR0917, C901  loops of numbers: no objects, and calls cost

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from datasets.formats.number_loops import lowest
from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]
Masks = npt.NDArray[np.uint16]
Flags = npt.NDArray[np.bool_]

FAN = 16  # children of a node of the tree
EDGES = 4096  # vertices of a footprint whose intersections are summed here
WORK = 1 << 16  # pairs of edges of one intersection; above it another method is faster
BLUR = 1e-6  # IoU that is less sure than this is asked elsewhere
ROUNDING = 8 * 2.0**-52  # of the sum over pairs of edges, for each edge and of the box's area
LEVELS = 40
GROUP, PAIR = 32, 1000  # what looking at a group of boxes, and at a pair, costs, in pairs of edges
SWEPT = 4  # and finding out that two edges lie above each other
SOON, SOONER = 8, 4  # predictions ahead whose facts, and whose vertices, are fetched
_ONE, _NONE = np.uint64(1), np.uint64(0)
_F3, _F2, _F1 = "Array(float64, 3, 'C', True)", "Array(float64, 2, 'C', True)", "Array(float64, 1, 'C', True)"
_I2, _I1, _S1 = "Array(int64, 2, 'C', True)", "Array(int64, 1, 'C', True)", "Array(int8, 1, 'C', True)"
_SHAPES = f"{_F2}, {_I1}, {_S1}, {_F2}"


@intrinsic
def _prefetch(_context: Any, _address: Any) -> Any:
    """Fetch what lies at an address, which may be any, into the cache."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kinds = [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3]
        call = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0i8"
        )
        how = [ir.Constant(ir.IntType(32), number) for number in (0, 3, 1)]  # to read, near, data
        builder.call(call, [builder.inttoptr(arguments[0], kinds[0]), *how])
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(types.int64), make


prefetch: Any = _prefetch


@compiled(f"void({_F2}, {_I1}, {_I1}, {_I1}, int64, int64, float64[:, ::1], int8[::1])")
def measure(
    coords: Floats, rings: Ints, parts: Ints, features: Ints, first: int, last: int, facts: Floats, weight: Signs
) -> None:
    """Write ``facts`` and ``weight`` of the footprints ``first`` … ``last`` − 1."""
    for i in range(first, last):
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        area, length = 0.0, 0.0
        for part in range(features[i], features[i + 1]):
            for ring in range(parts[part], parts[part + 1]):
                start, stop = rings[ring], rings[ring + 1]
                if stop - start < 1:
                    continue
                from_x, from_y, twice = coords[start, 0], coords[start, 1], 0.0
                for k in range(start, stop):
                    x, y = coords[k, 0], coords[k, 1]
                    low_x, high_x = min(low_x, x), max(high_x, x)
                    low_y, high_y = min(low_y, y), max(high_y, y)
                    if k + 1 < stop:
                        along, up = coords[k + 1, 0] - x, coords[k + 1, 1] - y
                        twice += (x - from_x) * up - (y - from_y) * along
                        length += abs(along) + abs(up)
                shell = ring == parts[part]
                area += 0.5 * abs(twice) if shell else -0.5 * abs(twice)
                sign = 0 if twice == 0 else -1 if (twice > 0) == shell else 1
                for k in range(start, stop - 1):
                    weight[k] = sign
                weight[stop - 1] = 0
        facts[i, 0], facts[i, 1], facts[i, 2], facts[i, 3] = low_x, low_y, high_x, high_y
        farthest = max(abs(low_x), abs(high_x), abs(low_y), abs(high_y))
        facts[i, 4] = area if np.isfinite(area) else np.inf  # too large to be measured: it matches nothing finite
        facts[i, 5] = 2.0**-53 * farthest * length


@compiled()
def _fetch(coords: int, weight: int, vertex: int) -> None:
    """Fetch the first vertices of a footprint; ``coords`` and ``weight`` are addresses."""
    for line in range(3):
        prefetch(coords + 16 * vertex + 64 * line)
    prefetch(weight + vertex)


@compiled()
def edges(coords: Floats, weight: Signs, start: int, stop: int, x: float, y: float, out: Floats) -> int:
    """The edges of vertices start … stop − 1 from left to right, seen from (x, y), into the columns of ``out``.

    Its rows are left end, right end, height at the left end, slope, sign. Returns how many edges.
    """
    count = 0
    for k in range(start, stop - 1):
        sign = weight[k]
        if sign == 0:
            continue
        x0, y0, x1, y1 = coords[k, 0] - x, coords[k, 1] - y, coords[k + 1, 0] - x, coords[k + 1, 1] - y
        if x0 == x1:
            continue
        forward = x0 < x1  # as often as not: no branch
        out[0, count], out[1, count] = min(x0, x1), max(x0, x1)
        out[2, count], out[4, count] = y0 if forward else y1, sign if forward else -sign
        out[3, count] = (y1 - y0) / (x1 - x0)
        count += 1
    return count


@compiled()
def shared_area(mine: Floats, count: int, theirs: Floats, other: int, row: Floats) -> float:
    """Area that lies in both: ``count`` and ``other`` edges as ``edges`` writes them; ``row`` is room for one row.

    No branch and no sum in the inner loop: so it is done for several edges at once.
    """
    lefts, rights, heights, slopes, signs = mine[0], mine[1], mine[2], mine[3], mine[4]
    total = 0.0
    for j in range(other):
        left, right, height, slope = theirs[0, j], theirs[1, j], theirs[2, j], theirs[3, j]
        for i in range(count):
            a, b = max(left, lefts[i]), min(right, rights[i])
            y0, y1 = heights[i] + (a - lefts[i]) * slopes[i], heights[i] + (b - lefts[i]) * slopes[i]
            z0, z1 = height + (a - left) * slope, height + (b - left) * slope
            d0, d1 = y0 - z0, y1 - z1
            apart = abs(d0) + abs(d1)
            crossed = (d0 * d0 + d1 * d1) / apart
            row[i] = signs[i] * max(b - a, 0.0) * (y0 + z0 + y1 + z1 - (crossed if d0 * d1 < 0 else apart))
        part = 0.0
        for i in range(count):
            part += row[i]
        total += theirs[4, j] * part
    return 0.25 * total


@compiled()
def _same(coords: Floats, start: int, others: Floats, other: int, count: int) -> bool:
    """Whether ``count`` vertices are the same numbers."""
    for k in range(count):
        if coords[start + k, 0] != others[other + k, 0] or coords[start + k, 1] != others[other + k, 1]:
            return False
    return True


@compiled()
def _may_match(wide: float, high: float, area: float, least: float, greatest: float) -> bool:
    """Whether truths of these areas may reach an IoU of 0.5 with a footprint whose box shares wide · high with theirs.

    With slack for areas that are rounded.
    """
    most = min(area, greatest, wide * high)
    return not ((wide < 0) | (high < 0) | (3.000003 * most < area + least))


@compiled()
def _ratio(part: float, both: float) -> float:
    return part / (both - part)


@compiled()
def _doubt(facts: Floats, i: int, leaves: Floats, leaf: int, count: int) -> tuple[float, float]:
    """The sum of two areas, and how far the IoU of their ``count`` edges may be off."""
    large = (facts[i, 2] - facts[i, 0]) * (facts[i, 3] - facts[i, 1])
    large += (leaves[leaf, 2] - leaves[leaf, 0]) * (leaves[leaf, 3] - leaves[leaf, 1])
    both = facts[i, 4] + leaves[leaf, 4]
    return both, (ROUNDING * count * large + 4 * (facts[i, 5] + leaves[leaf, 5])) / both


@compiled()
def _candidates(
    boxes: Floats, group: int, low_x: float, low_y: float, high_x: float, high_y: float, area: float
) -> Any:
    """A bit for each box of a group whose footprints may match; no branch, so that it is done for several at once."""
    bits = _NONE
    for k in range(FAN):
        wide = min(high_x, boxes[group, 2, k]) - max(low_x, boxes[group, 0, k])
        high = min(high_y, boxes[group, 3, k]) - max(low_y, boxes[group, 1, k])
        near = _may_match(wide, high, area, boxes[group, 4, k], boxes[group, 5, k])
        bits |= (_ONE << np.uint64(k)) if near else _NONE
    return bits


@compiled(
    f"UniTuple(int64, 3)({_I1}, int64, int64, {_SHAPES}, {_I1}, {_F2}, {_I2}, {_S1}, {_F2}, {_I1}, {_I1}, {_F3}, "
    f"{_I1}, Array(uint16, 1, 'C', True), int64, int64[:, ::1], float64[:, ::1])"
)
def overlapping(
    order: Ints,
    start: int,
    stop: int,
    coords: Floats,
    first: Ints,
    weight: Signs,
    facts: Floats,
    label: Ints,
    others: Floats,
    where: Ints,
    other_weight: Signs,
    other_facts: Floats,
    other_label: Ints,
    items: Ints,
    boxes: Floats,
    levels: Ints,
    free: Masks,
    most: int,
    pairs: Ints,
    iou: Floats,
) -> tuple[int, int, int]:
    """Pairs of prediction and truth whose IoU may reach 0.5, for the predictions ``order[start:stop]``.

    Writes ``pairs`` (capacity, 2): place in ``order``, truth; ``iou`` (capacity, 2): the IoU, NaN where it has to be
    found another way, and how much it may be off. A truth whose mask in ``free`` is 0 is left out. ``label``: equal
    numbers may match; empty: all may. ``where`` (n, 2), first and last vertex + 1, and ``other_facts`` stand in the
    order of ``items``. ``most``: what it may cost.

    Returns:
        How many pairs, the place in ``order`` to go on from, where the capacity or ``most`` was not enough, and what
        it cost, in pairs of edges: about a nanosecond each.
    """
    mine, theirs, row = np.empty((5, EDGES)), np.empty((5, EDGES)), np.empty(EDGES)
    levels_left, groups_left = np.empty(FAN * LEVELS, np.int64), np.empty(FAN * LEVELS, np.int64)
    found, spent, capacity, top, labelled = 0, 0, len(pairs), len(levels) - 2, len(label) > 0
    at = facts.ctypes.data, coords.ctypes.data, weight.ctypes.data
    for place in range(start, stop):
        prefetch(at[0] + 48 * order[min(place + SOON, stop - 1)])
        _fetch(at[1], at[2], first[order[min(place + SOONER, stop - 1)]])
        i, begin, count = order[place], found, -1
        low_x, low_y, high_x, high_y, area = facts[i, 0], facts[i, 1], facts[i, 2], facts[i, 3], facts[i, 4]
        levels_left[0], groups_left[0], depth, size = top, levels[top], 1, first[i + 1] - first[i]
        while depth:
            depth, level, group = depth - 1, levels_left[depth - 1], groups_left[depth - 1]
            bits, spent = _candidates(boxes, group, low_x, low_y, high_x, high_y, area), spent + GROUP
            while bits != _NONE:
                child = (group - levels[level]) * FAN + np.int64(lowest(bits))
                bits &= bits - _ONE
                if level:
                    levels_left[depth], groups_left[depth], depth = level - 1, levels[level - 1] + child, depth + 1
                    continue
                j, head, span = items[child], where[child, 0], where[child, 1] - where[child, 0]
                if free[j] == 0 or (labelled and label[i] != other_label[j]):
                    continue
                spent += PAIR + min(size * span, WORK)
                if spent > most:
                    return begin, place, spent
                (both, off), value = _doubt(facts, i, other_facts, child, size + span), np.nan
                if size <= EDGES and span <= EDGES and size * span <= WORK and off < BLUR:
                    if count < 0:
                        count = edges(coords, weight, first[i], first[i + 1], low_x, low_y, mine)
                    other = edges(others, other_weight, head, head + span, low_x, low_y, theirs)
                    value = _ratio(shared_area(mine, count, theirs, other, row), both)
                    if value < 0.5 - off:
                        continue
                    if value > 1 - off:
                        value = 1.0 if size == span and _same(coords, first[i], others, head, size) else min(value, 1.0)
                if found == capacity:
                    return begin, place, spent
                pairs[found, 0], pairs[found, 1], iou[found, 0], iou[found, 1] = place, j, value, off
                found += 1
    return found, stop, spent


@compiled()
def _alike(iou: Floats, one: int, other: int, doubt: Flags) -> None:
    """What is asked of one pair is asked of another with the same IoU: else a tie would be broken by rounding."""
    doubt[other] |= doubt[one] and iou[one, 0] == iou[other, 0]


@compiled(f"int64({_I1}, float64[:, ::1], {_F1}, bool_[::1])")
def doubtful(place: Ints, iou: Floats, thresholds: Floats, doubt: Flags) -> int:
    """Mark pairs that are too near a threshold, or to another pair of their prediction, for their IoU to decide.

    ``place`` (n,) rises; ``iou`` (n, 2): the IoU and how much it may be off, 0 where it is settled. Equal IoUs are
    a tie and decide nothing. Returns how many were marked; settled pairs are not.
    """
    marked, start, total = 0, 0, len(place)
    for i in range(total):
        doubt[i] = False
    while start < total:
        stop = start + 1
        while stop < total and place[stop] == place[start]:
            stop += 1
        for i in range(start, stop):
            for step in range(len(thresholds)):
                if abs(iou[i, 0] - thresholds[step]) <= iou[i, 1]:
                    doubt[i] = True
        if stop - start > 1:
            ranked = np.argsort(iou[start:stop, 0])
            for k in range(1, stop - start):
                i, j = start + ranked[k - 1], start + ranked[k]
                gap = iou[j, 0] - iou[i, 0]
                if gap > 0 and gap <= iou[i, 1] + iou[j, 1]:
                    doubt[i] = doubt[j] = True
            for k in range(1, stop - start):
                _alike(iou, start + ranked[k - 1], start + ranked[k], doubt)
            for k in range(stop - start - 1, 0, -1):
                _alike(iou, start + ranked[k], start + ranked[k - 1], doubt)
        for i in range(start, stop):
            doubt[i] = doubt[i] and iou[i, 1] > 0
            marked += doubt[i]
        start = stop
    return marked


@compiled(
    f"void({_I1}, {_I1}, {_F1}, {_I1}, {_F1}, uint16[::1], Array(bool_, 2, 'C'), int64[::1], float64[::1])",
)
def take(
    place: Ints,
    which: Ints,
    iou: Floats,
    order: Ints,
    thresholds: Floats,
    free: Masks,
    hit: Flags,
    taken: Ints,
    quality: Floats,
) -> None:
    """Each prediction in turn takes, at each threshold, the free truth it overlaps best; equal ones: the first truth.

    ``place`` (n,) rises. ``free``: bit t is set while a truth is free at threshold t. Writes ``hit`` (T, m), ``taken``
    (m,) at the lowest threshold with a hit, and ``quality`` (m,), the IoU at the first threshold.
    """
    start, total = 0, len(place)
    while start < total:
        stop = start + 1
        while stop < total and place[stop] == place[start]:
            stop += 1
        me = order[place[start]]
        for step in range(len(thresholds)):
            bit, best = np.uint16(1 << step), -1
            for i in range(start, stop):
                if iou[i] < thresholds[step] or not free[which[i]] & bit:
                    continue
                if best < 0 or iou[i] > iou[best] or (iou[i] == iou[best] and which[i] < which[best]):
                    best = i
            if best >= 0:
                free[which[best]] ^= bit
                if taken[me] < 0:
                    taken[me] = which[best]
                hit[step, me] = True
                if step == 0:
                    quality[me] = iou[best]
        start = stop
