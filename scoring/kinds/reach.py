"""Which true points lie within reach of which targets: a packed tree of the truth, and a map of where to look at all.

The tree holds the *sites*, the distinct places of the truth: sorted into strips by x, within a strip by y, eight to a
leaf, and above the leaves a binary tree of bounding boxes. A node counts its sites that are still live, so what was
taken is not looked at again. Leaves and boxes follow the points, not the extent: one far outlier, points stacked on
one spot, or a radius larger than the map cost no more than others. A search costs what lies within the radius and a
few boxes around it; memory is linear in the truth.

Most targets lie near nothing. ``cells`` is a coarse map of the truth, with cells of at least the radius, that counts
the live sites in each cell and those beside it: where the count is 0, a target can reach nothing. It saves searches.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.canonical import Array
from scoring.kinds.point_loops import LEAF, first_reach, take_nearest

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SIDE = 512  # cells along a side of the map at most
NAMES = ("site_x", "site_y", "start", "members", "boxes", "live", "cells", "frame")
_FILE_ORDER: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Hits:
    """Targets that took a true point (h,): their ``turn`` from 0, rising, ``which`` point each took, how far away."""

    turn: Ints
    which: Ints
    distance: Floats


def index(x: Array, y: Array, radius: float) -> dict[str, Array]:
    """The arrays of NAMES for true points (n,), searched within ``radius``.

    ``site_x``, ``site_y`` (s,) in the order of the tree; ``start`` (s+1,) into ``members`` (n,), the points of each
    site in their own order; ``boxes`` (2·leaves·4,) as x, y low and high and ``live`` (2·leaves,) as number of sites,
    node 1 the root and node i over 2i and 2i + 1; ``cells`` (rows, columns) and ``frame`` (x, y of its corner, cells
    per unit, radius).
    """
    x, y = (np.ascontiguousarray(values, dtype=np.float64) for values in (x, y))
    by_place = np.lexsort((np.arange(len(x)), y, x))
    sx, sy = x[by_place], y[by_place]
    new = np.flatnonzero(np.concatenate([np.ones(min(len(x), 1), bool), (sx[1:] != sx[:-1]) | (sy[1:] != sy[:-1])]))
    size = np.diff(np.append(new, len(x)))
    leaves = 1 << max(0, math.ceil(len(new) / LEAF) - 1).bit_length()
    strip = LEAF << (leaves.bit_length() // 2)
    packed = np.lexsort((sy[new], np.arange(len(new)) // strip))
    start = np.zeros(len(new) + 1, dtype=np.int64)
    np.cumsum(size[packed], out=start[1:])
    shift = np.repeat(new[packed] - start[:-1], size[packed])
    site_x, site_y = sx[new][packed], sy[new][packed]
    boxes, live = _boxes(site_x, site_y, leaves)
    cells, frame = _cells(site_x, site_y, radius)
    made = (site_x, site_y, start, by_place[np.arange(len(x)) + shift].astype(np.int64), boxes, live, cells, frame)
    return dict(zip(NAMES, made, strict=True))


def _boxes(x: Floats, y: Floats, leaves: int) -> tuple[Floats, Ints]:
    """Bounding box and number of sites of every node: leaves filled, then joined upwards; empty ones are inverse."""
    edges = np.empty((4, 2 * leaves))
    edges[:2], edges[2:] = math.inf, -math.inf
    live = np.zeros(2 * leaves, dtype=np.int64)
    full = -(-len(x) // LEAF)
    if full:
        at = np.arange(0, len(x), LEAF)
        edges[:2, leaves : leaves + full] = np.minimum.reduceat(np.stack([x, y]), at, axis=1)
        edges[2:, leaves : leaves + full] = np.maximum.reduceat(np.stack([x, y]), at, axis=1)
        live[leaves : leaves + full] = np.diff(np.append(at, len(x)))
    below = leaves
    while below > 1:
        level = slice(below // 2, below)
        edges[:2, level] = edges[:2, below : 2 * below].reshape(2, -1, 2).min(axis=2)
        edges[2:, level] = edges[2:, below : 2 * below].reshape(2, -1, 2).max(axis=2)
        live[level] = live[below : 2 * below].reshape(-1, 2).sum(axis=1)
        below //= 2
    return np.ascontiguousarray(edges.T).reshape(-1), live


def _cells(x: Floats, y: Floats, radius: float) -> tuple[npt.NDArray[np.int32], Floats]:
    """The map; one without cells where coordinates are too large to be counted in cells."""
    none = np.zeros((0, 0), dtype=np.int32), np.array([0.0, 0.0, 0.0, radius])
    if not len(x):
        return none
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        west, south = x.min(), y.min()
        extent = max(x.max() - west, y.max() - south)
        edge = max(radius * (1 + 1e-6), extent / (SIDE - 4), np.finfo(np.float64).tiny)
        inverse, corner_x, corner_y = 1.0 / edge, west - 1.5 * edge, south - 1.5 * edge
        across, up = (x - corner_x) * inverse, (y - corner_y) * inverse
        if not np.isfinite([inverse, extent, across.max(), up.max()]).all() or max(across.max(), up.max()) > SIDE:
            return none
    col, row = across.astype(np.int64), up.astype(np.int64)
    high, wide = int(row.max()) + 2, int(col.max()) + 2
    own = np.bincount(row * wide + col, minlength=high * wide).reshape(high, wide).astype(np.int32)
    own = np.pad(own, 1)
    strips = own[:-2] + own[1:-1] + own[2:]
    around = np.ascontiguousarray(strips[:, :-2] + strips[:, 1:-1] + strips[:, 2:])
    return around, np.array([corner_x, corner_y, inverse, radius])


def fits(found: Mapping[str, Array], radius: float) -> bool:
    """Whether ``found`` is an index for this radius."""
    return all(name in found for name in NAMES) and float(found["frame"][3]) == radius


def nearest_free(x: Array, y: Array, order: Array | None, truth: Mapping[str, Array], radius: float) -> Hits:
    """Each target, in ``order`` or as they stand, takes the nearest free true point within ``radius`` (inclusive).

    Equal distances go to the point that comes first in the truth.
    """
    room = min(len(x), len(truth["members"]))
    turn, which, gaps = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    given: tuple[Any, ...] = (*_targets(x, y, order), *_tree(truth), radius, turn, which, gaps)
    count = take_nearest(*given) if room else 0
    return Hits(turn[:count], which[:count], gaps[:count])


def reached(x: Array, y: Array, order: Array | None, truth: Mapping[str, Array], radius: float) -> Ints:
    """For each true point the rank, from 1, of the first target within ``radius`` (inclusive) of it; 0 without one."""
    first = np.zeros(len(truth["members"]), dtype=np.int64)
    if len(first):
        given: tuple[Any, ...] = (*_targets(x, y, order), *_tree(truth), radius, first)
        first_reach(*given)
    return first


def _targets(x: Array, y: Array, order: Array | None) -> tuple[Any, ...]:
    turns = _FILE_ORDER if order is None else np.ascontiguousarray(order, dtype=np.int64)
    return np.ascontiguousarray(x, dtype=np.float64), np.ascontiguousarray(y, dtype=np.float64), turns


def _tree(truth: Mapping[str, Array]) -> tuple[Array, ...]:
    return tuple(np.asarray(truth[name]) for name in NAMES)
