"""Errors and second moments of numbers: rmse mae mse bias max_error r2 nse pearson_r kge from one state.

State: ``sums`` (4,) = Σw, Σw·|e|, Σw·e², Σw·e with e = f − y; ``means`` (2,) weighted means of y and f; ``moments``
(3,) = Σw·(y−ȳ)², Σw·(f−f̄)², Σw·(y−ȳ)(f−f̄); ``peaks`` (5,) = max −y, max y, max −f, max f, max |e|.
Merging centred moments follows Chan, Golub & LeVeque (1983): M₂ = Σ M₂ᵢ + Σ wᵢ·(ȳᵢ − ȳ)².
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from scoring.metrics import moment_loops
from scoring.samples import Numbers, pieces, without_weightless
from scoring.state import Counts, Floats, Options, Resampler, State, exact_sum, taken, weights_of

PIECE = 1 << 20  # rows of one state; more are merged
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

    def resampler(self, states: Sequence[State]) -> Resampler:
        """Moments about one common centre add up, so all resamples are one matrix product."""
        full = [state for state in states if state["sums"].size]
        if not full:
            return lambda counts: (self.zero() for _ in counts)
        some = np.array([state["sums"].size > 0 for state in states])
        sums, means, moments, peaks = (
            np.stack([s[key] for s in full]) for key in ("sums", "means", "moments", "peaks")
        )

        def resample(counts: npt.NDArray[np.integer]) -> Iterator[State]:
            times = np.asarray(counts, dtype=np.float64)[:, some]
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                total, mean, own = _resampled(times, sums, means, moments)
            most = np.stack([np.where(times > 0, peak, -np.inf).max(axis=1) for peak in peaks.T], axis=1)
            for one, two, three, four in zip(total, mean, own, most, strict=True):
                state = {"sums": one, "means": two, "moments": three, "peaks": four}
                yield state if one[0] > 0 else self.zero()

        return resample


def _resampled(times: Floats, sums: Floats, means: Floats, moments: Floats) -> tuple[Floats, Floats, Floats]:
    """Sums, means and centred moments of every row of ``times``, by way of moments about the mean of all states."""
    w = sums[:, 0]
    d = means - (w @ means) / w.sum()
    about = moments + w[:, None] * np.stack([d[:, 0] * d[:, 0], d[:, 1] * d[:, 1], d[:, 0] * d[:, 1]], axis=1)
    total, off = times @ sums, times @ (w[:, None] * d)
    n = total[:, :1]
    between = np.stack([off[:, 0] * off[:, 0], off[:, 1] * off[:, 1], off[:, 0] * off[:, 1]], axis=1) / n
    return total, means[0] - d[0] + off / n, times @ about - between


def _piece(sample: Numbers) -> State:
    """One state in one pass; the last few values, which fill no row of the loops, are filled up with weight 0."""
    kind = np.float32 if sample.w is None and sample.y.dtype == sample.f.dtype == np.float32 else np.float64
    y, f = (np.ascontiguousarray(values, dtype=kind) for values in (sample.y, sample.f))
    w = None if sample.w is None else weights_of(sample.w, len(y))
    out, peaks = np.zeros(9), np.full((5, moment_loops.WIDTH), -np.inf)
    whole = len(y) // moment_loops.DEPTH * moment_loops.DEPTH
    moment_loops.add_moments(y[:whole], f[:whole], None if w is None else w[:whole], out, peaks.reshape(-1))
    rest = len(y) - whole
    if rest:
        own = np.zeros(moment_loops.DEPTH)
        own[:rest] = 1.0 if w is None else w[whole:]
        last = [np.append(v[whole:], np.repeat(v[-1:], len(own) - rest)).astype(np.float64) for v in (y, f)]
        moment_loops.add_moments(last[0], last[1], own, out, peaks.reshape(-1))
    return {"sums": out[:4], "means": out[4:6], "moments": out[6:], "peaks": peaks.max(axis=1)}


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
