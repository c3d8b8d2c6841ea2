"""Metrics of order among numbers: median_ae from a tally of |e|, spearman_r from a tally of pairs."""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Sequence

import numpy as np

from scoring.metrics import rank_passes, rank_sorts, tally
from scoring.metrics.cells import Counting, Leaves, Stream, ends
from scoring.metrics.passes import Measured, Passes, Reading, Sides
from scoring.metrics.spread import Spread, correlation
from scoring.samples import Numbers, without_weightless
from scoring.state import Collector, Counts, Detail, Floats, Options, Resampler, State, Study, weights_of

NAN = math.nan
MIDDLE_CELLS = 1 << 17  # of a pass in which only the cells around the middle are cut
NEAR = 1e-8  # more than a running sum is ever off, as a share of all weight
ROUNDING = 1e-12  # two halves of the weight closer than this are equal


class AbsoluteErrors:
    """Tally of |f − y|: one key, one weight column."""

    name = "absolute_errors"
    sample = Numbers

    def __init__(self, cap: int = tally.CAP) -> None:
        self.cap = cap

    def zero(self) -> State:
        return tally.empty(1, 1)

    def partial(self, sample: Numbers, options: Options) -> State:
        kept = without_weightless(sample)
        e = _absolute(kept)
        keys = tally.ordered(e)
        if kept.w is None and len(keys):
            return tally.counted(keys, cap=self.cap)
        return tally.tally(keys[:, None], weights_of(kept.w, len(e))[:, None], cap=self.cap)

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        return tally.merged(states, counts, cap=self.cap) if states else self.zero()

    def resampler(self, states: Sequence[State]) -> Resampler:
        return tally.resampler(states, cap=self.cap)

    def collector(self, detail: Detail, rows: int) -> Counting:
        return Counting(_error_stream, _error_blocks, detail, rows)

    def study(self, names: Sequence[str], options: Options, *, rows: int, blocks: int) -> Passes:
        reading = Reading(_measured, _middle_needs, _error_blocks, relative=True, budget=MIDDLE_CELLS)
        return Passes(reading, rows=rows, blocks=blocks)


def _absolute(sample: Numbers) -> Floats:
    with np.errstate(over="ignore"):
        e = np.asarray(sample.f, dtype=np.float64) - np.asarray(sample.y, dtype=np.float64)
    return np.abs(e, out=e)


def _error_stream(sample: Numbers) -> list[Stream]:
    kept = without_weightless(sample)
    return [(_absolute(kept), np.zeros(len(kept.y), dtype=np.uint8), kept.w)]


def _error_blocks(leaves: Leaves) -> State:
    """The tally of coarse cells: the same cells in every block of an entry."""
    lo, hi = (tally.ordered(values)[:, None] for values in ends(leaves.cells[0]))
    return tally.celled(leaves.places[0], lo, hi, leaves.weights(0)[0][:, None])


def _measured(leaves: Leaves) -> Measured:
    if not len(leaves):
        return {}
    low, high = _halves(leaves.weights(0)[0])
    lo, hi = ends(leaves.cells[0][[low, high]])
    least, most = (_mean(*pair.tolist()) for pair in (lo, hi))
    value = _mean(least, most)
    return {"median_ae": (value, max(value - least, most - value) if least < most else 0.0)}


def _mean(a: float, b: float) -> float:
    """(a + b) / 2 of two numbers of one sign, also where their sum overflows."""
    return a / 2 + b / 2 if math.isinf(a + b) else (a + b) / 2


def _middle_needs(sides: Sides) -> list[Floats]:
    """1 for the cells of several values the middle of any side falls into."""
    keys = sides[None].cells[0][:, 0]
    need = np.zeros(len(keys))
    for leaves in sides.values():
        weight, mixed = leaves.weights(0)
        for cell in _halves(weight):
            need[np.searchsorted(keys, leaves.cells[0][cell, 0])] += mixed[cell]
    return [np.minimum(need, 1.0)]


