"""Means of error functions that need more than e: smape mape msle, and pinball and huber with their options.

State of each: ``sums`` (k,) whose first entry is Σw; values are a ratio of two entries.
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math

import numpy as np

from scoring.rules import option
from scoring.samples import Numbers, pieces, without_weightless
from scoring.state import Additive, Floats, Options, State, weights_of

PIECE = 1 << 16
TINY = float(np.finfo(np.float64).eps)  # scikit-learn's floor of |y| in mape
NAN = math.nan


class RelativeErrors(Additive):
    """``sums`` (4,) = Σw, Σw·smape, Σw·mape, Σw·(ln(1+f) − ln(1+y))²; the last is nan once a value is ≤ −1."""

    name = "relative"
    sample = Numbers

    def partial(self, sample: Numbers, options: Options) -> State:
        return self.merge([{"sums": _relative(piece)} for piece in pieces(without_weightless(sample), PIECE)])


class TiltedErrors(Additive):
    """``sums`` (3,) = Σw, Σw·pinball_q, Σw·huber_δ with q and δ of the options."""

    name = "tilted"
    sample = Numbers

    def partial(self, sample: Numbers, options: Options) -> State:
        q, delta = float(option(options, "pinball", "q")), float(option(options, "huber", "delta"))
        return self.merge([{"sums": _tilted(piece, q, delta)} for piece in pieces(without_weightless(sample), PIECE)])


def _pair(sample: Numbers) -> tuple[Floats, Floats, Floats]:
    y = np.ascontiguousarray(sample.y, dtype=np.float64)
    return y, np.ascontiguousarray(sample.f, dtype=np.float64), weights_of(sample.w, len(y))


def _relative(sample: Numbers) -> Floats:
    y, f, w = _pair(sample)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        e, size = np.abs(f - y), np.abs(y)
        both = size + np.abs(f)
        smape = 200.0 * e / np.where(both > 0, both, 1.0)
        mape = e / np.maximum(size, TINY)
        logs = NAN if min(y.min(), f.min()) <= -1 else (w * np.square(np.log1p(f) - np.log1p(y))).sum()
        return np.array([w.sum(), (w * smape).sum(), (w * mape).sum(), logs], dtype=np.float64)


def _tilted(sample: Numbers, q: float, delta: float) -> Floats:
    y, f, w = _pair(sample)
    with np.errstate(over="ignore", invalid="ignore"):
        short = y - f
        size = np.abs(short)
        pinball = np.maximum(q * short, (q - 1.0) * short)
        huber = np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))
        return np.array([w.sum(), (w * pinball).sum(), (w * huber).sum()], dtype=np.float64)


def smape(state: State, options: Options) -> float:
    """mean 200·|y − f| / (|y| + |f|) in %, with 0/0 = 0."""
    return _mean_of(state, 1)


def mape(state: State, options: Options) -> float:
    """mean |e| / max(|y|, ε), a fraction."""
    return _mean_of(state, 2)


def msle(state: State, options: Options) -> float:
    """mean (ln(1 + f) − ln(1 + y))²; undefined (nan) as soon as a value is ≤ −1."""
    return _mean_of(state, 3)


def pinball(state: State, options: Options) -> float:
    """mean max(q·(y − f), (q − 1)·(y − f))."""
    return _mean_of(state, 1)


def huber(state: State, options: Options) -> float:
    """mean of e²/2 where |e| ≤ δ, else δ·(|e| − δ/2)."""
    return _mean_of(state, 2)


def _mean_of(state: State, index: int) -> float:
    return float(state["sums"][index] / state["sums"][0]) if state["sums"].size else NAN
