"""The cells of y and f in which Spearman's r is counted, as they go to whoever reads a bundle, and what comes back."""

from dataclasses import dataclass, replace

import numpy as np

from datasets.blocks import SIDES, Side
from scoring.metrics import rank_order_loops as loops
from scoring.metrics import tally
from scoring.metrics.cells import NOTHING, Leaves, Stream, ends
from scoring.metrics.windows import Form, bit_lengths, loose, lows, of_bytes, to_bytes
from scoring.samples import Array, Numbers, without_weightless
from scoring.state import FINE, BlockKey, Floats, State

GROUPS = 64  # of each axis, of about equal weight, in which the pairs of a block are counted
PIECE = 1 << 16  # rows looked up at a time
DROP_NARROW, DROP_WIDE = 16, 45  # low bits of a key that do not choose its slots
SLOT_BITS = 16


@dataclass(frozen=True)
class Finder:
    """Where the cells of an axis lie; see rank_order_loops.find_cells."""

    tops: Array
    starts: Array
    highs: Array
    first: int
    drop: int

    @classmethod
    def of(cls, least: Array, greatest: Array, *, narrow: bool) -> "Finder":
        """Of the least and the greatest key of cells in rising order, both uint64 (m,)."""
        drop = DROP_NARROW if narrow else DROP_WIDE
        first, last = int(least[0] >> np.uint64(drop)), int(greatest[-1] >> np.uint64(drop))
        seen = np.bincount((greatest >> np.uint64(drop)).astype(np.int64) - first, minlength=last - first + 1)
        bits = np.minimum(bit_lengths(seen.astype(np.uint64)) + 1, SLOT_BITS)  # at least twice as many slots as cells
        begin = np.concatenate([[0], np.cumsum(1 << bits)])
        shift = drop - bits
        slot = np.arange(begin[-1]) - np.repeat(begin[:-1], 1 << bits)
        top = np.repeat(np.arange(first, last + 1), 1 << bits)
        keys = (top.astype(np.uint64) << np.uint64(drop)) + (
            slot.astype(np.uint64) << np.repeat(shift, 1 << bits).astype(np.uint64)
        )
        starts = np.append(np.minimum(np.searchsorted(greatest, keys), len(greatest) - 1), len(greatest) - 1)
        return cls(begin[:-1] * 256 + shift, starts.astype(np.int32), greatest, first, drop)

    def find(self, raw: Array, base: int, found: Array) -> None:
        """The cells of the values with the bits ``raw``, counted from ``base`` on, to ``found``."""
        loops.find_cells(raw, self.tops, self.drop, self.first, self.starts, self.highs, base, found)


