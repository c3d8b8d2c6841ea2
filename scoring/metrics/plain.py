"""Large float32 data without weights counted in so many equal cells that one reading is mostly enough.

A cell holds no values, only two counters, so it is exact where it can hold a single float32 alone. Of all others the
ends of the cell are known, which is what bounds are certified by. Rows that turn out to have weights are counted in
the first cells instead (``scoring.metrics.cells``), and what was counted here is then joined to them.
"""

from collections.abc import Mapping

import numpy as np

from datasets.blocks import Side
from scoring.metrics import cell_loops, plain_loops
from scoring.metrics.cells import NO_WEIGHTS, Blocked, Counting, Leaves, Streams, Table
from scoring.metrics.windows import Columns, Form, Layout, Places, floats_of, loose, lows
from scoring.samples import Array
from scoring.state import FINE, BlockKey, State

ROWS = 1 << 23  # of smaller data a second reading costs less than so many cells
LINEAR = 1 << 22  # cells in [0, 1), all streams together


def width(streams: int) -> int:
    """How many of the equal cells each stream has: at least as many as there are first cells there."""
    return LINEAR >> (streams - 1).bit_length()


def wanted(form: Form, rows: int) -> bool:
    """Whether data of about so many rows is counted in plain cells; depends on the data alone."""
    return form.narrow and rows >= ROWS and form.streams <= 64


class Plain:
    """The counters of one bundle and side."""

    def __init__(self, form: Form) -> None:
        self.form, self._linear, self._over = form, width(form.streams), 0
        size = 2 * form.streams * (self._linear + plain_loops.EXTRA)
        self._low, self._high = np.zeros(size, dtype=np.uint8), np.zeros(size, dtype=np.uint32)

    def count(self, stream: int, values: Array, column: Columns) -> None:
        base = stream * (self._linear + plain_loops.EXTRA)
        raw = values.view(np.uint32)
        self._over += plain_loops.count_plain(values, raw, column, self._linear, base, self._low, self._high)

    def state(self) -> State:
        at = np.flatnonzero(self._high) if self._over else np.zeros(0, dtype=np.int64)
        return {"form": self.form.state(), "low": self._low, "at": at, "high": self._high[at]}


class Total:
    """Counters of many bundles added up."""

    layout = None

    def __init__(self, form: Form) -> None:
        self.form, self._linear = form, width(form.streams)
        self.counts = np.zeros(2 * form.streams * (self._linear + plain_loops.EXTRA), dtype=np.uint32)

    def join(self, state: State) -> None:
        """Add the counters of a bundle."""
        low, at, high = (loose(state[name], kind) for name, kind in (("low", "u1"), ("at", "i8"), ("high", "u4")))
        plain_loops.add_plain(low, at, high, self.counts)

    def with_others(self, others: "list[Total]") -> "Total":
        """All of them together."""
        whole = Total(self.form)
        for one in (self, *others):
            whole.counts += one.counts
        return whole

    def leaves(self) -> Leaves:
        """The cells that saw anything."""
        edges = (np.arange(self._linear + 1, dtype=np.float32) / np.float32(self._linear)).view(np.uint32)
        cells, places = [], []
        each = self._linear + plain_loops.EXTRA
        for stream in range(self.form.streams):
            base = stream * each
            size = plain_loops.occupied(self.counts, base, base + each)
            out, place = np.empty((size, 4), dtype=np.uint32), np.empty(size, dtype=np.int64)
            plain_loops.cells_of(self.counts, base, self._linear, edges, out, place)
            cells.append(out)
            places.append(place)
        return Leaves(self.form, cells, [NO_WEIGHTS] * self.form.streams, places)

    def table(self) -> Table:
        """The same counts in the first cells."""
        table, leaves = Table(self.form, None), self.leaves()
        for start, cells in zip(table.spans(), leaves.cells, strict=False):
            values = floats_of(lows(cells).astype(np.uint32), narrow=True)
            places: Places = np.zeros(len(values), dtype=np.int64)
            cell_loops.first_cells(values, values.view(np.uint32), self.form.linear, places)
            table.join({"places": places + start, "cells": cells, "sums": NO_WEIGHTS})
        return table


def table_of(state: State) -> Table:
    """The counters of one bundle in the first cells."""
    total = Total(Form.of(state["form"]))
    total.join(state)
    return total.table()


def sparse(leaves: Leaves) -> bool:
    """Whether values are few and far between, so that finer cells will mostly hold one each."""
    reach = sum(int(places[-1] - places[0]) + 1 for places in leaves.places if len(places))
    return len(leaves) * 4 < reach


class PlainCounting(Counting):
    """Counting whose first pass over large float32 data goes to plain cells."""

    def __init__(self, streams: Streams, blocked: Blocked, detail: bytes, rows: int) -> None:
        super().__init__(streams, blocked, detail, rows)
        self._plain: dict[Side, Plain] = {}

    def _count(self, side: Side, stream: int, values: Array, column: Columns, w: Array | None) -> None:
        form = self._form
        assert form is not None
        if w is not None or self._fine is not None or not wanted(form, self._rows):
            super()._count(side, stream, values, column, w)
            return
        if side not in self._plain:
            self._plain[side] = Plain(form)
        self._plain[side].count(stream, values, column)

    def states(self) -> dict[BlockKey, State]:
        plain = {side: own.state() for side, own in self._plain.items()}
        for side in [side for side in plain if side in self._sides]:
            self._sides[side].join(table_of(plain.pop(side)).state())
        return super().states() | {(FINE, side): state for side, state in plain.items()}


def joined(known: Table | Total | None, state: State, layout: Layout | None) -> Table | Total:
    """What is known with the state of a bundle added; in the first cells where either is."""
    form = Form.of(state["form"])
    if "low" in state and (known is None or isinstance(known, Total)):
        known = known or Total(form)
        known.join(state)
        return known
    table = known.table() if isinstance(known, Total) else known or Table(form, layout)
    table.join(table_of(state).state() if "low" in state else state)
    return table


def found(tables: Mapping[Side, Table | Total]) -> dict[Side | None, Leaves]:
    """The cells of each side, and of all sides together under None."""
    totals = [table for table in tables.values() if isinstance(table, Total)]
    if totals and len(totals) == len(tables):
        leaves: dict[Side | None, Leaves] = {
            side: table.leaves() for side, table in tables.items() if isinstance(table, Total)
        }
        whole = totals[0].with_others(totals[1:]).leaves() if len(totals) > 1 else None
    else:
        dense = {side: table.table() if isinstance(table, Total) else table for side, table in tables.items()}
        leaves = {side: Leaves.of(table) for side, table in dense.items()}
        whole = Leaves.of(_together(list(dense.values()))) if len(dense) > 1 else None
    if leaves:
        leaves[None] = whole or next(iter(leaves.values()))
    return leaves


def _together(tables: list[Table]) -> Table:
    first, *others = tables
    for other in others:
        first.join(other.state())
    return first
