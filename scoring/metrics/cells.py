"""Counting in cells: the mergeable form of what depends on order when the data is too large to be sorted.

Large data is read several times. The first pass counts every stream of values (a class, an axis) in the same *first*
cells (``scoring.metrics.cell_loops``); a later one counts in *windows*: ranges of values cut into finer cells, chosen
where the cells before hide most. Counts are integers and add exactly in any order; weights are added in the order of
the plan. Each cell keeps its least and its greatest value, so a cell that saw one value is exact and what the others
can hide is certified.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.blocks import Side
from scoring.metrics import cell_loops as loops
from scoring.metrics.windows import (
    BUCKETS,
    Columns,
    Form,
    Layout,
    Places,
    Rows,
    bit_lengths,
    first_count,
    floats_of,
    loose,
    lows,
    of_bytes,
)
from scoring.samples import Array
from scoring.state import FINE, BlockKey, Detail, Floats, State

ROWS = 1 << 21  # rows put in order at a time before they are counted in many cells
FEW_CELLS = 1 << 17  # so few cells stay in cache whatever the order
BYTES = 96 << 20  # of the cells of one pass in one thread
BLOCK_CELLS = 1 << 12  # kept per block and side, all streams together
TINY, HUGE = 1e-280, 1e280  # weights between which sums and shares of them stay finite
NOTHING: Floats = np.zeros(0)
NO_WEIGHTS: Floats = np.zeros((0, 2))
Stream = tuple[Array, Columns, Array | None]  # values, column 0 or 1, weights
Streams = Callable[[Any], list[Stream]]


def ends(cells: Rows) -> tuple[Floats, Floats]:
    """Least and greatest value of each cell."""
    narrow = cells.dtype.itemsize == 4
    low, high = (floats_of(keys, narrow=narrow).astype(np.float64) for keys in (~cells[:, 1], cells[:, 0]))
    return low, high


class Table:
    """Dense cells that count; ``layout`` None: the first cells."""

    def __init__(self, form: Form, layout: Layout | None) -> None:
        self.form, self.layout = form, layout
        size = form.streams * first_count(form.linear) if layout is None else layout.size
        self.cells: Rows = np.zeros((size, 4), dtype=form.key)
        self.sums: Floats = NO_WEIGHTS

    def weigh(self) -> None:
        """From now on there are weights: rows so far weighed 1."""
        if not len(self.sums):
            self.sums = self.cells[:, 2:].astype(np.float64)

    def count(self, stream: int, values: Array, column: Columns, w: Array | None) -> None:
        form = self.form
        if w is not None:
            self.weigh()
        elif len(self.sums):
            w = np.ones(len(values))
        weights = NOTHING if w is None else loose(w, np.float64)
        raw, base = values.view(form.key), stream * first_count(form.linear)
        if self.layout is None:
            loops.count_first(values, raw, column, weights, form.linear, base, self.cells, self.sums)
        else:
            at = self.layout
            loops.count_windows(
                values, raw, column, weights, form.linear, base, at.first, at.windows, at.begin, self.cells, self.sums
            )

    def spans(self) -> list[int]:
        """Where the cells of each stream begin, and the end."""
        if self.layout is not None:
            return self.layout.cell_spans()
        return [stream * first_count(self.form.linear) for stream in range(self.form.streams + 1)]

    def state(self) -> State:
        """The cells that saw anything, and where they stand."""
        size = len(self.cells)
        places, cells = np.empty(size, dtype=np.int32), np.empty((size, 4), dtype=self.form.key)
        sums = np.empty((size, 2)) if len(self.sums) else NO_WEIGHTS
        count = loops.gather(self.cells, self.sums, places, cells, sums)
        return {"form": self.form.state(), "places": places[:count], "cells": cells[:count], "sums": sums[:count]}

    def join(self, state: State) -> None:
        """Add the cells of a state of the same layout."""
        weights = state["sums"]
        if not len(state["places"]):
            return
        if len(weights):
            self.weigh()
        elif len(self.sums):
            weights = state["cells"][:, 2:].astype(np.float64)
        cells = state["cells"]
        places = loose(state["places"], np.int32)
        loops.join(self.cells, self.sums, places, loose(cells, self.form.key), loose(weights, np.float64))


class Sorter:
    """Rows of one stream, put in order of their cells a few million at a time and then counted."""

    def __init__(self, table: Table, stream: int) -> None:
        kind = table.form.value
        self._table, self._stream, self._filled = table, stream, 0
        self._values, self._ordered = np.zeros(ROWS, kind), np.zeros(ROWS, kind)
        self._column, self._columns = np.zeros(ROWS, np.uint8), np.zeros(ROWS, np.uint8)
        self._bucket = np.zeros(ROWS, np.uint8)
        self._w: Floats = NOTHING
        self._ws: Floats = NOTHING
        assert table.layout is not None
        self._buckets = table.layout.buckets(stream)
        self._reach = table.spans()[stream], table.spans()[stream + 1]

    def add(self, values: Array, column: Columns, w: Array | None) -> None:
        if w is not None and not len(self._w):
            self._w, self._ws = np.ones(ROWS), np.ones(ROWS)
        for start in range(0, len(values), ROWS):
            rows = slice(start, start + ROWS)
            self._some(values[rows], column[rows], None if w is None else w[rows])

    def _some(self, values: Array, column: Columns, w: Array | None) -> None:
        if self._filled + len(values) > ROWS:
            self.flush()
        here = slice(self._filled, self._filled + len(values))
        self._values[here], self._column[here] = values, column
        if len(self._w):
            self._w[here] = 1.0 if w is None else w
        self._filled = here.stop

    def flush(self) -> None:
        n, form = self._filled, self._table.form
        values, w = self._values[:n], self._w[:n]
        at = np.zeros(257, dtype=np.int64)
        loops.partition(
            values, values.view(form.key), self._column[:n], w, form.linear, self._buckets, self._bucket[:n],
            self._ordered[:n], self._columns[:n], self._ws[:n], at,
        )  # fmt: skip
        start, stop = self._reach
        for bucket in np.flatnonzero(np.diff(at[:256], prepend=0)).tolist():
            rows = slice(int(at[bucket - 1]) if bucket else 0, int(at[bucket]))
            edges = (start + (stop - start) * min(k, BUCKETS) // BUCKETS for k in (bucket, bucket + 1))
            loops.warm(self._table.cells, *edges)
            weights = self._ws[rows] if len(w) else None
            self._table.count(self._stream, self._ordered[rows], self._columns[rows], weights)
        self._filled = 0


@dataclass
class Leaves:
    """Cells of every stream in rising order, all of them apart: what is known of one side."""

    form: Form
    cells: list[Rows]
    sums: list[Floats]
    places: list[Places] = field(default_factory=list)  # where each stood in its table

    @classmethod
    def of(cls, table: Table) -> "Leaves":
        """The occupied cells of a table."""
        state = table.state()
        edges = np.searchsorted(state["places"], np.asarray(table.spans()))
        cells, places = ([state[name][a:b] for a, b in pairwise(edges)] for name in ("cells", "places"))
        sums = [state["sums"][a:b] if len(table.sums) else NO_WEIGHTS for a, b in pairwise(edges)]
        return cls(table.form, cells, sums, places)

    def refined(self, finer: "Leaves", layout: Layout) -> "Leaves":
        """These leaves with those inside the windows replaced by the finer ones."""
        cells, sums = [], []
        for number, own in enumerate(layout.ranges()):
            mine, weights, others = self.cells[number], self.sums[number], finer.sums[number]
            if len(weights) and not len(others):  # no row with a weight lies in a window
                others = finer.cells[number][:, 2:].astype(np.float64)
            elif len(others) and not len(weights):
                weights = mine[:, 2:].astype(np.float64)
            size = len(mine) + len(finer.cells[number])
            out = np.empty((size, 4), dtype=self.form.key)
            out_sums = np.empty((size, 2)) if len(weights) else NO_WEIGHTS
            windows = np.ascontiguousarray(layout.windows[own])
            count = loops.replace(mine, weights, finer.cells[number], others, windows, out, out_sums)
            cells.append(out[:count])
            sums.append(out_sums[:count])
        return Leaves(self.form, cells, sums)

    def within(self, layout: Layout) -> "Leaves":
        """These leaves joined into the coarser cells of a layout; every leaf begins in one of its windows."""
        table = Table(self.form, layout)
        if any(len(sums) for sums in self.sums):
            table.weigh()
        for own, cells, sums in zip(layout.ranges(), self.cells, self.sums, strict=True):
            windows, begin = np.ascontiguousarray(layout.windows[own]), layout.begin[own]
            if len(cells):
                weights = cells[:, 2:].astype(np.float64) if len(table.sums) and not len(sums) else sums
                loops.join_within(cells, weights, windows, begin, table.cells, table.sums)
        return Leaves.of(table)

    def weights(self, stream: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """The weight of each leaf, and whether it saw more than one value."""
        cells = self.cells[stream]
        weight, mixed = np.zeros(len(cells)), np.zeros(len(cells), dtype=np.int64)
        loops.totals(cells, self.sums[stream], weight, mixed)
        return weight, mixed != 0

    def __len__(self) -> int:
        return sum(len(cells) for cells in self.cells)


Blocked = Callable[[Leaves], State]


class Counting:
    """Counts the samples of one bundle: per side in fine cells, and per block where the pass asks for it."""

    def __init__(self, streams: Streams, blocked: Blocked, detail: Detail, rows: int) -> None:
        self._streams, self._blocked, self._rows = streams, blocked, rows
        self._fine, self._coarse, self._form = detail.read(_layouts)
        self._sides: dict[Side, Table] = {}
        self._sorters: dict[tuple[Side, int], Sorter] = {}
        self._blocks: dict[BlockKey, Table] = {}

    def add(self, place: BlockKey, sample: Any) -> None:
        streams = self._streams(sample)
        form = self._form or form_of(streams, self._rows)
        self._form = form
        first = self._fine is None and self._coarse is None
        for number, (values, column, w) in enumerate(streams):
            given = loose(values, form.value)
            marks = loose(column, np.uint8)
            if first or self._fine is not None:
                self._count(place[1], number, given, marks, w)
            if self._coarse is not None:
                table = self._blocks.setdefault(place, Table(form, self._coarse))
                table.count(number, given, marks, w)

    def _count(self, side: Side, stream: int, values: Array, column: Columns, w: Array | None) -> None:
        assert self._form is not None
        if side not in self._sides:
            self._sides[side] = Table(self._form, self._fine)
        table = self._sides[side]
        if table.layout is None or table.layout.size <= FEW_CELLS:
            table.count(stream, values, column, w)
            return
        key = (side, stream)
        if key not in self._sorters:
            self._sorters[key] = Sorter(table, stream)
        self._sorters[key].add(values, column, w)

    def states(self) -> dict[BlockKey, State]:
        for sorter in self._sorters.values():
            sorter.flush()
        self._sorters.clear()
        found = {(FINE, side): table.state() for side, table in self._sides.items()}
        return found | {place: self._blocked(Leaves.of(table)) for place, table in self._blocks.items()}


def form_of(streams: Sequence[Stream], rows: int) -> Form:
    """float32 keys where all values are float32 and no cell can count to 2³²."""
    narrow = rows < 1 << 32 and all(values.dtype == np.float32 for values, _, _ in streams)
    return Form(len(streams), narrow)


def _layouts(detail: bytes) -> tuple[Layout | None, Layout | None, Form | None]:
    if not detail:
        return None, None, None
    arrays = of_bytes(detail)
    fine, coarse = (Layout.of_arrays(name, arrays) for name in ("fine", "coarse"))
    known = fine or coarse
    return fine, coarse, None if known is None else known.form


def windows_of(leaves: Leaves, needs: Iterable[Floats], budget: int) -> Layout | None:
    """Windows over the leaves that hide most, with at most ``budget`` cells; None when no leaf hides anything.

    Cells that hide h and are cut in m hide about h / m; with Σ m given, Σ h / m is least for m ∝ √h.
    """
    roots = [np.sqrt(need) for need in needs]
    total = sum(float(root.sum()) for root in roots)
    if not 0 < total < math.inf:
        return None
    windows, spans = [], [0]
    for cells, root in zip(leaves.cells, roots, strict=True):
        low, high = lows(cells), cells[:, 0].astype(np.uint64)
        wanted = root * (budget / 2 / total)
        chosen = np.flatnonzero((wanted >= 0.75) | (root == root.max(initial=0)) & (root > 0))
        finer = np.maximum(np.log2(np.maximum(wanted[chosen], 2.0)).astype(np.int64), 1)
        width = high[chosen] - low[chosen]
        shift = np.maximum(bit_lengths(width) - finer, 0).astype(np.uint64)
        windows.append(np.stack([low[chosen], high[chosen], shift], axis=1))
        spans.append(spans[-1] + len(chosen))
    return Layout(leaves.form, np.concatenate(windows), tuple(spans))


def quantile_layout(leaves: Leaves, cells: int) -> Layout:
    """At most about ``cells`` cells a stream, of equal weight where the leaves allow it; all blocks share them."""
    windows, spans = [], [0]
    for number, own in enumerate(leaves.cells):
        starts, shares = np.empty(2 * cells + 16, dtype=np.int64), np.empty(2 * cells + 16)
        count = loops.quantiles(own, _bounded(leaves.sums[number]), cells, starts, shares)
        starts, shares = starts[:count], shares[:count]
        stops = np.append(starts[1:], len(own))[:count] - 1
        low, high = lows(own[starts]), own[stops, 0].astype(np.uint64)
        finer = np.log2(np.clip(shares, 1.0, cells)).astype(np.int64)
        shift = np.clip(bit_lengths(high - low) - finer, 0, 63).astype(np.uint64)
        shift[(finer == 0) & (bit_lengths(high - low) > 63)] = 63
        windows.append(np.stack([low, high, shift], axis=1))
        spans.append(spans[-1] + len(starts))
    return Layout(leaves.form, np.concatenate(windows), tuple(spans))


def _bounded(sums: Floats) -> Floats:
    """Weights in proportion, where theirs are so small or large that shares of them overflow; none beyond that."""
    most = sums.max(initial=0.0)
    if most == 0 or TINY < most < HUGE:
        return sums
    return sums / most if most < math.inf else NO_WEIGHTS
