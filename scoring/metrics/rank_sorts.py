"""Spearman's r of up to a million rows: all keys of either side in order, then every row's ranks.

The first pass hands on the keys of y and of f, each put in order bundle by bundle; the second looks up where every row
stands among all of them. This does sort all rows, which FEW bounds: the keys take 8 bytes a row, axis and side, twice
that with weights, and go to whoever computes a bundle. More rows are put in order cell by cell instead, in memory that
does not grow with them (``scoring.metrics.rank_passes``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from datasets.blocks import PRIVATE, PUBLIC, SIDES, Side
from scoring.metrics import rank_loops as loops
from scoring.metrics import tally
from scoring.metrics.cells import NOTHING
from scoring.metrics.spread import correlation
from scoring.metrics.windows import of_bytes, to_bytes
from scoring.samples import Array, Numbers, without_weightless
from scoring.state import FINE, BlockKey, Collector, Detail, Floats, State, Which

FEW = 1 << 20
PIECE = loops.PIECE  # rows looked up at a time
GROUPS = 64  # of each axis, of about equal weight, in which the pairs of a block are counted


def collector(detail: Detail) -> Collector:
    """For the pass that collects keys, or for the one that looks them up."""
    return Ranking(*detail.read(_known)) if detail.data else Keys()


class Keys:
    """The keys of one bundle, by side and axis."""

    def __init__(self) -> None:
        self._found: dict[Side, list[tuple[Array, Array, Array | None]]] = {}

    def add(self, place: BlockKey, sample: Numbers) -> None:
        kept = without_weightless(sample)
        self._found.setdefault(place[1], []).append((tally.ordered(kept.y), tally.ordered(kept.f), kept.w))

    def states(self) -> dict[BlockKey, State]:
        return {(FINE, side): _sorted(parts) for side, parts in self._found.items()}


def _sorted(parts: list[tuple[Array, Array, Array | None]]) -> State:
    axes = [np.concatenate([part[axis] for part in parts]) for axis in (0, 1)]
    if all(w is None for _, _, w in parts):
        return {"keys0": np.sort(axes[0]), "keys1": np.sort(axes[1]), "w0": NOTHING, "w1": NOTHING}
    w = np.concatenate([np.ones(len(y)) if own is None else np.asarray(own, np.float64) for y, _, own in parts])
    order = [np.argsort(keys, kind="stable") for keys in axes]
    return {"keys0": axes[0][order[0]], "keys1": axes[1][order[1]], "w0": w[order[0]], "w1": w[order[1]]}


@dataclass(frozen=True)
class Axis:
    """All ``keys`` (m,) of one axis and side in rising order; ``sums`` (m + 1,): the weight before each, or none."""

    keys: Array
    sums: Floats

    @classmethod
    def of(cls, keys: list[Array], weights: list[Array]) -> "Axis":
        """Of sorted runs, with their weights where any has some."""
        joined = np.concatenate(keys)
        if not any(len(w) for w in weights):
            return cls(np.sort(joined), NOTHING)
        w = np.concatenate([own if len(own) else np.ones(len(run)) for run, own in zip(keys, weights, strict=True)])
        order = np.argsort(joined, kind="stable")
        return cls(joined[order], np.concatenate([[0.0], np.cumsum(w[order])]))

    @property
    def total(self) -> float:
        return float(self.sums[-1]) if len(self.sums) else float(len(self.keys))

    def values(self) -> tuple[Array, Floats, Floats]:
        """The distinct keys, their weights and their mid-ranks."""
        fresh = np.flatnonzero(np.diff(self.keys, prepend=self.keys[0] - 1))
        edges = np.append(fresh, len(self.keys))
        before = self.sums[edges] if len(self.sums) else edges.astype(np.float64)
        ranks: Floats = (before[:-1] + before[1:]) / 2.0 / self.total - 0.5
        return self.keys[fresh], np.diff(before), ranks

    def variance(self) -> float:
        """The variance of the mid-ranks."""
        _, weight, ranks = self.values()
        return float((weight * ranks * ranks).sum()) / self.total

    def group_ends(self) -> Array:
        """Least and greatest key of each group (GROUPS, 2)."""
        keys, _, ranks = self.values()
        group = np.minimum(((ranks + 0.5) * GROUPS).astype(np.int64), GROUPS - 1)
        first, last = (np.searchsorted(group, np.arange(GROUPS), side=at) for at in ("left", "right"))
        full, found = last > first, np.zeros((GROUPS, 2), dtype=np.int64)
        found[full] = np.stack([keys[first[full]], keys[last[full] - 1]], axis=1)
        return found


def _known(detail: bytes) -> tuple[dict[str, tuple[Axis, Axis]], Array]:
    """The axes of each side and of "" for all sides together, and the ends of the groups (axis, GROUPS, 2)."""
    arrays = of_bytes(detail)
    names = {name.rpartition(".")[0] for name in arrays if name != "ends"}
    axes = {name: Axis(arrays[f"{name}.keys"], arrays[f"{name}.sums"]) for name in names}
    sides = {name[1:] for name in names}
    return {side: (axes[f"0{side}"], axes[f"1{side}"]) for side in sides}, arrays["ends"]


class Ranking:
    """Looks up the ranks of one bundle's rows and adds up their products; for each block, the groups of its pairs."""

    def __init__(self, axes: Mapping[str, tuple[Axis, Axis]], group_ends: Array) -> None:
        self._axes, self._ends = axes, group_ends
        self._sums: dict[Side, Floats] = {}
        self._joint: dict[BlockKey, Floats] = {}

    def add(self, place: BlockKey, sample: Numbers) -> None:
        kept = without_weightless(sample)
        sums = self._sums.setdefault(place[1], np.zeros(2))
        joint = self._joint.setdefault(place, np.zeros(GROUPS * GROUPS))
        for start in range(0, len(kept.y), PIECE):
            rows = slice(start, start + PIECE)
            w = NOTHING if kept.w is None else np.array(kept.w[rows], dtype=np.float64)
            keys = [tally.ordered(values[rows]) for values in (kept.y, kept.f)]
            order = [_numbered(own) for own in keys]
            for at, side in enumerate(("", place[1]) if len(self._axes) > 1 else ("",)):
                y, f = (_ranks(keys[a], order[a], self._axes[side][a]) for a in (0, 1))
                sums[at] += loops.add_products(y, f, w)
                if not at:
                    loops.count_groups(y, f, w, GROUPS, joint)

    def states(self) -> dict[BlockKey, State]:
        found: dict[BlockKey, State] = {(FINE, side): {"sums": sums} for side, sums in self._sums.items()}
        return found | {place: self._blocked(joint) for place, joint in self._joint.items()}

    def _blocked(self, joint: Floats) -> State:
        cells = np.flatnonzero(joint)
        lo, hi = (
            np.stack([self._ends[0, cells // GROUPS, end], self._ends[1, cells % GROUPS, end]], axis=1)
            for end in (0, 1)
        )
        return tally.celled(cells, lo, hi, joint[cells][:, None])


def _numbered(keys: Array) -> Array:
    """Keys in rising order as far as their high bits tell, with their place in the low ones."""
    mixed = keys & ~np.int64(loops.PIECE - 1) | np.arange(len(keys))
    mixed.sort()
    return mixed


def _ranks(keys: Array, order: Array, axis: Axis) -> Floats:
    ranks = np.empty(len(keys))
    loops.find_ranks(keys, order, axis.keys, axis.sums, ranks)
    return ranks


class SortedStudy:
    """See scoring.state.Study."""

    def __init__(self) -> None:
        self._found: dict[Side, list[State]] = {}
        self._sums: dict[Side, Floats] = {}
        self._alone: tuple[Side, ...] = ()  # the side that has all rows
        self._known: dict[str, tuple[float, float, float]] = {}  # weight, variance of y's and of f's ranks

    def take(self, side: Side, state: State) -> None:
        if "sums" in state:
            self._sums[side] = self._sums.get(side, np.zeros(2)) + state["sums"]
        else:
            self._found.setdefault(side, []).append(state)

    def next(self) -> bytes | None:
        if not self._found:
            return None
        found = {side: states for side, states in self._found.items() if any(len(s["keys0"]) for s in states)}
        self._found = {}
        if not found:
            return None
        wanted = {"": [state for side in SIDES for state in found.get(side, [])]}
        self._alone = tuple(found) if len(found) == 1 else ()
        if not self._alone:
            wanted |= {side: found[side] for side in SIDES if side in found}
        arrays: dict[str, Array] = {}
        ends = []
        for side, states in wanted.items():
            axes = [Axis.of([s[f"keys{a}"] for s in states], [s[f"w{a}"] for s in states]) for a in (0, 1)]
            self._known[side] = (axes[0].total, axes[0].variance(), axes[1].variance())
            for number, axis in enumerate(axes):
                arrays |= {f"{number}{side}.keys": axis.keys, f"{number}{side}.sums": axis.sums}
                ends += [] if side else [axis.group_ends()]
        return to_bytes(arrays | {"ends": np.stack(ends)})

    def value(self, _name: str, which: Which) -> tuple[float, float]:
        sides: Mapping[Which, Side] = {"public": PUBLIC, "private": PRIVATE}
        own = "" if which == "overall" or sides[which] in self._alone else sides[which]
        if own not in self._known:
            return float("nan"), 0.0
        total, vy, vf = self._known[own]
        cov = self._sums[own][1] if own else sum(float(sums[0]) for sums in self._sums.values())
        return correlation((0.0, vy), (0.0, vf), float(cov) / total)

    def blocks(self) -> dict[Side, State]:
        return {}
