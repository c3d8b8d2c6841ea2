"""Spearman's r of large data: the ranks of y and of f from cells of each axis, then one more pass over the pairs.

The first passes count y and f, each by itself, and cut the cells that saw several values, as those of other metrics do
(``scoring.metrics.passes``). The last looks up the mid-ranks of every pair, among all rows and among those of its side,
and adds up their products; for each block it counts the pairs in GROUPS × GROUPS cells of about equal weight, the same
in every block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from datasets.blocks import PRIVATE, PUBLIC, SIDES, Side
from scoring.metrics import cell_loops as loops
from scoring.metrics import tally
from scoring.metrics.cells import NOTHING, Counting, Leaves, Stream, ends
from scoring.metrics.passes import Measured, Passes, Reading, Sides
from scoring.metrics.spread import Spread, correlation
from scoring.metrics.windows import Layout, bit_lengths, loose, lows, of_bytes, to_bytes
from scoring.samples import Array, Numbers, without_weightless
from scoring.state import FINE, BlockKey, Collector, Floats, State, Which

AXIS_CELLS = 1 << 22  # of a pass, both axes together
ENOUGH = 1e-5  # the bound that will do where most values differ: what is left beyond the rows of rank_sorts
GROUPS = 64
PIECE = 1 << 16


def streams(sample: Numbers) -> list[Stream]:
    """Both axes; counts stand in column 0."""
    kept = without_weightless(sample)
    column = np.zeros(len(kept.y), dtype=np.uint8)
    return [(np.asarray(kept.y), column, kept.w), (np.asarray(kept.f), column, kept.w)]


def unblocked(_leaves: Leaves) -> State:
    """Marginal cells say nothing of a block; its pairs are counted in the last pass."""
    raise AssertionError("no pass over the axes asks for blocks")


def collector(detail: bytes, rows: int) -> Collector:
    """For a pass over the axes, or for the one over the pairs."""
    if detail and "ranks" in of_bytes(detail):
        return Pairs(detail)
    return Counting(streams, unblocked, detail, rows)


@dataclass(frozen=True)
class Ranks:
    """Where each value stands: ``ranks`` (k, cells) mid-ranks, row 0 among all rows, row rows[s] in side s of SIDES."""

    layout: Layout
    ranks: Floats
    rows: Array
    groups: Array  # (cells,) uint8
    group_ends: Floats  # (axis, GROUPS, 2) least and greatest value

    def to_bytes(self) -> bytes:
        arrays = {"ranks": self.ranks, "rows": self.rows, "groups": self.groups, "group_ends": self.group_ends}
        return to_bytes(self.layout.to_arrays("fine") | arrays)


@lru_cache(maxsize=2)
def _ranks_of(detail: bytes) -> Ranks:
    arrays = of_bytes(detail)
    layout = Layout.of_arrays("fine", arrays)
    assert layout is not None
    ranks, groups = loose(arrays["ranks"], np.float64), loose(arrays["groups"], np.uint8)
    return Ranks(layout, ranks, arrays["rows"], groups, arrays["group_ends"])


class Pairs:
    """Counts the pairs of one bundle in the last pass."""

    def __init__(self, detail: bytes) -> None:
        self._ranks = _ranks_of(detail)
        self._sums: dict[Side, Floats] = {}
        self._joint: dict[BlockKey, Floats] = {}

    def add(self, place: BlockKey, sample: Numbers) -> None:
        kept, known = without_weightless(sample), self._ranks
        side = known.ranks[known.rows[SIDES.index(place[1])]]
        sums = self._sums.setdefault(place[1], np.zeros(2))
        joint = self._joint.setdefault(place, np.zeros(GROUPS * GROUPS))
        at = np.zeros((2, PIECE), dtype=np.int32)
        for start in range(0, len(kept.y), PIECE):
            rows = slice(start, start + PIECE)
            n = len(kept.y[rows])
            w = NOTHING if kept.w is None else loose(kept.w[rows], np.float64)
            for axis, values in enumerate((kept.y[rows], kept.f[rows])):
                self._find(axis, values, at[axis, :n])
            loops.pair_ranks(at[0, :n], at[1, :n], w, known.ranks[0], side, known.groups, sums, joint)

    def _find(self, axis: int, values: Array, places: Array) -> None:
        layout = self._ranks.layout
        form = layout.form
        given = loose(values, form.value)
        base = axis * len(layout.first) // 2
        raw = given.view(form.key)
        loops.find_windows(given, raw, form.linear, base, layout.first, layout.windows, layout.begin, places)

    def states(self) -> dict[BlockKey, State]:
        found: dict[BlockKey, State] = {(FINE, side): {"sums": sums} for side, sums in self._sums.items()}
        return found | {place: self._blocked(joint) for place, joint in self._joint.items()}

    def _blocked(self, joint: Floats) -> State:
        cells = np.flatnonzero(joint)
        low, high = (
            np.stack(
                [self._ranks.group_ends[0, cells // GROUPS, end], self._ranks.group_ends[1, cells % GROUPS, end]], 1
            )
            for end in (0, 1)
        )
        lo, hi = (np.stack([tally.ordered(column) for column in values.T], axis=1) for values in (low, high))
        return tally.celled(cells, lo, hi, joint[cells][:, None])


class RankStudy:
    """See scoring.state.Study."""

    def __init__(self, rows: int) -> None:
        reading = Reading(_worst, _axis_needs, unblocked, budget=AXIS_CELLS, enough=ENOUGH, few_rows=0)
        self._axes = Passes(reading, rows=rows, blocks=1)
        self._ranking = False
        self._sums: dict[Side, Floats] = {}
        self._spread: dict[Side | None, list[Spread]] = {}
        self._totals: dict[Side | None, float] = {}

    def take(self, side: Side, state: State) -> None:
        if "form" in state:
            self._axes.take(side, state)
        else:
            self._sums[side] = self._sums.get(side, np.zeros(2)) + state["sums"]

    def next(self) -> bytes | None:
        if self._ranking:
            return None
        about = self._axes.next()
        if about is not None or not self._axes.leaves:
            return about
        self._ranking = True
        return self._ranked().to_bytes()

    def _ranked(self) -> Ranks:
        whole = self._axes.leaves[None]
        layout = leaf_layout(whole)
        seen = [side for side in SIDES if side in self._axes.leaves]
        rows = {side: 0 if len(seen) == 1 else 1 + place for place, side in enumerate(seen)}
        ranks = np.zeros((1 + max(rows.values()), layout.size))
        for side, leaves in self._axes.leaves.items():
            spreads = []
            for axis in (0, 1):
                weight, mixed = leaves.weights(axis)
                rank = midranks(weight)
                places = np.searchsorted(whole.cells[axis][:, 0], leaves.cells[axis][:, 0])
                ranks[0 if side is None else rows[side], layout.spans[axis] + places] = rank
                spreads.append(lost_and_variance(weight, mixed, rank))
            self._spread[side] = spreads
            self._totals[side] = float(leaves.weights(0)[0].sum())
        grouped = [_groups(whole, axis) for axis in (0, 1)]
        groups, group_ends = np.concatenate([own for own, _ in grouped]), np.stack([own for _, own in grouped])
        return Ranks(layout, ranks, np.array([rows.get(side, 0) for side in SIDES]), groups, group_ends)

    def value(self, _name: str, which: Which) -> tuple[float, float]:
        sides: Mapping[Which, Side | None] = {"overall": None, "public": PUBLIC, "private": PRIVATE}
        side = sides[which]
        if side not in self._spread:
            return float("nan"), 0.0
        total = sum(sums[0] for sums in self._sums.values()) if side is None else self._sums[side][1]
        y, f = self._spread[side]
        return correlation(y, f, float(total) / self._totals[side])

    def blocks(self) -> dict[Side, State]:
        return {}


def _groups(leaves: Leaves, axis: int) -> tuple[Array, Floats]:
    """The group of each leaf of an axis, and least and greatest value of each group (GROUPS, 2)."""
    group = np.minimum(((midranks(leaves.weights(axis)[0]) + 0.5) * GROUPS).astype(np.int64), GROUPS - 1)
    low, high = ends(leaves.cells[axis])
    first, last = (np.searchsorted(group, np.arange(GROUPS), side=at) for at in ("left", "right"))
    full, group_ends = last > first, np.zeros((GROUPS, 2))
    group_ends[full] = np.stack([low[first[full]], high[last[full] - 1]], axis=1)
    return group.astype(np.uint8), group_ends


def leaf_layout(leaves: Leaves) -> Layout:
    """Every leaf as a window of one cell."""
    windows, spans = [], [0]
    for cells in leaves.cells:
        low, high = lows(cells), cells[:, 0].astype(np.uint64)
        windows.append(np.stack([low, high, np.minimum(bit_lengths(high - low), 63).astype(np.uint64)], axis=1))
        spans.append(spans[-1] + len(cells))
    return Layout(leaves.form, np.concatenate(windows), tuple(spans))


def _worst(leaves: Leaves) -> Measured:
    """How far merged cells can move r: the bound of an r of 0, whatever the pairs are."""
    if not len(leaves):
        return {}
    weights = [leaves.weights(axis) for axis in (0, 1)]
    y, f = (lost_and_variance(weight, mixed, midranks(weight)) for weight, mixed in weights)
    return {"spearman_r": correlation(y, f, 0.0)}


def _axis_needs(sides: Sides) -> list[Floats]:
    """Cells that hide w³ / m² each when cut in m hide least for m ∝ w: needs are the squares of weights."""
    whole, found = sides[None], []
    for axis in (0, 1):
        weight, mixed = whole.weights(axis)
        found.append(np.square(weight / weight.sum()) * mixed)
    return found


def midranks(weight: Floats) -> Floats:
    """Centred mid-ranks as shares of the weight."""
    ranks: Floats = (np.cumsum(weight) - weight / 2) / weight.sum() - 0.5
    return ranks


def lost_and_variance(weight: Floats, mixed: Array, rank: Floats) -> tuple[float, float]:
    """The mean square of what merged cells can hide, and the variance of the ranks."""
    total = float(weight.sum())
    hidden = np.where(mixed, weight, 0.0)
    return float((hidden * (hidden / total) ** 2).sum() / 12 / total), float((weight * rank * rank).sum()) / total
