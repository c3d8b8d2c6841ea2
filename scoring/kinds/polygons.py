"""Polygons: footprints against true footprints, one to one by intersection over union (IoU).

Candidates come from a packed tree of the truth's boxes, intersection areas from a compiled sum over pairs of edges
(``polygon_loops``). Where rounding could decide (an IoU at a threshold, two truths overlapped alike), and for
footprints the sum is not meant for, GEOS gives the IoU.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from datasets import threads
from datasets.blocks import PUBLIC, SIDES, Placed
from datasets.canonical import Array, Canonical
from datasets.errors import Finding, Rejected
from datasets.formats.ragged import Ragged
from datasets.formats.ranking import rank
from datasets.spec import Spec
from scoring.kinds.columns import column, has_column, joint_codes
from scoring.kinds.crossing_loops import crossings
from scoring.kinds.inner_loops import inner_points
from scoring.kinds.pairing import Block, Pairing, TruthSet, spread
from scoring.kinds.points import NONE, place, too_many
from scoring.kinds.polygon_loops import FAN, SWEPT, doubtful, measure, overlapping, take
from scoring.samples import Matches

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Geometries = npt.NDArray[np.object_]
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
STEP = 4096  # predictions looked at by one call
PAIRS = 32_768  # kept by one call, so that stacked footprints cannot fill the memory; at least the truth's number alone
CHUNK = 64 * STEP  # predictions sorted by place, so that neighbours read the same part of the truth
MEASURED = 8192  # footprints measured by one call
MOST = 1 << 37  # what matching may cost, in pairs of edges that are compared: some minutes of one core
CALL, VERTEX, CROSSING = 20_000, 500, 8_000  # the same of GEOS: a pair, its vertices, its edges that may cross
CROSSED = 1 << 22  # edges of one pair that may cross: GEOS keeps them all in memory
AT_ONCE = 1 << 22  # vertices and crossings that GEOS is given in one call
_HALF, _FINE, _LOW = np.uint64(32), np.uint64(20), np.uint64((1 << 32) - 1)
_LEAST = np.array([True, True, False, False, True, False])  # what of a box is the least of its children
_NOWHERE = np.where(_LEAST, np.inf, -np.inf)
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
    facts, weight = np.empty((len(shapes), 6)), np.empty(len(shapes.coords), dtype=np.int8)
    arrays = shapes.coords, shapes.rings, shapes.parts, shapes.features
    for _ in threads.each(lambda item: measure(*arrays, *item, facts, weight), spread(len(shapes), MEASURED)):
        pass
    return {"first": shapes.rings.take(shapes.parts.take(shapes.features)), "weight": weight, "facts": facts}


def tree_of(facts: Floats) -> dict[str, Array]:
    """A packed tree of boxes: ``items`` (n,) in leaf order and their facts as ``leaves``; ``boxes`` (g, 6, FAN) in
    groups, from the leaves up: box, least and greatest area; ``levels``: where each level of groups begins, and the
    end. The last level is one group. The children of box k are group k of the level below."""
    items = _near_each_other(facts, np.arange(len(facts)), quantiles=True)
    leaves = facts.take(items, axis=0)
    below, groups, levels = np.column_stack([leaves[:, :5], leaves[:, 4]]), [], [0]
    while True:
        padded = np.tile(_NOWHERE, (-(-max(len(below), 1) // FAN) * FAN, 1))
        padded[: len(below)] = below
        group = np.ascontiguousarray(padded.reshape(-1, FAN, 6).transpose(0, 2, 1))
        groups.append(group)
        levels.append(levels[-1] + len(group))
        if len(group) == 1:
            break
        low, high = group.min(axis=2), group.max(axis=2)
        below = np.where(_LEAST, low, high)
    found = {"boxes": np.concatenate(groups), "levels": np.array(levels, dtype=np.int64)}
    return {"items": items, "leaves": leaves, **found}


def _near_each_other(facts: Floats, who: Ints, *, quantiles: bool = False) -> Ints:
    """An order of ``who`` in which neighbours stand together: strips by x, within each by y; by number where alike.

    ``quantiles``: strips that hold as many each, for coordinates that crowd in some places.
    """
    x, y = (_fraction(facts[:, axis].take(who) + facts[:, axis + 2].take(who)) for axis in (0, 1))
    number, strips = np.arange(len(who), dtype=np.uint64), int(np.ceil(np.sqrt(len(who) / FAN))) or 1
    strip = (x * strips).astype(np.uint64)
    if quantiles:
        marks = np.sort((x * (1 << 31)).astype(np.uint64) << _HALF | number)
        strip[(marks & _LOW).astype(np.int64)] = number * np.uint64(strips) // np.uint64(max(len(who), 1))
    marks = np.sort(strip << _FINE + _HALF | (y * (1 << 20)).astype(np.uint64) << _HALF | number)
    return (marks & _LOW).astype(np.int64)


def _fraction(values: Floats) -> Floats:
    """Where each value lies between the least and the greatest, 0 up to below 1; any number where that overflows."""
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    with np.errstate(all="ignore"):  # coordinates near the largest number: any order will do
        share = np.nan_to_num((values - low) / (high - low))
    return np.asarray(np.clip(share, 0.0, 1.0 - 2.0**-32))


def _ends(first: Ints) -> Ints:
    """First vertex of each footprint, and of the one behind it (n, 2)."""
    return np.column_stack([first[:-1], first[1:]])


def prepare(truth: TruthSet, spec: Spec) -> Mapping[str, Array]:
    """The truth measured, its tree, and with blocks a point inside each footprint.

    ``where`` (n, 2): first vertex and last + 1, in the order of the tree.
    """
    shapes = footprints(truth.truth)
    own = measured(shapes)
    made = tree_of(own["facts"])
    made |= {"weight": own["weight"], "where": _ends(own["first"]).take(made["items"], axis=0)}
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

    ``following``: the place to go on from. ``spent``: what finding them cost, in pairs of edges.
    """

    who: Ints
    which: Ints
    iou: Floats
    following: int
    spent: int


