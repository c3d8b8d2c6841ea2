"""Short decimals in [0, 1] counted one by one: of probabilities written with up to six digits nothing is lost.

Such values lie in float64 without a common grid of bits, so cells of equal width would tell them apart only after
several readings. As k / 10⁶ they are a million cells of one value each, counted while the loop checks that every value
is one. What is no short decimal is counted in the first cells instead (``scoring.metrics.cells``), and what was counted
here is then joined to it.
"""

from functools import cache

import numpy as np

from scoring.metrics import decimal_loops as loops
from scoring.metrics import plain_loops
from scoring.metrics.cells import NO_WEIGHTS, NOTHING, Leaves
from scoring.metrics.windows import Columns, Form, Places, loose
from scoring.samples import Array
from scoring.state import Floats, State

CELLS = loops.LIMIT + 1
STREAMS = 16  # of more classes the cells of all together are too many


def wanted(form: Form, rows: int) -> bool:
    """Whether data of about so many rows may be counted as decimals; depends on the data alone."""
    return not form.narrow and form.streams <= STREAMS and rows < 1 << 32


class Decimals:
    """The counters of one bundle and side."""

    def __init__(self, form: Form) -> None:
        size = 2 * form.streams * CELLS
        self.form, self.taken = form, 0
        self._low, self._high = np.zeros(size, dtype=np.uint8), np.zeros(size, dtype=np.uint32)
        self._sums: Floats = NOTHING

    def count(self, stream: int, values: Array, column: Columns, w: Array | None) -> int:
        """Count the values up to the first that may be no short decimal; how many that were."""
        if w is not None and not len(self._sums):
            self._sums = _times(self._low, self._high)
        if w is None and len(self._sums):
            w = np.ones(len(values))
        weights = NOTHING if w is None else loose(w, np.float64)
        count = loops.count_decimals(values, column, weights, stream * CELLS, self._low, self._high, self._sums)
        self.taken += count
        return int(count)

    def state(self) -> State:
        at = np.flatnonzero(self._high) if self.taken > 255 else np.zeros(0, dtype=np.int64)
        return {"form": self.form.state(), "decimal": self._low, "at": at, "high": self._high[at], "sums": self._sums}


class Total:
    """Counters of many bundles added up."""

    layout = None

    def __init__(self, form: Form) -> None:
        self.form = form
        self.counts = np.zeros(2 * form.streams * CELLS, dtype=np.uint32)
        self.sums: Floats = NOTHING

    def join(self, state: State) -> None:
        """Add the counters of a bundle."""
        low, at, high = (loose(state[name], kind) for name, kind in (("decimal", "u1"), ("at", "i8"), ("high", "u4")))
        own = state["sums"]
        if len(own) and not len(self.sums):
            self.sums = self.counts.astype(np.float64)
        if len(own):
            self.sums += own
        elif len(self.sums):
            self.sums += low
            self.sums[at] += 256.0 * high
        plain_loops.add_plain(low, at, high, self.counts)

    def with_others(self, others: "list[Total]") -> "Total":
        """All of them together."""
        whole = Total(self.form)
        weighted = any(len(one.sums) for one in (self, *others))
        if weighted:
            whole.sums = np.zeros(len(whole.counts))
        for one in (self, *others):
            whole.counts += one.counts
            if weighted:
                whole.sums += one.sums if len(one.sums) else one.counts
        return whole

    def leaves(self) -> Leaves:
        """The decimals that were seen, each a cell of its own."""
        counts, sums = self.counts.reshape(-1, CELLS, 2), self.sums.reshape(-1, CELLS, 2)
        cells, weights, places = [], [], []
        for stream, own in enumerate(counts):
            seen: Places = np.flatnonzero(own[:, 0] | own[:, 1])
            cell = np.empty((len(seen), 4), dtype=np.uint64)
            cell[:, 0] = _keys()[seen]
            cell[:, 1] = ~cell[:, 0]
            cell[:, 2:] = own[seen]
            cells.append(cell)
            weights.append(sums[stream, seen] if len(sums) else NO_WEIGHTS)
            places.append(seen)
        return Leaves(self.form, cells, weights, places)


def _times(low: Array, high: Array) -> Floats:
    return low + 256.0 * high


@cache
def _keys() -> Array:
    """The ordered bits of every decimal."""
    return (np.arange(CELLS) / loops.LIMIT).view(np.uint64) | np.uint64(1 << 63)
