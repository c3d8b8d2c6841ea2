"""Polygons: footprints against true footprints, one to one by intersection over union (IoU)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from datasets.blocks import PUBLIC, SIDES, Placed
from datasets.canonical import Canonical
from datasets.errors import Finding, Rejected
from datasets.spec import Spec
from scoring.kinds.columns import column, has_column, joint_codes
from scoring.kinds.pairing import Block, Pairing, TruthSet
from scoring.kinds.points import NONE, place, ranks, too_many
from scoring.samples import Matches

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Geometries = npt.NDArray[np.object_]
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
PAIRS = 500_000  # intersected at once


@dataclass(frozen=True)
class Overlaps:
    """Pairs with IoU of at least the first threshold: prediction, truth, IoU; best prediction first, then best IoU."""

    who: Ints
    which: Ints
    iou: Floats


def geometries(canonical: Canonical) -> Geometries:
    """The features as shapely polygons; a feature of several parts is a multipolygon."""
    arrays = canonical.arrays
    coords, rings, parts, features = (np.asarray(arrays[name]) for name in ("coords", "rings", "parts", "features"))
    if not len(features) - 1:
        return np.empty(0, dtype=object)
    made: Geometries = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, coords, (rings, parts, features))
    return made


def overlaps(
    predictions: Geometries, truths: Geometries, rank: Ints, same_label: tuple[Ints, Ints] | None = None
) -> Overlaps:
    """Exact intersections of features whose boxes meet, kept where the IoU reaches 0.5.

    Args:
        rank: (m,) distinct places, lower is better.
        same_label: label codes of predictions and truths; only equal ones can match.
    """
    if not len(predictions) or not len(truths):
        return Overlaps(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    who, which = shapely.STRtree(truths).query(predictions)
    if same_label is not None:
        agree = same_label[0][who] == same_label[1][which]
        who, which = who[agree], which[agree]
    iou = np.concatenate(
        [_iou(predictions[who[i : i + PAIRS]], truths[which[i : i + PAIRS]]) for i in range(0, max(len(who), 1), PAIRS)]
    )
    keep = iou >= THRESHOLDS[0]
    who, which, iou = who[keep].astype(np.int64), which[keep].astype(np.int64), iou[keep]
    order = np.lexsort((which, -iou, rank[who]))
    return Overlaps(who[order], which[order], iou[order])


def _iou(left: Geometries, right: Geometries) -> Floats:
    shared = shapely.area(shapely.intersection(left, right))
    union = shapely.area(left) + shapely.area(right) - shared
    return np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)


def greedy(found: Overlaps, count: int, threshold: float) -> tuple[Ints, Floats]:
    """Each prediction in rank order takes the free truth it overlaps best, if the IoU reaches ``threshold``.

    Returns:
        The truth taken (m,), NONE without one, and the IoU with it (m,), 0 without.
    """
    taken, quality = np.full(count, NONE, dtype=np.int64), np.zeros(count)
    gone: set[int] = set()
    served: set[int] = set()
    enough = found.iou >= threshold
    for who, which, iou in zip(
        found.who[enough].tolist(), found.which[enough].tolist(), found.iou[enough].tolist(), strict=True
    ):
        if who not in served and which not in gone:
            served.add(who)
            gone.add(which)
            taken[who], quality[who] = which, iou
    return taken, quality


def check(prediction: Canonical, _template: Canonical, spec: Spec) -> list[Finding]:
    """Footprints need no coverage: too many of them is the only finding here."""
    return too_many(len(prediction.arrays["features"]) - 1, spec)


@dataclass(frozen=True)
class Matching:
    """``hit`` (m, T) at each threshold; ``taken`` (m,) at the lowest threshold with a hit; ``iou`` (m,) at 0.5."""

    hit: npt.NDArray[np.bool_]
    taken: Ints
    iou: Floats


def match(prediction: Canonical, truth: Canonical, spec: Spec) -> Matching:
    """Match all footprints at every threshold on its own."""
    mine, theirs = geometries(prediction), geometries(truth)
    labels = None
    if spec.truth.label and has_column(truth, "label") and has_column(prediction, "label"):
        labels = joint_codes(column(truth, "label"), column(prediction, "label"))[::-1]
    found = overlaps(mine, theirs, ranks_of(prediction), labels)
    each = [greedy(found, len(mine), threshold) for threshold in THRESHOLDS]
    hit = np.stack([taken != NONE for taken, _ in each], axis=1)
    first = np.full(len(mine), NONE, dtype=np.int64)
    for taken, _ in reversed(each):
        first = np.where(taken != NONE, taken, first)
    return Matching(hit, first, each[0][1])


def ranks_of(prediction: Canonical) -> Ints:
    """The place of each footprint: by falling confidence, equal ones in file order; file order without confidence."""
    count = len(prediction.arrays["features"]) - 1
    if "order" in prediction.arrays or "confidence" not in prediction.arrays:
        order = np.asarray(prediction.arrays.get("order", np.arange(count)))
    else:
        order = np.argsort(-np.asarray(prediction.arrays["confidence"], dtype=np.float64), kind="stable")
    return ranks(Canonical("points", {"x": np.empty(count), "order": order}))


def centres(canonical: Canonical) -> Floats:
    """A point inside each feature (n, 2); it decides the block."""
    inside = shapely.point_on_surface(geometries(canonical))
    return np.stack([shapely.get_x(inside), shapely.get_y(inside)], axis=1).astype(np.float64).reshape(-1, 2)


def pair(prediction: Canonical, truth: TruthSet, spec: Spec) -> Pairing:
    """Match all footprints, then cut hits, misses and false alarms into blocks.

    A hit and a miss belong to the block of the true footprint, a false alarm to its own.

    Raises:
        Rejected: more footprints than allowed.
    """
    findings = check(prediction, truth.truth, spec)
    if findings:
        raise Rejected(findings)
    found = match(prediction, truth.truth, spec)
    here, there = place(centres(prediction), centres(truth.truth), found.taken, spec)
    rank = ranks_of(prediction)

    def samples(_part: int) -> Iterator[Block]:
        return _samples(found, rank, here, there)

    return Pairing(1, samples, len(set(there.codes.tolist())), len(found.taken))


def _samples(found: Matching, rank: Ints, here: Placed, there: Placed) -> Iterator[Block]:
    mine = {(key, side): rows for key, side, rows in here.groups()}
    truths = {(key, side): rows for key, side, rows in there.groups()}
    nobody = np.empty(0, dtype=np.int64)
    for key, side in sorted({*mine, *truths}, key=lambda item: (item[0], SIDES.index(item[1]))) or [("all", PUBLIC)]:
        rows, owned = mine.get((key, side), nobody), truths.get((key, side), nobody)
        yield (
            key,
            side,
            Matches(rank=rank[rows] + 1, hit=found.hit[rows], n_truth=float(len(owned)), iou=found.iou[rows]),
        )