class RankPairs:
    """Tally of the pairs (y, f): two keys, one weight column."""

    name = "rank_pairs"
    sample = Numbers

    def __init__(self, cap: int = tally.CAP) -> None:
        self.cap = cap

    def zero(self) -> State:
        return tally.empty(2, 1)

    def partial(self, sample: Numbers, options: Options) -> State:
        kept = without_weightless(sample)
        keys = np.stack([tally.ordered(kept.y), tally.ordered(kept.f)], axis=1)
        return tally.tally(keys, weights_of(kept.w, len(keys))[:, None], cap=self.cap)

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        return tally.merged(states, counts, cap=self.cap) if states else self.zero()

    def resampler(self, states: Sequence[State]) -> Resampler:
        return tally.resampler(states, cap=self.cap)

    def collector(self, detail: Detail, rows: int) -> Collector:
        return rank_sorts.collector(detail) if rows <= rank_sorts.FEW else rank_passes.collector(detail, rows)

    def study(self, names: Sequence[str], options: Options, *, rows: int, blocks: int) -> Study:
        return rank_sorts.SortedStudy() if rows <= rank_sorts.FEW else rank_passes.RankStudy(rows)


def median_ae(state: State, options: Options) -> float:
    """Weighted median of |e|: where half the weight lies below, the mean with the next value."""
    if not len(state["w"]):
        return NAN
    low, high = _middle(state)
    lo, hi = tally.unordered(state["lo"][:, 0]), tally.unordered(state["hi"][:, 0])
    return float(lo[low] / 4 + hi[low] / 4 + lo[high] / 4 + hi[high] / 4)


def median_ae_bound(state: State, options: Options) -> float:
    """Half the width of the cells the median fell into."""
    if not len(state["w"]):
        return 0.0
    lo, hi = tally.unordered(state["lo"][:, 0]), tally.unordered(state["hi"][:, 0])
    return math.fsum(float(hi[cell] - lo[cell]) for cell in _middle(state) if lo[cell] != hi[cell]) / 4


def _middle(state: State) -> tuple[int, int]:
    """The cells of the two values around half the weight; the same cell twice when half falls inside one."""
    return _halves(state["w"][:, 0])


def _halves(weight: Floats) -> tuple[int, int]:
    """Where half the weight lies below; sums that differ by rounding alone, as of equal weights of 0.1, are equal."""
    cumulative = np.cumsum(weight)
    total = cumulative[-1]
    cell = int(np.searchsorted(cumulative, total / 2))
    for low in (cell - 1, cell):
        near = 0 <= low < len(weight) - 1 and abs(2 * cumulative[low] - total) <= NEAR * total
        if near and abs(weight[: low + 1].sum() - weight[low + 1 :].sum()) <= ROUNDING * total:
            return low, low + 1
    return cell, cell


def spearman_r(state: State, options: Options) -> float:
    """Pearson's r of mid-ranks; undefined when y or f is constant."""
    return correlation(*_rank_moments(state))[0] if len(state["w"]) else NAN


def spearman_bound(state: State, options: Options) -> float:
    """How far r can be from the r of the values themselves, by what the cells merged; see scoring.metrics.spread."""
    return correlation(*_rank_moments(state))[1] if len(state["w"]) else 0.0


def _rank_moments(state: State) -> tuple[Spread, Spread, float]:
    """(lost spread, variance) of the ranks of y and of f, and their covariance."""
    w = state["w"][:, 0]
    total = float(w.sum())
    level = int(state["level"][0])
    y, lost_y = _midranks(state["lo"][:, 0], state["hi"][:, 0], w, level)
    f, lost_f = _midranks(state["lo"][:, 1], state["hi"][:, 1], w, level)
    vy, vf = float((w * y * y).sum()) / total, float((w * f * f).sum()) / total
    return (lost_y, vy), (lost_f, vf), float((w * y * f).sum()) / total


def _midranks(lo: tally.Keys, hi: tally.Keys, w: Floats, level: int) -> tuple[Floats, float]:
    """Centred mid-ranks (K,) as shares of the weight, and the mean square of what merged cells can hide."""
    cells, inverse = np.unique(lo >> level, return_inverse=True)
    weight = np.bincount(inverse, weights=w, minlength=len(cells))
    total = weight.sum()
    rank = (np.cumsum(weight) - weight / 2) / total - 0.5
    least, most = np.full(len(cells), np.iinfo(np.int64).max), np.full(len(cells), np.iinfo(np.int64).min)
    np.minimum.at(least, inverse, lo)
    np.maximum.at(most, inverse, hi)
    hidden = np.where(least == most, 0.0, weight)
    return rank[inverse], float((hidden * (hidden / total) ** 2).sum() / 12 / total)
