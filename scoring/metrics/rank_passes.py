"""Spearman's r of large data: cells of y and of f first, then the rows of each cell in order, some cells at a time.

The first passes count y and f, each by itself, and cut the cells that saw several values, as those of other metrics do
(``scoring.metrics.passes``), until the cells of an axis are so many and so even that the rows of two cells, one of each
axis, cannot matter together. Call x the mid-rank of a row's cell of y and d how far the row's own mid-rank lies from
it, z and e the same of f. Then

    Σ (x + d)·(z + e) = Σ x·z + Σ d·z + Σ x·e + Σ d·e.

The next passes add up Σ x·z and hand on, cell by cell, the rows of as many cells as fit into ROOM: put in order they
tell d exactly, and each row knows the other cell, so Σ d·z and Σ x·e are exact. Σ d·e is at most √(Σ d²·Σ e²), some
1e-10 of what matters. The memory this takes does not grow with the data, and where cells are left over after PASSES,
or hold more rows than there is room for, the bound tells what they hide (``scoring.metrics.spread``).
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from datasets.blocks import PRIVATE, PUBLIC, SIDES, Side
from datasets.threads import each
from scoring.metrics import rank_order_loops as loops
from scoring.metrics.cells import NOTHING, Counting, Leaves
from scoring.metrics.passes import PRECISION, Measured, Passes, Reading, Sides
from scoring.metrics.rank_cells import Pairs, RankCells, midranks, streams
from scoring.metrics.spread import Spread, correlation
from scoring.metrics.windows import of_bytes
from scoring.samples import Array
from scoring.state import Collector, Detail, Floats, State, Which

AXIS_CELLS = 1 << 18  # of a pass, both axes together
ROOM = 1 << 25  # rows put in order in one pass, both axes together
PASSES = 64
PIECES = 32  # into which the rows of a pass are cut, for as many threads as there are


def unblocked(_leaves: Leaves) -> State:
    """Marginal cells say nothing of a block; its pairs are counted in the first pass over them."""
    raise AssertionError("no pass over the axes asks for blocks")


def collector(detail: Detail, rows: int) -> Collector:
    """For a pass over the axes, or for one over the pairs."""
    if detail.data and "ranks" in of_bytes(detail.data):
        return Pairs(detail.read(RankCells.of_bytes))
    return Counting(streams, unblocked, detail, rows)


class Ordered:
    """The cells of all rows, and what the rows put in order so far have told."""

    def __init__(self, sides: Sides) -> None:
        whole = sides[None]
        self.sides = [side for side in SIDES if side in sides and len(sides[side])]
        ways = 1 if len(self.sides) == 1 else 1 + len(SIDES)
        self.weighted = any(len(sums) for sums in whole.sums)
        self.counts = np.concatenate([cells[:, 2].astype(np.int64) + cells[:, 3] for cells in whole.cells])
        self.hides = np.concatenate([whole.weights(axis)[1] for axis in (0, 1)])
        self.split, self.size = len(whole.cells[0]), len(self.counts)
        self.room = ROOM // 2 if self.weighted else ROOM
        ordered = self.hides & (self.counts <= self.room)
        ranks, self.totals = np.zeros((ways, self.size)), np.ones(ways)
        self.rest: list[list[tuple[Floats, Array, Array]]] = [[] for _ in range(ways)]  # weights, mixed, cells by axis
        self.fixed = np.zeros((ways, 2))
        for way, side in enumerate((None, *SIDES)[:ways]):
            for axis in (0, 1) if side is None or side in self.sides else ():
                self._learn(way, axis, sides[side], whole, ranks)
        self.cells = RankCells.of(whole, ranks, ordered)
        self.told = np.zeros((2, ways, 3))

    def _learn(self, way: int, axis: int, leaves: Leaves, whole: Leaves, ranks: Floats) -> None:
        weight, mixed = leaves.weights(axis)
        rank = midranks(weight)
        places = np.searchsorted(whole.cells[axis][:, 0], leaves.cells[axis][:, 0]) + axis * self.split
        ranks[way, places] = rank
        self.totals[way] = weight.sum()
        self.rest[way].append((weight, mixed, places))
        self.fixed[way, axis] = (weight * rank * rank).sum()

    def shares(self) -> list[tuple[int, int]]:
        """Ranges of cells whose rows have room at a time, at most PASSES of them."""
        mine = np.where(self.cells.mixed != 0, self.counts, 0)
        reach, start = np.cumsum(mine), 0
        found: list[tuple[int, int]] = []
        while start < self.size and len(found) < PASSES:
            before = int(reach[start - 1]) if start else 0
            stop = int(np.searchsorted(reach, before + self.room, side="right"))
            found.append((start, stop))
            start = stop
        return found

    def value(self, way: int, products: float) -> tuple[float, float]:
        """r and its bound among all rows, or among those of a side; ``products``: Σ w·x·z."""
        total = float(self.totals[way])
        spreads: list[Spread] = []
        for axis in (0, 1):
            weight, mixed, places = self.rest[way][axis]
            lost = np.where(mixed & self.hides[places], weight, 0.0)
            hidden = float((lost * (lost / total) ** 2).sum() / 12) + float(self.told[axis, way, 2])
            spreads.append((hidden / total, float(self.fixed[way, axis] + self.told[axis, way, 1]) / total))
        moved, square = self.told[:, way, 0], self.told[:, way, 1]
        apart = float(np.sqrt(square[0] * square[1])) / total
        return correlation(spreads[0], spreads[1], float(products + moved.sum()) / total, apart)


class Order:
    """The rows of one pass, cell by cell as they come in, and then in order."""

    def __init__(self, ordered: Ordered, start: int, stop: int) -> None:
        self._of, self._start, self._stop = ordered, start, stop
        counts = np.where(ordered.cells.mixed[start:stop] != 0, ordered.counts[start:stop], 0)
        self._begin = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._at = self._begin[:-1].copy()
        self._codes = np.empty(self._begin[-1], dtype=np.uint64)
        self._w = np.empty(self._begin[-1]) if ordered.weighted else NOTHING

    def take(self, state: State) -> None:
        """Add the rows of a bundle."""
        names, counts = (np.ascontiguousarray(state[name], dtype=np.int32) for name in ("names", "counts"))
        codes, w = np.ascontiguousarray(state["codes"], np.uint64), np.ascontiguousarray(state["w"], np.float64)
        loops.place(names, counts, codes, w, self._start, self._at, self._codes, self._w)

    def finish(self) -> None:
        """Put every cell in order; from now on its rows hide nothing."""
        for axis, own in enumerate((slice(0, self._of.split), slice(self._of.split, self._of.size))):
            low, high = max(own.start, self._start) - self._start, min(own.stop, self._stop) - self._start
            if low >= high:
                continue
            edges = np.searchsorted(
                self._begin[low : high + 1], np.linspace(self._begin[low], self._begin[high], PIECES + 1)
            )
            edges = np.maximum.accumulate(np.concatenate([[0], edges[1:-1], [high - low]])) + low
            pieces = [(int(a), int(b)) for a, b in pairwise(edges) if a < b]
            other = slice(self._of.split, None) if axis == 0 else slice(0, self._of.split)
            ranks, widths = np.ascontiguousarray(self._of.cells.ranks[:, other]), self._of.cells.widths
            for told in each(lambda piece: self._piece(*piece, ranks, widths), pieces):  # noqa: B023 - used up at once
                self._of.told[axis] += told
        self._of.hides[self._start : self._stop] &= self._of.cells.mixed[self._start : self._stop] == 0

    def _piece(self, start: int, stop: int, ranks: Floats, widths: Array) -> Floats:
        cells, totals = self._of.cells, self._of.totals
        most = int(np.diff(self._begin[start : stop + 1]).max())
        spare, spare_w = np.empty(most, dtype=np.uint64), np.empty(most if len(self._w) else 0)
        out = np.zeros((len(totals), 3))
        loops.order_cells(
            self._codes, self._w, self._begin, widths, cells.shifts, self._start, start, stop, cells.bits, ranks,
            totals, spare, spare_w, out,
        )  # fmt: skip
        return out


class RankStudy:
    """See scoring.state.Study."""

    def __init__(self, rows: int) -> None:
        reading = Reading(_measured, _needs, unblocked, budget=AXIS_CELLS, enough=PRECISION, few_rows=0)
        self._axes = Passes(reading, rows=rows, blocks=1)
        self._ordered: Ordered | None = None
        self._shares: list[tuple[int, int]] = []
        self._order: Order | None = None
        self._sums: dict[Side, Floats] = {}

    def take(self, side: Side, state: State) -> None:
        if "form" in state:
            self._axes.take(side, state)
            return
        assert self._order is not None
        self._sums[side] = self._sums.get(side, np.zeros(2)) + state["sums"]
        self._order.take(state)

    def next(self) -> bytes | None:
        if self._ordered is None:
            about = self._axes.next()
            if about is not None or not len(self._axes.leaves.get(None, ())):
                return about
            self._ordered = Ordered(self._axes.leaves)
            self._shares = self._ordered.shares()
            return self._pass(pairs=True)
        if self._order is not None:
            self._order.finish()
            self._order = None
        return self._pass(pairs=False) if self._shares else None

    def _pass(self, *, pairs: bool) -> bytes:
        assert self._ordered is not None
        start, stop = self._shares.pop(0)
        self._order = Order(self._ordered, start, stop)
        return self._ordered.cells.about(start, stop, pairs=pairs)

    def value(self, _name: str, which: Which) -> tuple[float, float]:
        sides: Mapping[Which, Side | None] = {"overall": None, "public": PUBLIC, "private": PRIVATE}
        side, known = sides[which], self._ordered
        if known is None or (side is not None and side not in known.sides):
            return float("nan"), 0.0
        if side is None or len(known.sides) == 1:
            return known.value(0, sum(float(sums[0]) for sums in self._sums.values()))
        return known.value(1 + SIDES.index(side), float(self._sums[side][1]))

    def blocks(self) -> dict[Side, State]:
        return {}


def _measured(leaves: Leaves) -> Measured:
    """How much the rows of the cells of both axes can matter together, as a share of what r is made of."""
    if not len(leaves):
        return {}
    worst = 0.0
    for axis in (0, 1):
        weight, mixed = leaves.weights(axis)
        lost, variance = lost_and_variance(weight, mixed, midranks(weight))
        worst = max(worst, lost / variance if variance > 0 else float(lost > 0))
    return {"spearman_r": (0.0, worst)}


def _needs(sides: Sides) -> list[Floats]:
    """Cells that hide w³ / m² each when cut in m hide least for m ∝ w: needs are the squares of weights."""
    whole, found = sides[None], []
    for axis in (0, 1):
        weight, mixed = whole.weights(axis)
        found.append(np.square(weight / weight.sum()) * mixed)
    return found


def lost_and_variance(weight: Floats, mixed: Array, rank: Floats) -> tuple[float, float]:
    """The mean square of what cells of several values can hide, and the variance of the ranks."""
    total = float(weight.sum())
    hidden = np.where(mixed, weight, 0.0)
    return float((hidden * (hidden / total) ** 2).sum() / 12 / total), float((weight * rank * rank).sum()) / total
