"""Large float32 data without weights counted in so many equal cells that one reading is mostly enough.

A cell holds no values, only two counters, so it is exact where it can hold a single float32 alone. Of all others the
ends of the cell are known, which is what bounds are certified by. Rows that turn out to have weights are counted in
the first cells instead (``scoring.metrics.cells``), and what was counted here is then joined to them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from datasets.blocks import Side
from scoring.metrics import cell_loops, decimals, pages, plain_loops
from scoring.metrics.cells import NO_WEIGHTS, Blocked, Counting, Leaves, Streams, Table
from scoring.metrics.windows import Columns, Form, Layout, Places, floats_of, loose, lows
from scoring.samples import Array
from scoring.state import FINE, BlockKey, Detail, State

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
        self.form, self._linear, self._over, self.taken = form, width(form.streams), 0, 0
        size = 2 * form.streams * (self._linear + plain_loops.EXTRA)
        self._low, self._high = np.zeros(size, dtype=np.uint8), np.zeros(size, dtype=np.uint32)

    def count(self, stream: int, values: Array, column: Columns, w: Array | None) -> int:
        """Count the values; how many were counted: none that has a weight."""
        if w is not None:
            return 0
        base = stream * (self._linear + plain_loops.EXTRA)
        raw = values.view(np.uint32)
        self._over += plain_loops.count_plain(values, raw, column, self._linear, base, self._low, self._high)
        self.taken += len(values)
        return len(values)

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

    def add(self, stream: int, values: Array, times: Array) -> None:
        """Add values that were seen ``times`` (n, 2) with each column."""
        base = stream * (self._linear + plain_loops.EXTRA)
        plain_loops.add_values(values, values.view(np.uint32), loose(times, np.uint32), self._linear, base, self.counts)

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


Counters = Plain | decimals.Decimals | pages.Pages
Whole = Total | decimals.Total | pages.Total


def counters(form: Form, rows: int) -> Counters | None:
    """What the first pass over about so many rows is counted in, where that is not the first cells."""
    if pages.wanted(form, rows):
        return pages.Pages(form)
    if wanted(form, rows):
        return Plain(form)
    return decimals.Decimals(form) if decimals.wanted(form, rows) else None


def _kind(state: State) -> type[Whole] | None:
    """Where the counters of a bundle add up; None for the state of a table."""
    kinds: Mapping[str, type[Whole]] = {"decimal": decimals.Total, "pages": pages.Total, "low": Total}
    return next((kind for name, kind in kinds.items() if name in state), None)


def _counted(state: State) -> Whole:
    """The counters of one bundle."""
    kind = _kind(state)
    assert kind is not None
    whole = kind(Form.of(state["form"]))
    whole.join(state)
    return whole


def thinned(whole: pages.Total) -> Total:
    """Values that were counted one by one in plain cells."""
    total = Total(whole.form)
    for stream, values, times in whole.counted():
        total.add(stream, values, times)
    return total


def dense(whole: Whole) -> Table:
    """The same counts in the first cells."""
    if isinstance(whole, pages.Total):
        return dense(thinned(whole))
    table, leaves = Table(whole.form, None), whole.leaves()
    for start, cells, sums in zip(table.spans(), leaves.cells, leaves.sums, strict=False):
        values = floats_of(lows(cells), narrow=table.form.narrow)
        places: Places = np.zeros(len(values), dtype=np.int64)
        cell_loops.first_cells(values, values.view(table.form.key), table.form.linear, places)
        table.join({"places": places + start, "cells": cells, "sums": sums})
    return table


def sparse(leaves: Leaves) -> bool:
    """Whether values are few and far between, so that finer cells will mostly hold one each."""
    reach = sum(int(places[-1] - places[0]) + 1 for places in leaves.places if len(places))
    return len(leaves) * 4 < reach


class PlainCounting(Counting):
    """Counting whose first pass goes to plain cells or to decimals where the data allows it."""

    def __init__(self, streams: Streams, blocked: Blocked, detail: Detail, rows: int) -> None:
        super().__init__(streams, blocked, detail, rows)
        self._counters: dict[Side, Counters | None] = {}
        self._done: list[tuple[Side, Counters]] = []

    def _count(self, side: Side, stream: int, values: Array, column: Columns, w: Array | None) -> None:
        form, taken = self._form, 0
        assert form is not None
        if self._fine is None:
            if side not in self._counters:
                self._counters[side] = counters(form, self._rows)
            own = self._counters[side]
            taken = own.count(stream, values, column, w) if own is not None else 0
            if own is not None and taken < len(values):  # from here on there are no others
                self._counters[side] = None
                self._done += [(side, own)] if own.taken else []
        if taken < len(values):
            rest = slice(taken, None)
            super()._count(side, stream, values[rest], column[rest], None if w is None else w[rest])

    def states(self) -> dict[BlockKey, State]:
        for side, own in self._done:
            self._sides[side].join(dense(_counted(own.state())).state())
        plain = {side: own.state() for side, own in self._counters.items() if own is not None}
        self._done, self._counters = [], {}
        return super().states() | {(FINE, side): state for side, state in plain.items()}


def joined(known: Table | Whole | None, state: State, layout: Layout | None) -> Table | Whole:
    """What is known with the state of a bundle added; in the first cells where either is."""
    kind = _kind(state)
    if kind is pages.Total and isinstance(known, Total):
        known.join(_plain_state(state))
        return known
    if kind is not None and (known is None or isinstance(known, kind)):
        known = kind(Form.of(state["form"])) if known is None else known
        known.join(state)
        return thinned(known) if isinstance(known, pages.Total) and known.full else known
    table = known if isinstance(known, Table) else dense(known) if known else Table(Form.of(state["form"]), layout)
    table.join(state if kind is None else dense(_counted(state)).state())
    return table


def _plain_state(state: State) -> State:
    """The rows of a bundle in plain cells."""
    counting = Plain(Form.of(state["form"]))
    for stream, values, column in pages.rows_of(state):
        counting.count(stream, values, column, None)
    return counting.state()


def found(tables: Mapping[Side, Table | Whole]) -> dict[Side | None, Leaves]:
    """The cells of each side, and of all sides together under None."""
    if any(isinstance(table, Total) for table in tables.values()):  # then none stays value by value
        tables = {side: thinned(table) if isinstance(table, pages.Total) else table for side, table in tables.items()}
    wholes = [table for table in tables.values() if not isinstance(table, Table)]
    if len(wholes) == len(tables) and len({type(whole) for whole in wholes}) == 1:
        leaves: dict[Side | None, Leaves] = {side: own.leaves() for side, own in zip(tables, wholes, strict=True)}
        first: Any = wholes[0]
        whole = first.with_others(wholes[1:]).leaves() if wholes[1:] else None
    else:
        known = {side: table if isinstance(table, Table) else dense(table) for side, table in tables.items()}
        leaves = {side: Leaves.of(table) for side, table in known.items()}
        whole = Leaves.of(_together(list(known.values()))) if len(known) > 1 else None
    if leaves:
        leaves[None] = whole or next(iter(leaves.values()))
    return leaves


def _together(tables: list[Table]) -> Table:
    first, *others = tables
    for other in others:
        first.join(other.state())
    return first