_PILED_UP = Finding(
    "too-slow",
    "Too many footprints lie on top of each other, or too many of their edges cross, to be matched.",
    {},
    "Send each footprint once, keep the best of those that overlap, and simplify the outlines.",
)


class _Search:
    """All that finds the pairs of predictions, in order of rank, with truths that are free somewhere."""

    def __init__(self, mine: Ragged, theirs: Ragged, prepared: Mapping[str, Array], order: Ints) -> None:
        self._mine, self._theirs, self._order = mine, theirs, order
        own = measured(mine)
        self._left: tuple[Any, ...] = (mine.coords, own["first"], own["weight"], own["facts"])
        known = (np.asarray(prepared[name]) for name in ("where", "weight", "leaves"))
        self._right: tuple[Any, ...] = (theirs.coords, *known)
        self._ends = np.empty((len(theirs), 2), dtype=np.int64)
        self._ends[prepared["items"]] = prepared["where"]
        self._tree: tuple[Any, ...] = tuple(np.asarray(prepared[name]) for name in ("items", "boxes", "levels"))
        self.free = np.full(len(theirs), _ALL, dtype=np.uint16)
        self._left_over = MOST

    def pairs(self, labels: tuple[Ints, Ints]) -> Iterator[_Overlaps]:
        """All pairs in pieces that fit the memory, by rank. Neighbours are looked at together where they fit."""
        for start, stop in spread(len(self._order), CHUNK):
            together = self._together(start, stop, labels)
            if together is not None:
                yield together
            else:
                yield from self._in_turn(start, stop, labels)

    def _together(self, start: int, stop: int, labels: tuple[Ints, Ints]) -> _Overlaps | None:
        near = start + _near_each_other(self._left[3], self._order[start:stop])
        order, ranges = self._order[near], spread(stop - start, STEP)
        pieces: list[_Overlaps] = []
        for (_, end), found in zip(
            ranges, threads.each(lambda item: self._near(order, item, labels, PAIRS), ranges), strict=True
        ):
            self._pay(found.spent)
            if found.following < end:
                return None
            pieces.append(found)
        who = near[np.concatenate([piece.who for piece in pieces])]
        rank = np.argsort(who)
        which, iou = (np.concatenate([getattr(piece, name) for piece in pieces])[rank] for name in ("which", "iou"))
        return _Overlaps(who[rank], which, iou, stop, 0)

    def _in_turn(self, start: int, stop: int, labels: tuple[Ints, Ints]) -> Iterator[_Overlaps]:
        room = max(PAIRS, len(self._theirs))
        while start < stop:
            found = self._near(self._order, (start, min(start + STEP, stop)), labels, room)
            self._pay(found.spent)
            yield found
            start = found.following

    def _pay(self, spent: int) -> None:
        """Pieces pay in their order, so that the verdict does not depend on who computes them.

        Raises:
            Rejected: all of them together cost too much.
        """
        self._left_over -= spent
        if self._left_over < 0:
            raise Rejected([_PILED_UP])

    def _near(self, order: Ints, item: tuple[int, int], labels: tuple[Ints, Ints], room: int) -> _Overlaps:
        pairs, iou = np.empty((room, 2), dtype=np.int64), np.empty((room, 2))
        left, right = (*self._left, labels[0]), (*self._right, labels[1])
        most = self._left_over
        given: list[Any] = [order, *item, *left, *right, *self._tree, self.free, most, pairs, iou]
        count, following, spent = overlapping(*given)
        who, which = np.ascontiguousarray(pairs[:count, 0]), np.ascontiguousarray(pairs[:count, 1])
        found = _Overlaps(who, which, iou[:count].copy(), following, spent)
        doubt = np.isnan(found.iou[:, 0])
        spent += self._settle(order, found, doubt, most - spent)
        if spent <= most and doubtful(who, found.iou, _STEPS, doubt):
            spent += self._settle(order, found, doubt, most - spent)
        return replace(found, spent=spent)

    def _settle(self, order: Ints, found: _Overlaps, asked: npt.NDArray[np.bool_], most: int) -> int:
        """Take the IoU of some pairs from GEOS; what that costs. Where it is more than ``most``, they are left."""
        chosen = np.flatnonzero(asked)
        if most < 0 or not len(chosen):
            return 0
        who, which = order[found.who[chosen]], found.which[chosen]
        sizes = np.zeros(len(chosen), dtype=np.int64)
        mine, theirs = _ends(self._left[1])[who], self._ends[which]
        looked = crossings(
            self._left[0], mine, self._left[2], self._right[0], theirs, self._right[2], most // SWEPT, sizes
        )
        if SWEPT * looked > most or sizes.max() > CROSSED:
            return most + 1
        cost = SWEPT * looked + CALL * len(chosen) + CROSSING * int(sizes.sum())
        vertices = np.diff(mine)[:, 0] + np.diff(theirs)[:, 0]
        cost, sizes = cost + VERTEX * int(vertices.sum()), sizes + vertices
        if cost > most:
            return cost
        batch = (np.cumsum(sizes) - sizes) // AT_ONCE * len(chosen) + np.arange(len(chosen)) // STEP
        for rows in np.split(np.arange(len(chosen)), np.flatnonzero(np.diff(batch)) + 1):
            shapes = _spread_out(self._mine, who[rows]), _spread_out(self._theirs, which[rows])
            found.iou[chosen[rows], 0] = _iou(*shapes)
        found.iou[chosen, 1] = 0.0
        return cost


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
    hit, taken, quality = np.zeros((len(_STEPS), count), np.bool_), np.full(count, NONE, np.int64), np.zeros(count)
    if not count or not len(theirs):
        return Matching(hit.T, taken, quality, order)
    labels = (_NOBODY, _NOBODY)
    if spec.truth.label and has_column(truth, "label") and has_column(prediction, "label"):
        labels = joint_codes(column(truth, "label"), column(prediction, "label"))[::-1]
    known = prepared if prepared and "where" in prepared else prepare(TruthSet(truth), spec)
    search = _Search(mine, theirs, known, order)
    for found in search.pairs(labels):
        iou = np.ascontiguousarray(found.iou[:, 0])
        take(found.who, found.which, iou, order, _STEPS, search.free, hit, taken, quality)
    return Matching(hit.T, taken, quality, order)


