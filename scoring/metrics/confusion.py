"""The confusion matrix: every metric of classes reads it.

State: ``sums`` (K, K), weight of rows of true class i predicted as class j.

A class that occurs neither in the truth nor in the prediction is left out of averages over classes, which is what
scikit-learn does when it is not told the labels; a class that occurs counts, with 0 where its precision, recall or
F1 has the denominator 0 (scikit-learn's ``zero_division`` default).
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math

import numpy as np

from scoring.metrics.moment_loops import count_nibbles, count_pairs
from scoring.rules import option
from scoring.samples import Classes, pieces, without_weightless
from scoring.state import Additive, Floats, Options, State

PIECE = 1 << 20
NIBBLE = 15  # codes below this, and one for all others, fit half a byte
MANY, MOST = 1 << 18, 1 << 31  # rows from which on counting pairs of pairs pays, and what their counts can hold
NAN = math.nan


class Confusion(Additive):
    """Weighted confusion matrix (K, K): rows are the truth, columns the prediction."""

    name = "confusion"
    sample = Classes

    def partial(self, sample: Classes, options: Options) -> State:
        kept = without_weightless(sample)
        parts = [kept] if _small_codes(kept) else pieces(kept, PIECE)
        return self.merge([{"sums": _matrix(piece)} for piece in parts])


def _small_codes(sample: Classes) -> bool:
    """Whether pairs of these codes are counted two at a time, at once for all rows."""
    bytes_ = sample.y.dtype == sample.f.dtype == np.uint8
    return bytes_ and sample.w is None and sample.n_classes < NIBBLE and MANY <= len(sample.y) <= MOST


def _matrix(sample: Classes) -> Floats:
    k = sample.n_classes
    rows = k + sample.spare
    y, f = np.asarray(sample.y), np.asarray(sample.f)
    if _small_codes(sample):
        near = np.zeros(256, dtype=np.int64)
        count_nibbles(np.ascontiguousarray(y), np.ascontiguousarray(f), near)
        table = near.reshape(16, 16)
        _demand(not table[rows:].any() and not table[:k, k:].any(), k)
        return table[:k, :k].astype(np.float64)
    for codes, limit in ((y, rows), (f, k)):
        _demand((codes.dtype.kind == "u" or int(codes.min()) >= 0) and int(codes.max()) < limit, k)
    if sample.w is not None:
        cells = y.astype(np.intp) * rows + f.astype(np.intp)
        weights = np.asarray(sample.w, dtype=np.float64)
        found = np.bincount(cells, weights=weights, minlength=rows * rows).astype(np.float64)
    else:
        kind = np.uint8 if y.dtype == f.dtype == np.uint8 else np.int64
        counts = np.zeros((4, rows * rows), dtype=np.int64)
        count_pairs(np.ascontiguousarray(y, dtype=kind), np.ascontiguousarray(f, dtype=kind), rows, counts)
        found = counts.sum(axis=0).astype(np.float64)
    return np.ascontiguousarray(found.reshape(rows, rows)[:k, :k])


def _demand(good: bool, classes: int) -> None:
    if not good:
        raise ValueError(f"class codes must lie in 0 … {classes - 1}")


def matrix(state: State) -> Floats:
    """The confusion matrix (K, K) for reports; (0, 0) when nothing was scored."""
    return state["sums"] if state["sums"].size else np.zeros((0, 0))


def accuracy(state: State, options: Options) -> float:
    """Σ diagonal / Σ all."""
    m = matrix(state)
    return float(np.trace(m) / m.sum()) if m.size else NAN


def balanced_accuracy(state: State, options: Options) -> float:
    """Mean recall over the classes that occur in the truth."""
    m = matrix(state)
    truth = m.sum(axis=1)
    return float((np.diag(m)[truth > 0] / truth[truth > 0]).mean()) if m.size else NAN


def f1_micro(state: State, options: Options) -> float:
    """2·TP / (2·TP + FP + FN) over all classes together; with one class per row this is the accuracy."""
    return accuracy(state, options)


def f1_macro(state: State, options: Options) -> float:
    """Mean F1 over the classes that occur in truth or prediction."""
    m = matrix(state)
    if not m.size:
        return NAN
    f1, occurs = _f1(m)
    return float(f1[occurs].mean())


def f1_weighted(state: State, options: Options) -> float:
    """Mean F1 weighted by how much of the truth each class makes up."""
    m = matrix(state)
    if not m.size:
        return NAN
    f1, _ = _f1(m)
    return float((f1 * m.sum(axis=1)).sum() / m.sum())


def _f1(m: Floats) -> tuple[Floats, np.typing.NDArray[np.bool_]]:
    both = m.sum(axis=1) + m.sum(axis=0)
    return 2.0 * np.diag(m) / np.where(both > 0, both, 1.0), both > 0


def mean_iou(state: State, options: Options) -> float:
    """Mean over classes that occur in truth or prediction of TP / (TP + FP + FN)."""
    m = matrix(state)
    if not m.size:
        return NAN
    union = m.sum(axis=1) + m.sum(axis=0) - np.diag(m)
    return float((np.diag(m)[union > 0] / union[union > 0]).mean())


def cohen_kappa(state: State, options: Options) -> float:
    """1 − Σ v·O / Σ v·E with E from the margins and disagreement v = 1, |i−j| or (i−j)²; undefined when Σ v·E = 0."""
    m = matrix(state)
    if not m.size:
        return NAN
    distance = np.abs(np.subtract.outer(np.arange(len(m)), np.arange(len(m)))).astype(np.float64)
    weights = option(options, "cohen_kappa", "weights")
    v = distance**2 if weights == "quadratic" else distance if weights == "linear" else np.sign(distance)
    expected = np.outer(m.sum(axis=1), m.sum(axis=0)) / m.sum()
    chance = float((v * expected).sum())
    return 1.0 - float((v * m).sum()) / chance if chance > 0 else NAN


def matthews_corrcoef(state: State, options: Options) -> float:
    """Correlation R_K of Gorodkin (2004); 0 when truth or prediction has a single class, as scikit-learn."""
    m = matrix(state)
    if not m.size:
        return NAN
    n = m.sum()
    t, p = m.sum(axis=1) / n, m.sum(axis=0) / n
    spread = (1.0 - float(t @ t)) * (1.0 - float(p @ p))
    if np.count_nonzero(t) < 2 or np.count_nonzero(p) < 2 or spread <= 0:
        return 0.0
    return float(np.trace(m) / n - t @ p) / math.sqrt(spread)


def penalty_matrix(state: State, options: Options) -> float:
    """Mean of the option ``matrix[truth][prediction]``, as in FORCE 2020; undefined without a fitting matrix."""
    m = matrix(state)
    cost = np.asarray(option(options, "penalty_matrix", "matrix") or np.zeros((0, 0)), dtype=np.float64)
    return float((m * cost).sum() / m.sum()) if m.size and cost.shape == m.shape else NAN
