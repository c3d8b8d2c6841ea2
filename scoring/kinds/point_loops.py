"""Compiled searches among true points; ``scoring.kinds.reach`` explains the arrays."""

# ruff: noqa: PLR0913, PLR0917  loops of numbers: no objects, and calls cost

import math

import numpy as np
import numpy.typing as npt

from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]

LEAF = 8  # sites in a leaf of the tree
DEEP = 128  # nodes that can wait in a search; the tree is a binary one over less than 2^60 leaves
_D = "Array(float64, 1, 'C', readonly=True)"
_I = "Array(int64, 1, 'C', readonly=True)"
_B = "Array(int32, 2, 'C', readonly=True)"
_TREE = f"{_D}, {_D}, {_I}, {_I}, {_D}, {_I}, {_B}, {_D}"


@compiled()
def _squared(x: float, y: float, boxes: Floats, node: int) -> float:
    """Squared distance from a place to the box of a node, 0 inside it."""
    across = max(boxes[4 * node] - x, x - boxes[4 * node + 2], 0.0)
    up = max(boxes[4 * node + 1] - y, y - boxes[4 * node + 3], 0.0)
    squared: float = across * across + up * up
    return squared


@compiled()
def _beyond(gap: float) -> float:
    """A squared distance that no point within ``gap`` reaches, however the products were rounded."""
    return gap * gap * (1.0 + 1e-9) + 1e-300


@compiled()
def _near_none(x: float, y: float, near_by: Counts, frame: Floats) -> bool:
    """Whether the map says that no live site can be within the radius."""
    if not near_by.shape[1]:
        return False
    col, row = (x - frame[0]) * frame[2], (y - frame[1]) * frame[2]
    inside = 0.0 <= col < near_by.shape[1] and 0.0 <= row < near_by.shape[0]
    return not inside or near_by[int(row), int(col)] == 0


@compiled()
def _strike(site: int, x: float, y: float, left: Ints, near_by: Counts, frame: Floats) -> None:
    """Take a site out of the nodes above it, off the map cell it lies in and those beside it."""
    node = len(left) // 2 + site // LEAF
    while node:
        left[node] -= 1
        node //= 2
    if near_by.shape[1]:
        col, row = int((x - frame[0]) * frame[2]), int((y - frame[1]) * frame[2])
        for down in range(max(row - 1, 0), min(row + 2, near_by.shape[0])):
            for over in range(max(col - 1, 0), min(col + 2, near_by.shape[1])):
                near_by[down, over] -= 1


@compiled()
def _nearest(
    px: float, py: float, radius: float, site_x: Floats, site_y: Floats, start: Ints, members: Ints, boxes: Floats,
    used: Ints, left: Ints, stack: Ints, bounds: Floats,
) -> int:  # fmt: skip
    """The site with the nearest free point within ``radius``, of equals the one whose point is first; −1 for none."""
    leaves = len(left) // 2
    best, first, found, bound = radius, len(members), -1, _beyond(radius)
    stack[0], bounds[0] = 1, 0.0
    depth = 1
    while depth:
        depth -= 1
        node = stack[depth]
        if bounds[depth] > bound or left[node] == 0:
            continue
        if node < leaves:
            one, other = _squared(px, py, boxes, 2 * node), _squared(px, py, boxes, 2 * node + 1)
            near = 2 * node if one <= other else 2 * node + 1
            if max(one, other) <= bound:
                stack[depth], bounds[depth] = 4 * node + 1 - near, max(one, other)
                depth += 1
            if min(one, other) <= bound:
                stack[depth], bounds[depth] = near, min(one, other)
                depth += 1
            continue
        low = (node - leaves) * LEAF
        for site in range(low, min(low + LEAF, len(site_x))):
            place = start[site] + used[site]
            across, up = abs(px - site_x[site]), abs(py - site_y[site])
            if place >= start[site + 1] or across > best or up > best:
                continue
            gap = math.hypot(across, up)
            if gap < best or (gap == best and members[place] < first):
                best, first, found, bound = gap, members[place], site, _beyond(gap)
    return found


@compiled(f"int64({_D}, {_D}, {_I}, {_TREE}, float64, int64[::1], int64[::1], float64[::1])")
def take_nearest(
    x: Floats, y: Floats, order: Ints, site_x: Floats, site_y: Floats, start: Ints, members: Ints, boxes: Floats,
    live: Ints, cells: Counts, frame: Floats, radius: float, turns: Ints, which: Ints, gaps: Floats,
) -> int:  # fmt: skip
    """Each target in turn takes the nearest true point within ``radius`` that is free; equal distances go to the first.

    ``turns`` (from 0, rising), ``which`` and ``gaps``: when, which true point and how far. Returns the number of hits.
    """
    left, near_by, used = live.copy(), cells.copy(), np.zeros(len(site_x), np.int64)
    stack, bounds = np.empty(DEEP, np.int64), np.empty(DEEP)
    hits = 0
    for turn in range(len(x)):
        target = order[turn] if len(order) else turn
        px, py = x[target], y[target]
        if _near_none(px, py, near_by, frame):
            continue
        site = _nearest(px, py, radius, site_x, site_y, start, members, boxes, used, left, stack, bounds)
        if site < 0:
            continue
        turns[hits], which[hits] = turn, members[start[site] + used[site]]
        gaps[hits] = math.hypot(px - site_x[site], py - site_y[site])
        hits += 1
        used[site] += 1
        if start[site] + used[site] == start[site + 1]:
            _strike(site, site_x[site], site_y[site], left, near_by, frame)
            if left[1] == 0:
                break
    return hits


@compiled(f"int64({_D}, {_D}, {_I}, {_TREE}, float64, int64[::1])")
def first_reach(
    x: Floats, y: Floats, order: Ints, site_x: Floats, site_y: Floats, start: Ints, members: Ints, boxes: Floats,
    live: Ints, cells: Counts, frame: Floats, radius: float, first: Ints,
) -> int:  # fmt: skip
    """Writes for each true point the turn, from 1, of the first target within ``radius``; others keep what they have.

    Returns the number of sites never reached.
    """
    left, near_by, gone = live.copy(), cells.copy(), np.zeros(len(site_x), np.bool_)
    stack, leaves = np.empty(DEEP, np.int64), len(live) // 2
    for turn in range(len(x)):
        target = order[turn] if len(order) else turn
        px, py = x[target], y[target]
        stack[0] = 1
        depth = 0 if _near_none(px, py, near_by, frame) else 1
        while depth:
            depth -= 1
            node = stack[depth]
            if node < leaves:
                for child in range(2 * node, 2 * node + 2):
                    if left[child] and _squared(px, py, boxes, child) <= _beyond(radius):
                        stack[depth] = child
                        depth += 1
                continue
            low = (node - leaves) * LEAF
            for site in range(low, min(low + LEAF, len(site_x))):
                across, up = abs(px - site_x[site]), abs(py - site_y[site])
                if gone[site] or across > radius or up > radius or math.hypot(across, up) > radius:
                    continue
                gone[site] = True
                for place in range(start[site], start[site + 1]):
                    first[members[place]] = turn + 1
                _strike(site, site_x[site], site_y[site], left, near_by, frame)
        if left[1] == 0:
            break
    return int(left[1])
