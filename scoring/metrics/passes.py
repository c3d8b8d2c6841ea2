"""What is known of large data between its passes, and what to count next.

A study holds the cells of each side and of all sides together. After each pass its metrics are measured; while the
certified bound is wider than what is published, the cells that hide most become the windows of another pass.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from datasets.blocks import PRIVATE, PUBLIC, Side
from scoring.metrics import plain
from scoring.metrics.cells import BLOCK_CELLS, BYTES, Blocked, Leaves, Table, quantile_layout, windows_of
from scoring.metrics.windows import Layout, to_bytes
from scoring.state import Floats, State, Which

PRECISION = 1e-9  # of a published value; where it is reached no pass follows
ENOUGH = 2.5e-7  # where values differ too much to be told apart cell by cell, this bound will do
PASSES = 8
FEW_ROWS = 1 << 22  # counted until exact even where most values differ
LEAVES = 1 << 24  # cells kept of all sides together
Sides = Mapping[Side | None, Leaves]  # None: all sides together
Measured = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Reading:
    """How a family reads its metrics off cells.

    ``measure``: value and bound by name. ``needs``: per stream, how much each cell of all sides adds to the bounds.
    ``blocked``: the block state of coarse cells. ``relative``: precision is a share of the value, not absolute.
    ``budget``: cells of a pass at most, where it needs but few. ``enough``: the bound that will do where values differ
    too much to be told apart cell by cell (None: ENOUGH), and ``few_rows``: those told apart all the same (FEW_ROWS).
    """

    measure: Callable[[Leaves], Measured]
    needs: Callable[[Sides], Sequence[Floats]]
    blocked: Blocked
    relative: bool = False
    budget: int = 1 << 40
    enough: float | None = None
    few_rows: int | None = None


class Passes:
    """A study of one family; see scoring.state.Study."""

    def __init__(self, reading: Reading, *, rows: int, blocks: int) -> None:
        self._reading, self._rows, self._blocks = reading, rows, blocks
        self._enough = ENOUGH if reading.enough is None else reading.enough
        self._few_rows = FEW_ROWS if reading.few_rows is None else reading.few_rows
        self._tables: dict[Side, Table | plain.Whole] = {}
        self._layout: Layout | None = None
        self._leaves: dict[Side | None, Leaves] = {}  # None: all sides together
        self._measured: dict[Side | None, Measured] = {}
        self._passes = 0
        self._plain = False  # whether the last pass counted in plain cells

    def take(self, side: Side, state: State) -> None:
        self._tables[side] = plain.joined(self._tables.get(side), state, self._layout)

    def next(self) -> bytes | None:
        found = self._found()
        self._passes += 1
        resolved = self._resolved(found.get(None))
        self._learn(found)
        self._layout = self._finer(resolved)
        layouts = {} if self._layout is None else {"fine": self._layout}
        if self._passes == 1 and self._blocks > 1 and self._leaves:
            streams = self._leaves[None].form.streams
            layouts["coarse"] = quantile_layout(self._leaves[None], max(16, BLOCK_CELLS // streams))
        arrays = [layout.to_arrays(name) for name, layout in layouts.items()]
        return to_bytes({name: array for own in arrays for name, array in own.items()}) if arrays else None

    @property
    def leaves(self) -> Sides:
        """What is known of each side, and of all sides together."""
        return self._leaves

    def value(self, name: str, which: Which) -> tuple[float, float]:
        sides: Mapping[Which, Side | None] = {"overall": None, "public": PUBLIC, "private": PRIVATE}
        return self._measured.get(sides[which], {}).get(name, (float("nan"), 0.0))

    def blocks(self) -> dict[Side, State]:
        if self._blocks > 1 or not self._leaves:
            return {}
        layout = quantile_layout(self._leaves[None], max(16, BLOCK_CELLS // self._leaves[None].form.streams))
        own = {side: leaves for side, leaves in self._leaves.items() if side is not None}
        return {side: self._reading.blocked(leaves.within(layout)) for side, leaves in own.items()}

    def _found(self) -> dict[Side | None, Leaves]:
        """The cells of the pass that ends, by side."""
        tables, self._tables = self._tables, {}
        self._plain = any(not isinstance(table, Table) for table in tables.values())
        return plain.found(tables)

    def _resolved(self, found: Leaves | None) -> bool:
        """Whether many of the cells just counted are exact, so that another pass will make many more so."""
        if found is None:
            return False
        if self._rows <= self._few_rows:
            return True
        if self._plain:
            return plain.sparse(found)
        mixed = [found.weights(stream)[1] for stream in range(found.form.streams)]
        many = sum(int(np.count_nonzero(own)) for own in mixed)
        return many * 4 < len(found) and len(found) * 8 < self._rows

    def _learn(self, found: dict[Side | None, Leaves]) -> None:
        if self._layout is None and self._passes > 1:
            return
        learnt: dict[int, Leaves] = {}  # of a single side the cells are also those of all sides together
        for side, leaves in found.items():
            known = self._leaves.get(side)
            if id(leaves) not in learnt:
                layout = self._layout
                learnt[id(leaves)] = (
                    known.refined(leaves, layout) if known is not None and layout is not None else leaves
                )
            self._leaves[side] = learnt[id(leaves)]
        measured: dict[int, Measured] = {}
        for side, leaves in self._leaves.items():
            if id(leaves) not in measured:
                measured[id(leaves)] = self._reading.measure(leaves)
            self._measured[side] = measured[id(leaves)]

    def _finer(self, resolved: bool) -> Layout | None:
        worst = max((self._off(*pair) for own in self._measured.values() for pair in own.values()), default=0.0)
        held = sum(len(leaves) for side, leaves in self._leaves.items() if side is not None)
        if worst <= PRECISION or self._passes >= PASSES or held > LEAVES:
            return None
        if worst <= self._enough and (self._passes > 1 or self._plain) and not resolved:
            return None
        whole = self._leaves[None]
        sides = len(self._leaves) - 1
        needs = self._reading.needs(self._leaves)
        room = BYTES // (sides * 4 * np.dtype(whole.form.key).itemsize)
        budget = min(room, max(4 * self._rows, 1 << 16), self._reading.budget)
        if not resolved:  # cells that hide h and are cut in m hide h / m: as many as it takes to hide little enough
            root = sum(float(np.sqrt(need).sum()) for need in needs)
            budget = min(budget, max(1 << 18, int(min(budget, 16 * root * root / self._enough))))
        return windows_of(whole, needs, budget)

    def _off(self, value: float, bound: float) -> float:
        """How far a value is off, in the measure of PRECISION; not at all where it is undefined."""
        if math.isnan(bound) or math.isnan(value):
            return 0.0
        return bound / (abs(value) or 1.0) if self._reading.relative and math.isfinite(bound) else bound
