"""Polygons: footprints against true footprints, one to one by intersection over union (IoU).

Candidates come from a packed tree of the truth's boxes, intersection areas from a compiled sum over pairs of edges
(``polygon_loops``). Where rounding could decide (an IoU at a threshold, two truths overlapped alike), and for
footprints the sum is not meant for, GEOS gives the IoU.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from datasets import threads
from datasets.blocks import PUBLIC, SIDES, Placed
from datasets.canonical import Array, Canonical
from datasets.errors import Finding, Rejected
from datasets.formats.ragged import Ragged
from datasets.spec import Spec
from scoring.kinds.columns import column, has_column, joint_codes
from scoring.kinds.pairing import Block, Pairing, TruthSet, spread
from scoring.kinds.points import NONE, place, too_many
from scoring.kinds.polygon_loops import FAN, doubtful, inner_points, measure, overlapping, take
from scoring.samples import Matches

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Geometries = npt.NDArray[np.object_]
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
STEP = 4096  # predictions looked at by one call
PAIRS = 32_768  # kept by one call, so that stacked footprints cannot fill the memory; at least the truth's number alone
CHUNK = 64 * STEP  # predictions sorted by place, so that neighbours read the same part of the truth
_STEPS = np.array(THRESHOLDS)
_ALL = np.uint16((1 << len(THRESHOLDS)) - 1)
_NOBODY = np.empty(0, dtype=np.int64)


def geometries(canonical: Canonical) -> Geometries:
    """The features as shapely polygons; a feature of several parts is a multipolygon."""
    return footprints(canonical).shapes()


def footprints(canonical: Canonical) -> Ragged:
    """The canonical arrays of footprints."""
    coords = np.ascontiguousarray(canonical.arrays["coords"], dtype=np.float64)
    offsets = (canonical.arrays[name] for name in ("rings", "parts", "features"))
    return Ragged(coords, *(np.ascontiguousarray(array, dtype=np.int64) for array in offsets))


def measured(shapes: Ragged) -> dict[str, Array]:
    """What the loops want to know of footprints: ``first``, ``weight`` and ``facts`` of ``polygon_loops``."""
    facts, weight = np.zeros((len(shapes), 6)), np.zeros(len(shapes.coords), dtype=np.int8)
    measure(shapes.coords, shapes.rings, shapes.parts, shapes.features, facts, weight)
    return {"first": shapes.rings[shapes.parts[shapes.features]], "weight": weight, "facts": facts}


def tree_of(facts: Floats) -> dict[str, Array]:
    """A packed tree of boxes: ``items`` (n,) in leaf order and their facts as ``leaves``; ``nodes`` (k, 6) from the
    lowest level up: box, least and greatest area; ``levels``: where each level of ``nodes`` begins, and the end."""
    count, items = len(facts), _by_place(facts)
    leaves = np.ascontiguousarray(facts[items])
    below = np.column_stack([leaves[:, :4], leaves[:, 4], leaves[:, 4]])
    nodes, levels = [np.empty((0, 6))], [0]
    while len(below) > 1 or (count and len(levels) == 1):
        starts = np.arange(0, len(below), FAN)
        low, high = np.minimum.reduceat(below, starts), np.maximum.reduceat(below, starts)
        below = np.column_stack([low[:, :2], high[:, 2:4], low[:, 4], high[:, 5]])
        nodes.append(below)
        levels.append(levels[-1] + len(below))
    found = {"nodes": np.concatenate(nodes), "levels": np.array(levels, dtype=np.int64)}
    return {"items": items, "leaves": leaves, **found}


def _by_place(facts: Floats) -> Ints:
    """An order in which neighbours stand together: slabs by x, within each by y."""
    count = len(facts)
    middle = facts[:, :2] + facts[:, 2:4]
    slabs = max(1, int(np.ceil(np.sqrt(count / FAN))))
    slab = np.empty(count, dtype=np.int64)
    slab[np.argsort(middle[:, 0], kind="stable")] = np.arange(count) * slabs // max(count, 1)
    return np.lexsort((middle[:, 1], slab))


def _neighbours(facts: Floats) -> Ints:
    """An order in which neighbours mostly stand together, found faster: narrow strips by x, within each by y."""
    low, high = facts[:, :2].min(axis=0), facts[:, :2].max(axis=0)
    with np.errstate(all="ignore"):  # coordinates near the largest number: any order will do
        scaled = np.nan_to_num((facts[:, :2] - low) / np.where(high > low, high - low, 1.0))
    strips = int(np.ceil(np.sqrt(len(facts) / FAN)))
    key = (scaled[:, 0] * strips).astype(np.int64) << 32 | (scaled[:, 1] * (1 << 31)).astype(np.int64)
    return np.argsort(key)


def prepare(truth: TruthSet, spec: Spec) -> Mapping[str, Array]:
    """The truth measured, its tree, and with blocks a point inside each footprint."""
    shapes = footprints(truth.truth)
    made = measured(shapes)
    made |= tree_of(made.pop("facts"))
    if spec.blocks is not None and spec.blocks.size is not None:
        made["inside"] = _inside(shapes)
    return made


@dataclass(frozen=True)
class Matching:
    """``hit`` (m, T) at each threshold; ``taken`` (m,) at the lowest threshold with a hit; ``iou`` (m,) at 0.5.

    ``order``: the predictions, best first.
    """

    hit: npt.NDArray[np.bool_]
    taken: Ints
    iou: Floats
    order: Ints


@dataclass(frozen=True)
class _Overlaps:
    """Pairs by the place of their prediction: ``who`` and ``which`` (n,), ``iou`` (n, 2) as ``overlapping`` has it.

    ``following``: the place to go on from.
    """

    who: Ints
    which: Ints
    iou: Floats
    following: int


class _Search:
    """All that finds the pairs of predictions, in order of rank, with truths that are free somewhere."""

    def __init__(self, mine: Ragged, theirs: Ragged, prepared: Mapping[str, Array], order: Ints) -> None:
        self._mine, self._theirs, self._order = mine, theirs, order
        own = measured(mine)
        self._left: tuple[Any, ...] = (mine.coords, own["first"], own["weight"], own["facts"])
        self._right: tuple[Any, ...] = (
            theirs.coords,
            *(np.asarray(prepared[name]) for name in ("first", "weight", "leaves")),
        )
        self._tree: tuple[Any, ...] = tuple(np.asarray(prepared[name]) for name in ("items", "nodes", "levels"))
        self.free = np.full(len(theirs), _ALL, dtype=np.uint16)

    def pairs(self, labels: tuple[Ints, Ints]) -> Iterator[_Overlaps]:
        """All pairs in pieces that fit the memory, by rank. Neighbours are looked at together where they fit."""
        for start, stop in spread(len(self._order), CHUNK):
            together = self._together(start, stop, labels)
            if together is not None:
                yield together
            else:
                yield from self._in_turn(start, stop, labels)

    def _together(self, start: int, stop: int, labels: tuple[Ints, Ints]) -> _Overlaps | None:
        turn = self._order[start:stop]
        near = start + _neighbours(self._left[3][turn])
        order, ranges = self._order[near], spread(stop - start, STEP)
        pieces: list[_Overlaps] = []
        for (_, end), found in zip(
            ranges, threads.each(lambda item: self._near(order, item, labels, PAIRS), ranges), strict=True
        ):
            if found.following < end:
                return None
            pieces.append(found)
        who = near[np.concatenate([piece.who for piece in pieces])]
        rank = np.argsort(who)
        which, iou = (np.concatenate([getattr(piece, name) for piece in pieces])[rank] for name in ("which", "iou"))
        return _Overlaps(who[rank], which, iou, stop)

    def _in_turn(self, start: int, stop: int, labels: tuple[Ints, Ints]) -> Iterator[_Overlaps]:
        room = max(PAIRS, len(self._theirs))
        while start < stop:
            yield (found := self._near(self._order, (start, min(start + STEP, stop)), labels, room))
            start = found.following

    def _near(self, order: Ints, item: tuple[int, int], labels: tuple[Ints, Ints], room: int) -> _Overlaps:
        pairs, iou = np.empty((room, 2), dtype=np.int64), np.empty((room, 2))
        left, right = (*self._left, labels[0]), (*self._right, labels[1])
        given: list[Any] = [order, *item, *left, *right, *self._tree, self.free, pairs, iou]
        count, following = overlapping(*given)
        who, which = np.ascontiguousarray(pairs[:count, 0]), np.ascontiguousarray(pairs[:count, 1])
        found = _Overlaps(who, which, iou[:count].copy(), following)
        self._settle(order, found, np.isnan(found.iou[:, 0]))
        doubt = np.empty(count, dtype=np.bool_)
        if doubtful(who, found.iou, _STEPS, doubt):
            self._settle(order, found, doubt)
        return found

    def _settle(self, order: Ints, found: _Overlaps, asked: npt.NDArray[np.bool_]) -> None:
        """Take the IoU of some pairs from GEOS."""
        chosen = np.flatnonzero(asked)
        for start, stop in spread(len(chosen), STEP) if len(chosen) else ():
            rows = chosen[start:stop]
            mine, theirs = order[found.who[rows]], found.which[rows]
            found.iou[rows, 0] = _iou(_spread_out(self._mine, mine), _spread_out(self._theirs, theirs))
            found.iou[rows, 1] = 0.0


def _spread_out(shapes: Ragged, who: Ints) -> Geometries:
    distinct, codes = np.unique(who, return_inverse=True)
    return shapes.shapes(distinct)[codes.reshape(-1)]


def _iou(left: Geometries, right: Geometries) -> Floats:
    shared = shapely.area(shapely.intersection(left, right))
    union = shapely.area(left) + shapely.area(right) - shared
    return np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)


def check(prediction: Canonical, _template: Canonical, spec: Spec) -> list[Finding]:
    """Ragged need no coverage: too many of them is the only finding here."""
    return too_many(len(prediction.arrays["features"]) - 1, spec)


def match(prediction: Canonical, truth: Canonical, spec: Spec, prepared: Mapping[str, Array] | None = None) -> Matching:
    """Match all footprints at every threshold on its own.

    In rank order each prediction takes the free truth it overlaps best, if the IoU reaches the threshold; of truths
    overlapped alike the first. ``prepared``: what ``prepare`` made of the truth.
    """
    mine, theirs = footprints(prediction), footprints(truth)
    count, order = len(mine), order_of(prediction)
    hit, taken, quality = np.zeros((count, len(_STEPS)), np.bool_), np.full(count, NONE, np.int64), np.zeros(count)
    if not count or not len(theirs):
        return Matching(hit, taken, quality, order)
    labels = (_NOBODY, _NOBODY)
    if spec.truth.label and has_column(truth, "label") and has_column(prediction, "label"):
        labels = joint_codes(column(truth, "label"), column(prediction, "label"))[::-1]
    known = prepared if prepared and "items" in prepared else prepare(TruthSet(truth), spec)
    search = _Search(mine, theirs, known, order)
    for found in search.pairs(labels):
        iou = np.ascontiguousarray(found.iou[:, 0])
        take(found.who, found.which, iou, order, _STEPS, search.free, hit, taken, quality)
    return Matching(hit, taken, quality, order)


def order_of(prediction: Canonical) -> Ints:
    """The footprints, best first: by falling confidence, equal ones in file order; file order without confidence."""
    if "order" in prediction.arrays or "confidence" not in prediction.arrays:
        count = len(prediction.arrays["features"]) - 1
        return np.asarray(prediction.arrays.get("order", np.arange(count)), dtype=np.int64)
    return np.argsort(-np.asarray(prediction.arrays["confidence"], dtype=np.float64), kind="stable")


def centres(canonical: Canonical) -> Floats:
    """A point inside each feature (n, 2); it decides the block."""
    return _inside(footprints(canonical))


def _inside(shapes: Ragged) -> Floats:
    inside = np.full((len(shapes), 2), np.nan)
    largest = int(np.diff(shapes.rings[shapes.parts]).max(initial=0))
    inner_points(shapes.coords, shapes.rings, shapes.parts, shapes.features, largest, inside)
    return inside


def pair(prediction: Canonical, truth: TruthSet, spec: Spec) -> Pairing:
    """Match all footprints, then cut hits, misses and false alarms into blocks.

    A hit and a miss belong to the block of the true footprint, a false alarm to its own.

    Raises:
        Rejected: more footprints than allowed.
    """
    findings = check(prediction, truth.truth, spec)
    if findings:
        raise Rejected(findings)
    found = match(prediction, truth.truth, spec, truth.prepared)
    here, there = _placed(prediction, truth, found, spec)
    rank = np.empty(len(found.order), dtype=np.int64)
    rank[found.order] = np.arange(len(rank))

    def samples(_part: int) -> Iterator[Block]:
        return _samples(found, rank, here, there)

    return Pairing(1, samples, len(np.unique(there.codes)), len(found.taken))


def _placed(prediction: Canonical, truth: TruthSet, found: Matching, spec: Spec) -> tuple[Placed, Placed]:
    if spec.blocks is None or spec.blocks.size is None:
        nowhere = np.empty((len(truth.truth.arrays["features"]) - 1, 2))
        return place(np.empty((len(found.taken), 2)), nowhere, found.taken, spec)
    theirs = np.asarray(truth.prepared["inside"]) if "inside" in truth.prepared else centres(truth.truth)
    return place(centres(prediction), theirs, found.taken, spec)


def _samples(found: Matching, rank: Ints, here: Placed, there: Placed) -> Iterator[Block]:
    mine = {(key, side): rows for key, side, rows in here.groups()}
    truths = {(key, side): rows for key, side, rows in there.groups()}
    for key, side in sorted({*mine, *truths}, key=lambda item: (item[0], SIDES.index(item[1]))) or [("all", PUBLIC)]:
        rows, owned = mine.get((key, side), _NOBODY), truths.get((key, side), _NOBODY)
        yield (
            key,
            side,
            Matches(rank=rank[rows] + 1, hit=found.hit[rows], n_truth=float(len(owned)), iou=found.iou[rows]),
        )