@dataclass(frozen=True)
class RankCells:
    """The cells of y and behind them those of f, ``split`` of them of y.

    ``ranks`` (k, cells): centred mid-ranks, row 0 among all rows; with several sides row 1 + s in those of SIDES[s].
    ``mixed`` (cells,): whether a cell saw several values and its rows are put in order, ``least`` (cells,) its least
    key, ``shifts`` the low bits of a row's distance from it that find no room. ``groups`` (cells,), ``group_ends``
    (axis, GROUPS, 2): the group of each cell, least and greatest value of each group. ``bits``: as in
    rank_order_loops. A pass puts the rows of the cells ``start`` … ``stop`` − 1 in order; the first counts pairs too.
    """

    form: Form
    finders: tuple[Finder, Finder]
    ranks: Floats
    mixed: Array
    least: Array
    shifts: Array
    groups: Array
    group_ends: Floats
    split: int
    bits: int
    start: int = 0
    stop: int = 0
    pairs: bool = True

    @classmethod
    def of(cls, leaves: Leaves, ranks: Floats, mixed: Array) -> "RankCells":
        """Of the cells of all rows."""
        least, greatest = ([own(cells) for cells in leaves.cells] for own in (lows, _highs))
        one, other = (
            Finder.of(low, high, narrow=leaves.form.narrow) for low, high in zip(least, greatest, strict=True)
        )
        low, high = np.concatenate(least), np.concatenate(greatest)
        bits = max(len(cells) for cells in leaves.cells).bit_length()
        shifts = np.maximum(bit_lengths(high - low) + bits + loops.SIDE_BITS - 64, 0).astype(np.uint8)
        grouped = [_groups(leaves, axis) for axis in (0, 1)]
        groups, group_ends = np.concatenate([own for own, _ in grouped]), np.stack([own for _, own in grouped])
        split = len(leaves.cells[0])
        flags = mixed.astype(np.uint8)
        return cls(leaves.form, (one, other), ranks, flags, low, shifts, groups, group_ends, split, bits)

    @property
    def widths(self) -> Array:
        """How many bits tell the rows of each cell apart."""
        high = np.concatenate([finder.highs for finder in self.finders])
        return (bit_lengths(high - self.least) - self.shifts).astype(np.uint8)

    def reach(self, axis: int) -> tuple[int, int]:
        """The cells of an axis whose rows this pass puts in order."""
        low, high = ((0, self.split), (self.split, len(self.mixed)))[axis]
        return max(low, self.start), min(high, self.stop)

    def about(self, start: int, stop: int, *, pairs: bool) -> bytes:
        """What a pass over the rows of some cells has to know."""
        own = replace(self, start=start, stop=stop, pairs=pairs)
        arrays = {name: getattr(own, name) for name in _ARRAYS}
        numbers = [own.split, own.bits, own.start, own.stop, int(own.pairs)]
        for axis, finder in enumerate(self.finders):
            arrays |= {f"{name}{axis}": getattr(finder, name) for name in ("tops", "starts", "highs")}
            numbers += [finder.first, finder.drop]
        return to_bytes(arrays | {"form": own.form.state(), "numbers": np.array(numbers, dtype=np.int64)})

    @classmethod
    def of_bytes(cls, detail: bytes) -> "RankCells":
        """The inverse of ``about``."""
        arrays = {name: loose(array, array.dtype) for name, array in of_bytes(detail).items()}
        split, bits, start, stop, pairs, *numbers = arrays["numbers"].tolist()
        one, other = (
            Finder(arrays[f"tops{a}"], arrays[f"starts{a}"], arrays[f"highs{a}"], numbers[2 * a], numbers[2 * a + 1])
            for a in (0, 1)
        )
        own = {name: arrays[name] for name in _ARRAYS}
        form = Form.of(arrays["form"])
        return cls(form, (one, other), split=split, bits=bits, start=start, stop=stop, pairs=bool(pairs), **own)


_ARRAYS = ("ranks", "mixed", "least", "shifts", "groups", "group_ends")


def streams(sample: Numbers) -> list[Stream]:
    """Both axes; counts stand in column 0."""
    kept = without_weightless(sample)
    column = np.zeros(len(kept.y), dtype=np.uint8)
    return [(np.asarray(kept.y), column, kept.w), (np.asarray(kept.f), column, kept.w)]


@dataclass
class Rows:
    """Rows to put in order: their cells and codes, and weights where any has one."""

    cells: list[Array]
    codes: list[Array]
    w: list[Array]

    def add(self, cells: Array, codes: Array, w: Array) -> None:
        self.cells.append(cells)
        self.codes.append(codes)
        self.w.append(w)

    def state(self, start: int, stop: int) -> State:
        """The rows cell by cell; ``start`` … ``stop`` − 1 are the cells of the pass."""
        weighted = any(len(w) for w in self.w)
        w = [own if len(own) else np.ones(len(codes)) for own, codes in zip(self.w, self.codes, strict=True)]
        cells, codes = np.concatenate([np.zeros(0, np.int32), *self.cells]), np.concatenate([NO_CODES, *self.codes])
        weights = np.concatenate([NOTHING, *w]) if weighted else NOTHING
        self.cells, self.codes, self.w = [], [], []
        room = np.zeros(max(0, stop - start), dtype=np.int64)
        most = min(len(cells), len(room))
        names, counts = np.empty(most, np.int32), np.empty(most, np.int32)
        out, out_w = np.empty_like(codes), np.empty_like(weights)
        found = loops.group(cells, codes, weights, start, room, names, counts, out, out_w)
        return {"names": names[:found], "counts": counts[:found], "codes": out, "w": out_w}


NO_CODES = np.zeros(0, dtype=np.uint64)


