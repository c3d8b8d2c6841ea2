"""Metrics of the probabilities themselves: log_loss and brier from one state, ece from another."""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math

import numpy as np

from scoring.rules import option
from scoring.samples import Probabilities, pieces, without_weightless
from scoring.state import Additive, Floats, Options, State, weights_of

PIECE = 1 << 16
NAN = math.nan


class Likelihood(Additive):
    """``sums`` (3,) = Σw, −Σw·ln p(truth), Σw·Σₖ (pₖ − yₖ)² (binary: Σw·(p − y)²)."""

    name = "likelihood"
    sample = Probabilities

    def partial(self, sample: Probabilities, options: Options) -> State:
        return self.merge([{"sums": _likelihood(piece)} for piece in pieces(without_weightless(sample), PIECE)])


class Calibration(Additive):
    """``sums`` (bins, 3) = Σw, Σw·p, Σw·outcome of the rows whose p lies in the bin (a, b]; 0 is in the first."""

    name = "calibration"
    sample = Probabilities

    def partial(self, sample: Probabilities, options: Options) -> State:
        bins = int(option(options, "ece", "bins"))
        return self.merge([{"sums": _calibration(piece, bins)} for piece in pieces(without_weightless(sample), PIECE)])


def _likelihood(sample: Probabilities) -> Floats:
    p = np.asarray(sample.p)
    eps = float(np.finfo(p.dtype if p.dtype.kind == "f" else np.float64).eps)
    p = p.astype(np.float64)
    y = np.asarray(sample.y)
    w = weights_of(sample.w, len(y))
    if p.ndim == 1:
        event = y != 0
        true = np.where(event, p, 1.0 - p)
        square = np.square(p - event)
    else:
        index = y.astype(np.intp)
        true = np.take_along_axis(p, index[:, None], axis=1)[:, 0]
        square = np.square(p).sum(axis=1) - np.square(true) + np.square(1.0 - true)
    # scikit-learn clips to [eps, 1 − eps] in the forecast's own float type
    loss = -np.log(np.clip(true, eps, 1.0 - eps))
    return np.array([w.sum(), (w * loss).sum(), (w * square).sum()])


def _calibration(sample: Probabilities, bins: int) -> Floats:
    p = np.asarray(sample.p, dtype=np.float64)
    y = np.asarray(sample.y)
    w = weights_of(sample.w, len(y))
    if p.ndim == 1:
        sure, right = p, (y != 0).astype(np.float64)
    else:
        top = p.argmax(axis=1)
        sure, right = np.take_along_axis(p, top[:, None], axis=1)[:, 0], (top == y).astype(np.float64)
    place = np.clip(np.ceil(sure * bins).astype(np.intp) - 1, 0, bins - 1)
    columns = [np.bincount(place, weights=w * column, minlength=bins) for column in (np.ones(len(y)), sure, right)]
    return np.stack(columns, axis=1)


def log_loss(state: State, options: Options) -> float:
    """mean −ln p(true class)."""
    return float(state["sums"][1] / state["sums"][0]) if state["sums"].size else NAN


def brier(state: State, options: Options) -> float:
    """Binary: mean (p − y)². Several classes: mean Σₖ (pₖ − yₖ)², not halved, as scikit-learn does."""
    return float(state["sums"][2] / state["sums"][0]) if state["sums"].size else NAN


def ece(state: State, options: Options) -> float:
    """Σ over bins of |Σw·outcome − Σw·p| / Σw. Several classes: of the most probable class and whether it is right."""
    sums = state["sums"]
    return float(np.abs(sums[:, 2] - sums[:, 1]).sum() / sums[:, 0].sum()) if sums.size else NAN
