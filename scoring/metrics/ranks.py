"""Metrics of order among numbers: median_ae from a tally of |e|, spearman_r from a tally of pairs."""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Callable, Sequence

import numpy as np

from scoring.metrics import tally
from scoring.samples import Numbers, without_weightless
from scoring.state import Counts, Floats, Options, State, weights_of

NAN = math.nan


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
        with np.errstate(over="ignore"):
            e = np.abs(np.asarray(kept.f, dtype=np.float64) - np.asarray(kept.y, dtype=np.float64))
        keys = tally.ordered(e)
        if kept.w is None and len(keys):
            return tally.counted(keys, cap=self.cap)
        return tally.tally(keys[:, None], weights_of(kept.w, len(e))[:, None], cap=self.cap)

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        return tally.merged(states, counts, cap=self.cap) if states else self.zero()

    def resampler(self, states: Sequence[State]) -> Callable[[Counts], State]:
        return tally.resampler(states, cap=self.cap)


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

    def resampler(self, states: Sequence[State]) -> Callable[[Counts], State]:
        return tally.resampler(states, cap=self.cap)


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
    cumulative = np.cumsum(state["w"][:, 0])
    half = cumulative[-1] / 2
    cell = int(np.searchsorted(cumulative, half))
    return cell, cell + 1 if cumulative[cell] == half and cell + 1 < len(cumulative) else cell


def spearman_r(state: State, options: Options) -> float:
    """Pearson's r of mid-ranks; undefined when y or f is constant."""
    if not len(state["w"]):
        return NAN
    (_, vy), (_, vf), cov, _ = _rank_moments(state)
    return float(np.clip(cov / math.sqrt(vy * vf), -1, 1)) if vy > 0 and vf > 0 else NAN


def spearman_bound(state: State, options: Options) -> float:
    """How far r can be from the r of the values themselves, by what the cells merged.

    Within a cell of one axis true ranks differ from the mid-rank by d with mean 0 and mean square at most s² (the
    spread of evenly spaced ranks). Then the variance grows by at most s², and by Cauchy and Schwarz the covariance
    moves by at most s_y·σ_f + s_f·σ_y + s_y·s_f.
    """
    if not len(state["w"]) or tally.exact_cells(state).all():
        return 0.0
    (sy, vy), (sf, vf), cov, _ = _rank_moments(state)
    if not (vy > 0 and vf > 0):
        return 2.0
    move = math.sqrt(sy * vf) + math.sqrt(sf * vy) + math.sqrt(sy * sf)
    r = cov / math.sqrt(vy * vf)
    shrink = math.sqrt(vy * vf / ((vy + sy) * (vf + sf)))
    reach = move / math.sqrt(vy * vf)
    ends = [(r + sign * reach) * factor for sign in (-1.0, 1.0) for factor in (1.0, shrink)]
    return float(min(2.0, max(abs(max(-1.0, min(1.0, end)) - r) for end in ends)))


def _rank_moments(state: State) -> tuple[tuple[float, float], tuple[float, float], float, float]:
    """(lost spread, variance) of the ranks of y and of f, their covariance, and the total weight."""
    w = state["w"][:, 0]
    total = float(w.sum())
    level = int(state["level"][0])
    y, lost_y = _midranks(state["lo"][:, 0], state["hi"][:, 0], w, level)
    f, lost_f = _midranks(state["lo"][:, 1], state["hi"][:, 1], w, level)
    vy, vf = float((w * y * y).sum()) / total, float((w * f * f).sum()) / total
    return (lost_y, vy), (lost_f, vf), float((w * y * f).sum()) / total, total


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
