"""Errors and second moments of numbers: rmse mae mse bias max_error r2 nse pearson_r kge from one state.

State: ``sums`` (4,) = Σw, Σw·|e|, Σw·e², Σw·e with e = f − y; ``means`` (2,) weighted means of y and f; ``moments``
(3,) = Σw·(y−ȳ)², Σw·(f−f̄)², Σw·(y−ȳ)(f−f̄); ``peaks`` (5,) = max −y, max y, max −f, max f, max |e|.
Merging centred moments follows Chan, Golub & LeVeque (1983): M₂ = Σ M₂ᵢ + Σ wᵢ·(ȳᵢ − ȳ)².
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Sequence

import numpy as np

from scoring.samples import Numbers, pieces, without_weightless
from scoring.state import Counts, Floats, Options, State, exact_sum, taken, weights_of

PIECE = 1 << 16  # rows worked on at a time: the temporaries stay in the processor's cache
NAN = math.nan


class Moments:
    """Statistics of pairs of numbers; see the module for the layout of the state."""

    name = "moments"
    sample = Numbers

    def zero(self) -> State:
        return {"sums": np.zeros(0), "means": np.zeros(0), "moments": np.zeros(0), "peaks": np.zeros(0)}

    def partial(self, sample: Numbers, options: Options) -> State:
        return self.merge([_piece(piece) for piece in pieces(without_weightless(sample), PIECE)])

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        chosen, times = taken(states, counts, "sums")
        if not chosen:
            return self.zero()
        if len(chosen) == 1 and times[0] == 1:
            return chosen[0]
        with np.errstate(over="ignore", invalid="ignore"):
            return _joined(chosen, times)


def _piece(sample: Numbers) -> State:
    y = np.ascontiguousarray(sample.y, dtype=np.float64)
    f = np.ascontiguousarray(sample.f, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        e = f - y
        size = np.abs(e)
        peaks = np.array([-y.min(), y.max(), -f.min(), f.max(), size.max()])
        w = None if sample.w is None else weights_of(sample.w, len(y))
        total = float(len(y)) if w is None else float(w.sum())
        mean_y, mean_f = _total(y, w) / total, _total(f, w) / total
        dy, df = y - mean_y, f - mean_f
        off_y, off_f = _total(dy, w), _total(df, w)  # what rounding of the means left over
        moments = np.array([_total(dy * dy, w), _total(df * df, w), _total(dy * df, w)])
        moments -= np.array([off_y * off_y, off_f * off_f, off_y * off_f]) / total
        sums = np.array([total, _total(size, w), _total(e * e, w), _total(e, w)])
    return {"sums": sums, "means": np.array([mean_y, mean_f]), "moments": moments, "peaks": peaks}


def _total(values: Floats, w: Floats | None) -> float:
    return float(values.sum()) if w is None else float((values * w).sum())


def _joined(states: list[State], times: Floats) -> State:
    sums = np.stack([state["sums"] for state in states]) * times[:, None]
    means = np.stack([state["means"] for state in states])
    moments = np.stack([state["moments"] for state in states]) * times[:, None]
    w = sums[:, :1]
    total = exact_sum(w)
    mean = exact_sum(w * means) / total
    d = means - mean
    between = w * np.stack([d[:, 0] * d[:, 0], d[:, 1] * d[:, 1], d[:, 0] * d[:, 1]], axis=1)
    return {
        "sums": exact_sum(sums),
        "means": mean,
        "moments": exact_sum(np.concatenate([moments, between])),
        "peaks": np.max([state["peaks"] for state in states], axis=0),
    }


def mae(state: State, options: Options) -> float:
    """Σw·|e| / Σw."""
    return _mean_of(state, 1)


def mse(state: State, options: Options) -> float:
    """Σw·e² / Σw."""
    return _mean_of(state, 2)


def rmse(state: State, options: Options) -> float:
    """√mse."""
    return math.sqrt(_mean_of(state, 2))


def bias(state: State, options: Options) -> float:
    """Σw·(f − y) / Σw."""
    return _mean_of(state, 3)


def max_error(state: State, options: Options) -> float:
    """max |e|; weights only say which rows count."""
    return float(state["peaks"][4]) if state["sums"].size else NAN


def r2(state: State, options: Options) -> float:
    """1 − Σw·e² / Σw·(y − ȳ)²; undefined (nan) when the truth is constant, where scikit-learn invents 0 or 1."""
    if not state["sums"].size or _constant(state, 0):
        return NAN
    return _ratio_from_one(state["sums"][2], state["moments"][0])


def pearson_r(state: State, options: Options) -> float:
    """Cov(y, f) / (σy·σf); undefined when either is constant."""
    if not state["sums"].size or _constant(state, 0) or _constant(state, 1):
        return NAN
    yy, ff, yf = state["moments"].tolist()
    scale = math.sqrt(yy) * math.sqrt(ff) if yy > 0 and ff > 0 else 0.0
    return max(-1.0, min(1.0, yf / scale)) if scale and math.isfinite(scale) else NAN


def kge(state: State, options: Options) -> float:
    """Kling–Gupta efficiency of 2009: 1 − √((r−1)² + (σf/σy − 1)² + (f̄/ȳ − 1)²); undefined as r is, and for ȳ = 0."""
    r = pearson_r(state, options)
    if math.isnan(r) or state["means"][0] == 0:
        return NAN
    alpha = math.sqrt(state["moments"][1] / state["moments"][0])
    beta = float(state["means"][1] / state["means"][0])
    return 1.0 - math.sqrt((r - 1.0) ** 2 + (alpha - 1.0) ** 2 + (beta - 1.0) ** 2)


def _mean_of(state: State, index: int) -> float:
    return float(state["sums"][index] / state["sums"][0]) if state["sums"].size else NAN


def _constant(state: State, index: int) -> bool:
    low, high = state["peaks"][2 * index], state["peaks"][2 * index + 1]
    return bool(-low == high) or not state["moments"][index] > 0


def _ratio_from_one(part: float, whole: float) -> float:
    return 1.0 - float(part) / float(whole)
