"""Points: ranked targets against deposits, matched one to one within a radius."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from datasets.blocks import PUBLIC, SIDES, Placed, make_tiling, placed_whole
from datasets.canonical import Array, Canonical
from datasets.errors import Finding, Rejected
from datasets.spec import Spec
from scoring.kinds.pairing import Block, Pairing, TruthSet
from scoring.samples import Matches

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NONE = -1
PAIRS = 2_000_000  # looked at together, so that stacked targets cannot fill the memory
SLACK = 1e-9  # the tree is asked a little further; the radius itself is tested on the exact distance


@dataclass(frozen=True)
class Matching:
    """Which deposit each target took (m,), NONE for a false alarm, and the distance to it (m,), 0 there."""

    taken: Ints
    distance: Floats


def ranks(prediction: Canonical) -> Ints:
    """The place of each target in the submission, 0 for the best.

    ``order`` comes from intake: by rank or by confidence, equal ones in file order; file order when there is neither.
    """
    count = len(prediction.arrays["x"])
    order = prediction.arrays.get("order")
    result = np.empty(count, dtype=np.int64)
    result[np.arange(count) if order is None else np.asarray(order)] = np.arange(count)
    return result


def match(targets: Floats, rank: Ints, deposits: Floats, radius: float) -> Matching:
    """Each target in rank order takes the nearest deposit within ``radius`` (inclusive) not yet taken.

    Args:
        targets: (m, 2) and deposits (n, 2), coordinates in the same projected CRS; ``radius`` in its unit.
        rank: (m,) distinct places, lower is better.

    Equal distances go to the deposit that comes first in the truth.
    """
    taken = np.full(len(targets), NONE, dtype=np.int64)
    distance = np.zeros(len(targets))
    waiting, free = np.argsort(rank, kind="stable"), np.arange(len(deposits))
    while len(waiting) and len(free):
        tree, reach = cKDTree(deposits[free]), radius * (1 + SLACK)
        nearest, _ = tree.query(targets[waiting], distance_upper_bound=np.nextafter(reach, np.inf))
        waiting = waiting[np.isfinite(nearest)]
        lengths = tree.query_ball_point(targets[waiting], reach, return_length=True)
        count = max(1, int(np.searchsorted(np.cumsum(lengths), PAIRS, side="right")))
        lists: Any = tree.query_ball_point(targets[waiting[:count]], reach)
        who, which, gap = _near_pairs(targets, waiting[:count], deposits[free], lists)
        inside = gap <= radius
        _greedy(who[inside], free[which[inside]], gap[inside], rank, taken, distance)
        waiting, free = waiting[count:], np.setdiff1d(free, taken, assume_unique=False)
    return Matching(taken, distance)


def _near_pairs(targets: Floats, who: Ints, deposits: Floats, lists: Sequence[list[int]]) -> tuple[Ints, Ints, Floats]:
    """Pairs near each other: target indices, deposit indices, exact distances."""
    lengths = np.array([len(found) for found in lists], dtype=np.int64)
    left = np.repeat(who, lengths)
    which = np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=int(lengths.sum()))
    across = targets[left] - deposits[which]
    return left, which, np.hypot(across[:, 0], across[:, 1])


def _greedy(who: Ints, which: Ints, gap: Floats, rank: Ints, taken: Ints, distance: Floats) -> None:
    """Walk the pairs by rank, then distance, then place in the truth; writes into ``taken`` and ``distance``."""
    order = np.lexsort((which, gap, rank[who]))
    gone: set[int] = set()
    served: set[int] = set()
    for target, deposit, near in zip(who[order].tolist(), which[order].tolist(), gap[order].tolist(), strict=True):
        if target not in served and deposit not in gone:
            served.add(target)
            gone.add(deposit)
            taken[target], distance[target] = deposit, near


def check(prediction: Canonical, _template: Canonical, spec: Spec) -> list[Finding]:
    """Points need no coverage: too many targets is the only finding here."""
    return too_many(len(prediction.arrays["x"]), spec)


def too_many(count: int, spec: Spec) -> list[Finding]:
    """The finding of an entry with more features than the challenge allows, if it has."""
    limit = spec.submission.max_features
    if limit is None or count <= limit:
        return []
    hint = f"Keep the best {limit}."
    return [
        Finding(
            "too-many-features",
            f"The file has {count} features; {limit} are allowed.",
            {"feature": limit + 1, "count": count},
            hint,
        )
    ]


def pair(prediction: Canonical, truth: TruthSet, spec: Spec) -> Pairing:
    """Match all targets with all deposits, then cut hits, misses and false alarms into blocks.

    A hit and a miss belong to the deposit's block, a false alarm to the block it lies in.

    Raises:
        Rejected: more targets than allowed.
    """
    findings = check(prediction, truth.truth, spec)
    if findings:
        raise Rejected(findings)
    targets, deposits = places(prediction), places(truth.truth)
    rank = ranks(prediction)
    found = match(targets, rank, deposits, float(spec.truth.radius or 0))
    here, there = place(targets, deposits, found.taken, spec)
    value = truth.truth.arrays.get("value")

    def samples(_part: int) -> Iterator[Block]:
        return _samples(found, rank, None if value is None else np.asarray(value, dtype=np.float64), here, there)

    return Pairing(1, samples, len(set(there.codes.tolist())), len(targets))


def places(canonical: Canonical) -> Floats:
    """Coordinates (n, 2)."""
    return np.stack([np.asarray(canonical.arrays["x"]), np.asarray(canonical.arrays["y"])], axis=1).astype(np.float64)


def place(targets: Floats, truths: Floats, taken: Ints, spec: Spec) -> tuple[Placed, Placed]:
    """Blocks and sides of predictions and of truths, over one common list of keys; hits go with their truth.

    ``taken`` (m,): the truth that stands for each prediction, NONE where it stands alone.
    """
    if spec.blocks is None or spec.blocks.size is None:
        return placed_whole(len(targets)), placed_whole(len(truths))
    tiling = make_tiling(truths[:, 0], truths[:, 1], spec.blocks)
    every = tiling.place(*np.concatenate([truths, targets]).T)
    there = Placed(every.codes[: len(truths)], every.keys, every.sides[: len(truths)])
    codes, sides = every.codes[len(truths) :].copy(), every.sides[len(truths) :].copy()
    hit = taken != NONE
    codes[hit], sides[hit] = there.codes[taken[hit]], there.sides[taken[hit]]
    return Placed(codes, every.keys, sides), there


def _samples(found: Matching, rank: Ints, value: Array | None, here: Placed, there: Placed) -> Iterator[Block]:
    hit = found.taken != NONE
    gained = None if value is None else np.where(hit, value[np.where(hit, found.taken, 0)] if len(value) else 0.0, 0.0)
    targets = {(key, side): rows for key, side, rows in here.groups()}
    truths = {(key, side): rows for key, side, rows in there.groups()}
    nobody = np.empty(0, dtype=np.int64)
    for key, side in sorted({*targets, *truths}, key=lambda item: (item[0], SIDES.index(item[1]))) or [("all", PUBLIC)]:
        rows, owned = targets.get((key, side), nobody), truths.get((key, side), nobody)
        yield (
            key,
            side,
            Matches(
                rank=rank[rows] + 1,
                hit=hit[rows],
                n_truth=float(len(owned)),
                value=None if gained is None else gained[rows],
                distance=found.distance[rows],
                value_total=0.0 if value is None else float(value[owned].sum()),
            ),
        )
