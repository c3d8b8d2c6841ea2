"""Metrics of the probabilities themselves, and of the class they make most probable.

log_loss and brier come from one state, ece from another, accuracy, f1_macro, f1 and iou from a third.
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Iterator

import numpy as np

from scoring.metrics import confusion
from scoring.metrics.likelihood_loops import (
    add_calibration,
    add_decisions,
    add_event_decisions,
    add_event_likelihood,
    add_likelihood,
)
from scoring.rules import option
from scoring.samples import Array, Probabilities, pieces, without_weightless
from scoring.state import Additive, Floats, Options, State

PIECE = 1 << 16
NAN = math.nan
DECIDING = ("accuracy", "f1_macro", "f1", "iou")  # the order of their matrices in the state
_ONES = np.empty(0)


class Likelihood(Additive):
    """``sums`` (3,) = Σw, −Σw·ln p(truth), Σw·Σₖ (pₖ − yₖ)² (binary: Σw·(p − y)²)."""

    name = "likelihood"
    sample = Probabilities

    def partial(self, sample: Probabilities, options: Options) -> State:
        states: list[State] = []
        # scikit-learn clips to [eps, 1 − eps] in the forecast's own float type
        eps = float(np.finfo(sample.p.dtype if sample.p.dtype.kind == "f" else np.float64).eps)
        for p, y, w in _plain(sample):
            sums = np.zeros(3)
            if _event_alone(p, w):
                add_event_likelihood(p[:, 0], y.view(np.uint8), eps, sums)
            else:
                add_likelihood(p, y.astype(np.int16), w, eps, sums)
            states.append({"sums": sums})
        return self.merge(states)


class Calibration(Additive):
    """``sums`` (bins, 3) = Σw, Σw·p, Σw·outcome of the rows whose p lies in the bin (a, b]; 0 is in the first."""

    name = "calibration"
    sample = Probabilities

    def partial(self, sample: Probabilities, options: Options) -> State:
        states: list[State] = []
        for p, y, w in _plain(sample):
            bins = int(option(options, "ece", "bins"))
            sums = np.zeros((bins, 3))
            add_calibration(p, y.astype(np.int16), w, (np.arange(1, bins) / bins).astype(p.dtype), sums)
            states.append({"sums": sums})
        return self.merge(states)


class Decisions(Additive):
    """``sums`` = confusion matrices of the class decided for: (1, K, K), or (4, 2, 2), one per metric of DECIDING.

    Of several classes the most probable is taken, the first of equals; of one, the event where p ≥ the metric's
    threshold.
    """

    name = "decisions"
    sample = Probabilities

    def partial(self, sample: Probabilities, options: Options) -> State:
        binary = sample.p.ndim == 1
        thresholds = [float(option(options, name, "threshold")) for name in DECIDING] if binary else [0.5]
        size = 2 if binary else sample.p.shape[1]
        states: list[State] = []
        for p, y, w in _plain(sample):
            found = {threshold: np.zeros((size, size)) for threshold in thresholds}
            for threshold, sums in found.items():
                least = float(p.dtype.type(threshold))  # 0.7 is 0.7 in float32 too
                if _event_alone(p, w):
                    add_event_decisions(p[:, 0], y.view(np.uint8), least, sums)
                else:
                    add_decisions(p, y.astype(np.int16), w, least, sums)
            states.append({"sums": np.stack([found[threshold] for threshold in thresholds])})
        return self.merge(states)


def _plain(sample: Probabilities) -> Iterator[tuple[Array, Array, Array]]:
    """Pieces of p (n, k), y and w as the loops take them: floats, codes or whether it happened, no weights as none."""
    for piece in pieces(without_weightless(sample), PIECE):
        p = np.asarray(piece.p)
        p = np.ascontiguousarray(p, dtype=np.float32 if p.dtype == np.float32 else np.float64)
        y = np.asarray(piece.y)
        if p.ndim > 1 and (int(y.min()) < 0 or int(y.max()) >= p.shape[1]):
            raise ValueError(f"class codes must lie in 0 … {p.shape[1] - 1}")
        y = y != 0 if p.ndim == 1 else y
        yield p.reshape(len(y), -1), y, _ONES if piece.w is None else np.ascontiguousarray(piece.w, dtype=np.float64)


def _event_alone(p: Array, w: Array) -> bool:
    """Whether rows are probabilities of one event that all count the same."""
    return p.shape[1] == 1 and not len(w)


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


def _decided(state: State, name: str) -> State:
    """The confusion matrix a metric reads, as the state of a confusion."""
    sums = state["sums"]
    return {"sums": sums[DECIDING.index(name) if len(sums) > 1 else 0] if sums.size else sums}


def _event(state: State, name: str) -> Floats:
    """Weights of hits, misses and false alarms; nan without an event or of several classes."""
    m = confusion.matrix(_decided(state, name))
    return np.array([m[1, 1], m[1, 0], m[0, 1]]) if len(state["sums"]) > 1 else np.full(3, NAN)


def accuracy(state: State, options: Options) -> float:
    """Share of rows whose decided class is right."""
    return confusion.accuracy(_decided(state, "accuracy"), options)


def f1_macro(state: State, options: Options) -> float:
    """Mean F1 over the classes that occur in the truth or were decided for."""
    return confusion.f1_macro(_decided(state, "f1_macro"), options)


def f1(state: State, options: Options) -> float:
    """2·TP / (2·TP + FP + FN) of the event; 0 where it neither happened nor was decided for."""
    hits, misses, alarms = _event(state, "f1")
    both = 2 * hits + misses + alarms
    return float(2 * hits / both) if both > 0 or math.isnan(both) else 0.0


def iou(state: State, options: Options) -> float:
    """TP / (TP + FP + FN) of the event; 0 where it neither happened nor was decided for."""
    hits, misses, alarms = _event(state, "iou")
    union = hits + misses + alarms
    return float(hits / union) if union > 0 or math.isnan(union) else 0.0