def order_of(prediction: Canonical) -> Ints:
    """The footprints, best first: by falling confidence, equal ones in file order; file order without confidence."""
    if "order" in prediction.arrays or "confidence" not in prediction.arrays:
        count = len(prediction.arrays["features"]) - 1
        return np.asarray(prediction.arrays.get("order", np.arange(count)), dtype=np.int64)
    confidence = np.asarray(prediction.arrays["confidence"], dtype=np.float64)
    return rank(confidence, falling=True).places(0, len(confidence))


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

    def samples(_part: int) -> Iterator[Block]:
        return _samples(found, here, there)

    return Pairing(1, samples, len(np.unique(there.codes)), len(found.taken))


def _placed(prediction: Canonical, truth: TruthSet, found: Matching, spec: Spec) -> tuple[Placed, Placed]:
    if spec.blocks is None or spec.blocks.size is None:
        nowhere = np.empty((len(truth.truth.arrays["features"]) - 1, 2))
        return place(np.empty((len(found.taken), 2)), nowhere, found.taken, spec)
    theirs = np.asarray(truth.prepared["inside"]) if "inside" in truth.prepared else centres(truth.truth)
    return place(centres(prediction), theirs, found.taken, spec)


def _samples(found: Matching, here: Placed, there: Placed) -> Iterator[Block]:
    """Hits, misses and truths of each block, best first."""
    ranked = Placed(here.codes[found.order], here.keys, here.sides[found.order])
    mine = {(key, side): turns for key, side, turns in ranked.groups()}
    truths = {(key, side): rows for key, side, rows in there.groups()}
    for key, side in sorted({*mine, *truths}, key=lambda item: (item[0], SIDES.index(item[1]))) or [("all", PUBLIC)]:
        turns, owned = mine.get((key, side), _NOBODY), truths.get((key, side), _NOBODY)
        rows = found.order[turns]
        hit = np.stack([step.take(rows) for step in found.hit.T]).T  # a threshold at a time: rows of it stay in cache
        yield key, side, Matches(turns + 1, hit, float(len(owned)), iou=found.iou[rows])
