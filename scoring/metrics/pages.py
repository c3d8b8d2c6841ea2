"""Large float32 data without weights counted value by value, in one reading and without a bound.

A bundle puts its rows in order of *pages* of neighbouring values (``scoring.metrics.page_loops``) and hands them on in
two bytes each: the page is given once for all its rows. Where bundles come together, pages with many rows become
counters, those with few stay lists; the curves are read off from the greatest value down. Data whose values lie in more
pages than there is room for goes to plain cells (``scoring.metrics.plain``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from datasets.threads import each
from scoring.metrics import page_loops as loops
from scoring.metrics.cells import NO_WEIGHTS, Leaves
from scoring.metrics.windows import Columns, Form, floats_of, loose
from scoring.samples import Array
from scoring.state import Floats, State

ROWS = 1 << 29  # of more the bundles grow too large
SLOTS = 1 << 12  # pages with counters, 64 KiB each
FEW = 1 << 11  # rows a page may have before it gets counters
LISTED = 1 << 23  # rows of pages without
WAITING = 1 << 25  # rows that wait to be counted
ROW = 1 << 20  # rows put in order at a time
PIECES = 16  # into which waiting rows are cut, for as many threads as there are
NO_MARKS = np.zeros(0, dtype=np.int64)


def wanted(form: Form, rows: int) -> bool:
    """Whether data of about so many rows may be counted value by value; depends on the data alone."""
    return form.narrow and rows * form.streams <= ROWS


class Pages:
    """The rows of one bundle and side, in order of their pages."""

    def __init__(self, form: Form) -> None:
        self.form, self.taken = form, 0
        self._runs: list[tuple[Array, Array, Array]] = []
        self._room = np.zeros(loops.PAGES, dtype=np.int32)

    def count(self, stream: int, values: Array, column: Columns, w: Array | None) -> int:
        """Take the values; how many were taken: none that has a weight."""
        if w is not None:
            return 0
        for start in range(0, len(values), ROW):
            raw = values[start : start + ROW].view(np.uint32)
            most = min(len(raw), loops.PAGES)
            pages, counts = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
            codes = np.empty(len(raw), dtype=np.uint16)
            found = loops.sort_pages(raw, column[start : start + ROW], stream, self._room, pages, counts, codes)
            self._runs.append((pages[:found].copy(), counts[:found].copy(), codes))
        self.taken += len(values)
        return len(values)

    def state(self) -> State:
        pages, counts, codes = (
            np.concatenate([run[k] for run in self._runs] or [np.zeros(0, kind)])
            for k, kind in enumerate((np.int32, np.int32, np.uint16))
        )
        return {"form": self.form.state(), "pages": pages, "counts": counts, "codes": codes}


class Total:
    """The rows of many bundles."""

    layout = None

    def __init__(self, form: Form) -> None:
        self.form, self.full = form, False
        self._slots = np.full(form.streams * loops.PAGES, -1, dtype=np.int32)
        self._low = np.zeros((SLOTS, loops.CODES), dtype=np.uint8)
        self._seen = np.zeros(len(self._slots), dtype=np.int64)
        self._over: list[Array] = []
        self._rare: list[Array] = []
        self._used, self._listed = 0, 0
        self._waiting: list[State] = []

    def join(self, state: State) -> None:
        """Add the rows of a bundle; ``full`` afterwards where there are too many pages."""
        self._waiting.append(state)
        if sum(len(waiting["codes"]) for waiting in self._waiting) >= WAITING:
            self._add()

    def _add(self) -> None:
        """Count the rows that wait: page by page, so that the counters of one are in the cache."""
        if not self._waiting:
            return
        pages, counts, codes = (
            loose(np.concatenate([state[name] for state in self._waiting]), kind)
            for name, kind in (("pages", "i4"), ("counts", "i4"), ("codes", "u2"))
        )
        self._waiting = []
        order = np.argsort(pages, kind="stable")
        starts = (np.cumsum(counts, dtype=np.int64) - counts)[order]
        pages, counts = pages[order], counts[order]
        self._give_slots(pages, counts)
        pieces = _apart(pages, counts)
        for over, rare in each(lambda own: self._piece(pages[own], counts[own], starts[own], codes), pieces):
            self._over.append(over)
            self._rare.append(rare)
            self._listed += len(rare)
        self.full = self._listed > LISTED

    def _give_slots(self, pages: Array, counts: Array) -> None:
        """Counters for the pages that have many rows by now, in their order, as long as there are some."""
        rows = np.bincount(pages, weights=counts, minlength=len(self._seen)).astype(np.int64)
        many = np.flatnonzero((rows > 0) & (self._seen + rows > FEW) & (self._slots < 0))[: len(self._low) - self._used]
        self._slots[many] = self._used + np.arange(len(many), dtype=np.int32)
        self._used += len(many)

    def _piece(self, pages: Array, counts: Array, starts: Array, codes: Array) -> tuple[Array, Array]:
        """Count the rows of pages that no other thread counts: the marks that ran over and those that are listed."""
        rows, taken = int(counts.sum()), np.array([len(self._low), 0, 0], dtype=np.int64)
        over, rare = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
        loops.add_pages(pages, counts, starts, codes, self._slots, self._seen, FEW, self._low, over, rare, taken)
        return over[: taken[1]].copy(), rare[: taken[2]].copy()

    @property
    def slots(self) -> Array:
        """The row of ``low`` that counts each page, or −1."""
        self._add()
        return self._slots

    @property
    def low(self) -> Array:
        """Counters of the pages that have some."""
        self._add()
        return self._low

    def with_others(self, others: "list[Total]") -> "Several":
        """All of them together."""
        return Several(self.form, (self, *others))

    def leaves(self) -> Leaves:
        """Runs of the values that were seen, with what all values by themselves tell of their order."""
        return Several(self.form, (self,)).leaves()

    def over(self) -> Array:
        """The marks of counters that ran over, as often as they did."""
        self._add()
        return np.concatenate(self._over or [NO_MARKS])

    def rare(self) -> Array:
        """The marks of rows that were only listed."""
        self._add()
        return np.concatenate(self._rare or [NO_MARKS])

    def counted(self) -> Iterator[tuple[int, Array, Array]]:
        """Streams, values (k,) and how often each has column 0 and 1 (k, 2); a value may come again."""
        over, rare = np.sort(self.over()), np.sort(self.rare())
        for page in np.flatnonzero(self._seen).tolist():
            times = _page(page, [self], over, rare).reshape(-1, 2)
            keys = np.flatnonzero(times.any(axis=1))
            yield page // loops.PAGES, _values(keys + page % loops.PAGES * loops.KEYS), times[keys]


def _apart(pages: Array, counts: Array) -> list[slice]:
    """Pieces of about equally many rows that share no page; ``pages`` in rising order."""
    if not len(pages):
        return []
    fresh = np.flatnonzero(np.diff(pages, prepend=-1))
    before = (np.cumsum(counts, dtype=np.int64) - counts)[fresh]
    wanted = np.linspace(0, float(counts.sum()), PIECES + 1)[1:-1]
    edges = [0, *np.unique(fresh[np.minimum(np.searchsorted(before, wanted), len(fresh) - 1)]).tolist(), len(pages)]
    return [slice(a, b) for a, b in pairwise(edges) if a < b]


@dataclass(frozen=True)
class Several:
    """The rows of up to three sides together."""

    form: Form
    totals: tuple[Total, ...]

    def leaves(self) -> "Ordered":
        over, rare = _marks(self.totals)
        slots = np.full((3, len(self.totals[0].slots)), -1, dtype=np.int32)
        lows = [np.zeros((1, loops.CODES), dtype=np.uint8)] * 3
        for side, total in enumerate(self.totals):
            slots[side], lows[side] = total.slots, total.low
        cells, curves = [], []
        most = int((slots >= 0).any(axis=0).sum()) * (loops.KEYS // loops.RUN) + len(rare)
        for stream in range(self.form.streams):
            out, state, area = np.empty((most, 4), dtype=np.uint32), np.zeros(4, dtype=np.int64), np.zeros(2)
            loops.read_pages(stream, slots, lows[0], lows[1], lows[2], over, rare, state, area, out)
            cells.append(out[: state[0]][::-1].copy())
            curves.append((*state[1:].tolist(), float(area.sum())))
        sums, places = [NO_WEIGHTS] * len(cells), [np.arange(len(own)) for own in cells]
        return Ordered(self.form, cells, sums, places, curves, self.totals)


@dataclass
class Ordered(Leaves):
    """Runs of values of which more is known: ``curves`` of each stream, exactly.

    They are twice the pairs out of order (ties count one), positives, negatives and Σ precision at each positive.
    """

    curves: list[tuple[int, int, int, float]] = field(default_factory=list)
    totals: tuple[Total, ...] = ()

    def read(self, stream: int, share: float) -> Floats:
        """Negatives, positives, ROC AUC, average precision and capture with their bounds, as curve_loops has them."""
        missed, positives, negatives, precision = self.curves[stream]
        if not positives or not negatives:
            return np.array([negatives, positives, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        area = (2 * positives * negatives - missed) / (2 * positives * negatives)
        inside = self._captured(stream, share * (positives + negatives)) / positives
        return np.array([negatives, positives, area, 0.0, min(precision / positives, 1.0), 0.0, min(inside, 1.0), 0.0])

    def _captured(self, stream: int, wanted: float) -> float:
        """The positives among the best ``wanted`` rows, of equal ones in proportion."""
        cells = self.cells[stream][::-1]
        above = np.cumsum(cells[:, 2:].sum(axis=1, dtype=np.int64))
        run = min(int(np.searchsorted(above, wanted)), len(cells) - 1)
        page = stream * loops.PAGES + (int(cells[run, 0]) >> loops.KEY_BITS)
        over, rare = _marks(self.totals)
        start = int(cells[run, 0]) % loops.KEYS // loops.RUN * loops.RUN
        times = _page(page, self.totals, over, rare).reshape(-1, 2)[start : start + loops.RUN][::-1].astype(np.int64)
        rows = np.concatenate([[0], np.cumsum(times.sum(axis=1))]) + (int(above[run - 1]) if run else 0)
        positives = np.concatenate([[0], np.cumsum(times[:, 1])]) + int(cells[:run, 3].sum(dtype=np.int64))
        return float(np.interp(wanted, rows, positives))


def _marks(totals: Sequence[Total]) -> tuple[Array, Array]:
    """Marks that ran over and marks that were listed, each in rising order."""
    over, rare = [total.over() for total in totals], [total.rare() for total in totals]
    return np.sort(np.concatenate(over)), np.sort(np.concatenate(rare))


def _page(page: int, totals: Sequence[Total], over: Array, rare: Array) -> Array:
    """How often each code of a page was seen; marks in rising order."""
    times = np.zeros(loops.CODES, dtype=np.uint32)
    for total in totals:
        if total.slots[page] >= 0:
            times += total.low[total.slots[page]]
    for marks, weight in ((over, 256), (rare, 1)):
        start, stop = np.searchsorted(marks, [page * loops.CODES, (page + 1) * loops.CODES])
        times += np.bincount(marks[start:stop] - page * loops.CODES, minlength=loops.CODES).astype(np.uint32) * weight
    return times


def rows_of(state: State) -> Iterator[tuple[int, Array, Columns]]:
    """Streams, values and columns of the rows of a bundle."""
    pages, codes = np.repeat(state["pages"], state["counts"]), state["codes"]
    for stream in range(Form.of(state["form"]).streams):
        own = pages // loops.PAGES == stream
        keys = pages[own].astype(np.int64) % loops.PAGES * loops.KEYS + (codes[own] >> 1)
        yield stream, _values(keys), (codes[own] & 1).astype(np.uint8)


def _values(keys: Array) -> Array:
    return floats_of(keys.astype(np.uint32), narrow=True)