class Pairs:
    """Reads the rows of one bundle: adds up the products of their cells' ranks, and hands on those to be ordered."""

    def __init__(self, known: RankCells) -> None:
        self._known = known
        self._sums: dict[Side, Floats] = {}
        self._joint: dict[BlockKey, Floats] = {}
        self._rows: dict[Side, Rows] = {}
        self._at = np.zeros((2, PIECE), dtype=np.int32)

    def add(self, place: BlockKey, sample: Numbers) -> None:
        kept = without_weightless(sample)
        self._sums.setdefault(place[1], np.zeros(2))
        self._rows.setdefault(place[1], Rows([], [], []))
        for start in range(0, len(kept.y), PIECE):
            rows = slice(start, start + PIECE)
            w = NOTHING if kept.w is None else loose(kept.w[rows], np.float64)
            kind, key = self._known.form.value, self._known.form.key
            raw = [loose(values[rows], kind).view(key) for values in (kept.y, kept.f)]
            self._some(place, raw, w)

    def _some(self, place: BlockKey, raw: list[Array], w: Array) -> None:
        known, n = self._known, len(raw[0])
        found = [self._at[axis, :n] for axis in (0, 1)]
        wanted = [axis for axis in (0, 1) if known.reach(axis)[0] < known.reach(axis)[1]]
        for axis in (0, 1) if known.pairs else wanted:
            known.finders[axis].find(raw[axis], axis * known.split, found[axis])
        if known.pairs:
            joint = self._joint.setdefault(place, np.zeros(GROUPS * GROUPS))
            side = known.ranks[1 + SIDES.index(place[1]) if len(known.ranks) > 1 else 0]
            sums = self._sums[place[1]]
            loops.add_pairs(found[0], found[1], w, known.ranks[0], side, known.groups, GROUPS, sums, joint)
        for axis in wanted:
            self._choose(axis, place[1], raw, w, found, whole=known.pairs or len(wanted) == 2)

    def _choose(self, axis: int, side: Side, raw: list[Array], w: Array, found: list[Array], *, whole: bool) -> None:
        """Take the rows whose cell on an axis is to be ordered; ``whole``: every row's cells are known on both axes."""
        known = self._known
        chosen = np.empty(len(raw[axis]), dtype=np.int64)
        rows = chosen[: loops.choose(found[axis], *known.reach(axis), known.mixed, chosen)]
        cells, codes = np.empty(len(rows), dtype=np.int32), np.empty(len(rows), dtype=np.uint64)
        base = (1 - axis) * known.split
        if whole:
            other = found[1 - axis][rows]
        else:
            other = np.empty(len(rows), dtype=np.int32)
            known.finders[1 - axis].find(raw[1 - axis][rows], base, other)
        loops.code_rows(
            raw[axis], rows, found[axis], other, known.least, known.shifts, base, known.bits, SIDES.index(side), cells,
            codes,
        )  # fmt: skip
        self._rows[side].add(cells, codes, w[rows] if len(w) else w)

    def states(self) -> dict[BlockKey, State]:
        reach = self._known.start, self._known.stop
        found: dict[BlockKey, State] = {
            (FINE, side): {"sums": sums} | self._rows[side].state(*reach) for side, sums in self._sums.items()
        }
        return found | {place: self._blocked(joint) for place, joint in self._joint.items()}

    def _blocked(self, joint: Floats) -> State:
        cells = np.flatnonzero(joint)
        low, high = (
            np.stack(
                [self._known.group_ends[0, cells // GROUPS, end], self._known.group_ends[1, cells % GROUPS, end]], 1
            )
            for end in (0, 1)
        )
        lo, hi = (np.stack([tally.ordered(column) for column in values.T], axis=1) for values in (low, high))
        return tally.celled(cells, lo, hi, joint[cells][:, None])


def midranks(weight: Floats) -> Floats:
    """Centred mid-ranks as shares of the weight."""
    ranks: Floats = (np.cumsum(weight) - weight / 2) / weight.sum() - 0.5
    return ranks


def _highs(cells: Array) -> Array:
    return cells[:, 0].astype(np.uint64)


def _groups(leaves: Leaves, axis: int) -> tuple[Array, Floats]:
    """The group of each cell of an axis, and least and greatest value of each group (GROUPS, 2)."""
    group = np.minimum(((midranks(leaves.weights(axis)[0]) + 0.5) * GROUPS).astype(np.int64), GROUPS - 1)
    low, high = ends(leaves.cells[axis])
    first, last = (np.searchsorted(group, np.arange(GROUPS), side=at) for at in ("left", "right"))
    full, group_ends = last > first, np.zeros((GROUPS, 2))
    group_ends[full] = np.stack([low[first[full]], high[last[full] - 1]], axis=1)
    return group.astype(np.uint8), group_ends
