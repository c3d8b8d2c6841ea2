"""Points: ranked targets against deposits, matched one to one within a radius."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datasets.blocks import PUBLIC, SIDES, Placed, Side, by_code, make_tiling, placed_whole
from datasets.canonical import Array, Canonical
from datasets.errors import Finding, Rejected
from datasets.spec import Spec
from scoring.kinds import reach
from scoring.kinds.pairing import Block, Pairing, TruthSet
from scoring.rules import NEEDS_REACH
from scoring.samples import Matches, Reach

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NONE = -1


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
    taken, distance = np.full(len(targets), NONE, dtype=np.int64), np.zeros(len(targets))
    order = np.argsort(rank, kind="stable")
    truth = reach.index(deposits[:, 0], deposits[:, 1], radius)
    found = reach.nearest_free(targets[:, 0], targets[:, 1], order, truth, radius)
    who = order[found.turn]
    taken[who], distance[who] = found.which, found.distance
    return Matching(taken, distance)


def prepare(truth: TruthSet, spec: Spec) -> Mapping[str, Array]:
    """The index of the deposits; see ``scoring.kinds.reach``."""
    return reach.index(truth.truth.arrays["x"], truth.truth.arrays["y"], _radius(spec))


def _radius(spec: Spec) -> float:
    return float(spec.truth.radius or 0)


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
    there, radius = placed(truth.truth, spec), _radius(spec)
    made = truth.prepared if reach.fits(truth.prepared, radius) else prepare(truth, spec)
    search = _Search(prediction, truth.truth, made, radius)

    def samples(part: int) -> Iterator[Block]:
        return _reaches(search, there) if part else _matches(search, spec)

    parts = 2 if NEEDS_REACH & set(spec.scoring.metrics) else 1
    return Pairing(parts, samples, len(np.unique(there.codes)), len(prediction.arrays["x"]))


@dataclass(frozen=True)
class _Search:
    """Ranked targets, the deposits, and the index of these."""

    prediction: Canonical
    truth: Canonical
    index: Mapping[str, Array]
    radius: float

    @property
    def targets(self) -> tuple[Array, Array, Array | None]:
        """x, y and the order by rank, best first; None when they stand in it."""
        arrays = self.prediction.arrays
        return arrays["x"], arrays["y"], arrays.get("order")

    @property
    def value(self) -> Floats | None:
        """The worth of each deposit."""
        value = self.truth.arrays.get("value")
        return None if value is None else np.asarray(value, dtype=np.float64)


def places(canonical: Canonical) -> Floats:
    """Coordinates (n, 2)."""
    return np.stack([np.asarray(canonical.arrays["x"]), np.asarray(canonical.arrays["y"])], axis=1).astype(np.float64)


def placed(truth: Canonical, spec: Spec) -> Placed:
    """Blocks and sides of the deposits."""
    if spec.blocks is None or spec.blocks.size is None:
        return placed_whole(len(truth.arrays["x"]))
    xy = places(truth)
    return make_tiling(xy[:, 0], xy[:, 1], spec.blocks).place(xy[:, 0], xy[:, 1])


def place(targets: Floats, truths: Floats, taken: Ints, spec: Spec) -> tuple[Placed, Placed]:
    """Blocks and sides of predictions and of truths, over one common list of keys; hits go with their truth.

    ``taken`` (m,): the truth that stands for each prediction, NONE where it stands alone.
    """
    here, there = _apart(targets, truths, spec)
    hit = taken != NONE
    codes, sides = here.codes.copy(), here.sides.copy()
    codes[hit], sides[hit] = there.codes[taken[hit]], there.sides[taken[hit]]
    return Placed(codes, here.keys, sides), there


def _apart(targets: Floats, truths: Floats, spec: Spec) -> tuple[Placed, Placed]:
    """Blocks and sides of where predictions and truths themselves lie."""
    if spec.blocks is None or spec.blocks.size is None:
        return placed_whole(len(targets)), placed_whole(len(truths))
    tiling = make_tiling(truths[:, 0], truths[:, 1], spec.blocks)
    every = tiling.place(*np.concatenate([truths, targets]).T)
    count = len(truths)
    return (
        Placed(every.codes[count:], every.keys, every.sides[count:]),
        Placed(every.codes[:count], every.keys, every.sides[:count]),
    )


@dataclass(frozen=True)
class _Misses:
    """False alarms counted: ``count`` of them in ``group`` between two successive hits, told by a ``rank`` there."""

    group: Ints
    rank: Ints
    count: Ints


def _matches(search: _Search, spec: Spec) -> Iterator[Block]:
    """Hits, misses and deposits of each block."""
    found = reach.nearest_free(*search.targets, search.index, search.radius)
    keys, own, misses = _grouped(search.prediction, search.truth, spec, found)
    truths, hits, alarms = _rows(own), _rows(own[found.which]), _rows(misses.group)
    worth, nobody = search.value, np.empty(0, dtype=np.int64)
    for key, side, group in _named({*truths, *hits, *alarms}, keys) or [("all", PUBLIC, 0)]:
        owned, hit, alarm = truths.get(group, nobody), hits.get(group, nobody), alarms.get(group, nobody)
        total = 0.0 if worth is None else float(worth[owned].sum())
        yield key, side, _sample(found, hit, misses, alarm, worth, (float(len(owned)), total))


def _reaches(search: _Search, there: Placed) -> Iterator[Block]:
    """When the deposits of each block were first reached; nothing in it is counted as a candidate or a truth again."""
    first = reach.reached(*search.targets, search.index, search.radius)
    worth, count, nobody = search.value, len(search.targets[0]), np.empty(0)
    for key, side, own in there.groups():
        reached = Reach(first[own], None if worth is None else worth[own], count)
        yield key, side, Matches(nobody, nobody, 0.0, reach=reached)


def _grouped(
    prediction: Canonical, truth: Canonical, spec: Spec, found: reach.Hits
) -> tuple[tuple[str, ...], Ints, _Misses]:
    """Keys of the blocks, the group of each deposit (place of its key · number of sides + side), and the misses."""
    count, steps = len(prediction.arrays["x"]), len(SIDES)
    between = np.diff(found.turn, prepend=-1, append=count) - 1
    rank = np.concatenate([[1], found.turn + 2])  # the first after each hit; nothing is there where between is 0
    if spec.blocks is None or spec.blocks.size is None:
        there, some = placed_whole(len(truth.arrays["x"])), np.flatnonzero(between)
        group = np.zeros(len(some), dtype=np.int64)
        return there.keys, there.codes * steps + there.sides, _Misses(group, rank[some], between[some])
    here, there = _apart(places(prediction), places(truth), spec)
    alarms = here.codes * steps + here.sides
    order = prediction.arrays.get("order")
    alarms = np.delete(alarms if order is None else alarms[np.asarray(order)], found.turn)
    ranks_ = np.repeat(rank, between)
    by_group, _ = by_code(alarms)
    alarms, ranks_ = alarms[by_group], ranks_[by_group]
    new = np.flatnonzero((np.diff(alarms, prepend=-1) != 0) | (np.diff(ranks_, prepend=-1) != 0))
    sizes = np.diff(np.append(new, len(alarms)))
    return there.keys, there.codes * steps + there.sides, _Misses(alarms[new], ranks_[new], sizes)


def _rows(group: Ints) -> dict[int, Ints]:
    """The places of each number, rising."""
    order, starts = by_code(group)
    return {int(group[rows[0]]): rows for rows in np.split(order, starts[1:]) if len(rows)}


def _named(groups: set[int], keys: tuple[str, ...]) -> list[tuple[str, Side, int]]:
    named = [(keys[group // len(SIDES)], group % len(SIDES), group) for group in groups]
    return [(key, SIDES[side], group) for key, side, group in sorted(named)]


def _sample(
    found: reach.Hits, hit: Ints, misses: _Misses, alarm: Ints, worth: Floats | None, totals: tuple[float, float]
) -> Matches:
    """The candidates of a block by rank: hits one by one, misses counted. ``totals``: number and value of deposits."""
    rank = np.concatenate([found.turn[hit] + 1, misses.rank[alarm]])
    order = np.argsort(rank, kind="stable")
    none = np.zeros(len(alarm))

    def column(values: Array) -> Array:
        return np.concatenate([values, none])[order]

    return Matches(
        rank=rank[order],
        hit=column(np.ones(len(hit))) > 0,
        n_truth=totals[0],
        value=None if worth is None else column(worth[found.which[hit]]),
        distance=column(found.distance[hit]),
        w=np.concatenate([np.ones(len(hit)), misses.count[alarm]])[order],
        value_total=totals[1],
    )
