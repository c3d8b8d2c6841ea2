"""Compiled sums over probabilities p (n, k); k = 1: the probability of the event, and y tells whether it happened."""

import math
from typing import Any

import numpy as np

from datasets.kernels import compiled

GROUP = 16  # rows whose probabilities are multiplied before one logarithm: ε^16 is still a normal number
NEAR_ONE = 0.98  # a product closer to 1 has lost digits of its logarithm
_P = "Array({}, 2, 'C', readonly=True), int16[::1], Array(float64, 1, 'C', readonly=True)"


@compiled(
    f"void({_P.format('float64')}, float64, float64[::1])", f"void({_P.format('float32')}, float64, float64[::1])"
)
def add_likelihood(p: Any, y: Any, w: Any, eps: float, sums: Any) -> None:
    """sums (3,) += Σw, −Σw·ln p(truth) with p in ε … 1 − ε, Σw·Σₖ (pₖ − yₖ)²; ``w`` empty: every row counts 1."""
    count, classes = p.shape
    weighted = len(w) > 0
    kept = np.empty(GROUP)
    for start in range(0, count, GROUP):
        stop = min(start + GROUP, count)
        product = 1.0
        for row in range(start, stop):
            if classes == 1:
                event = float(p[row, 0])
                true = event if y[row] != 0 else 1.0 - event
                square = (1.0 - true) * (1.0 - true)
            else:
                true = float(p[row, y[row]])
                square = 0.0
                for k in range(classes):
                    off = np.float64(p[row, k]) - (1.0 if k == y[row] else 0.0)
                    square += off * off
            kept[row - start] = min(max(true, eps), 1.0 - eps)
            product *= kept[row - start]
            sums[0] += w[row] if weighted else 1.0
            sums[2] += w[row] * square if weighted else square
        if weighted or product > NEAR_ONE:
            for row in range(start, stop):
                sums[1] -= (w[row] if weighted else 1.0) * math.log(kept[row - start])
        else:
            sums[1] -= math.log(product)


@compiled(f"void({_P.format('float64')}, float64[:, ::1])", f"void({_P.format('float32')}, float64[:, ::1])")
def add_calibration(p: Any, y: Any, w: Any, sums: Any) -> None:
    """sums (bins, 3) += Σw, Σw·p, Σw·outcome in the bin (a, b] of the surest class's p; 0 is in the first."""
    count, classes = p.shape
    bins = len(sums)
    for row in range(count):
        top = 0
        for k in range(1, classes):
            if p[row, k] > p[row, top]:
                top = k
        sure = np.float64(p[row, top])
        right = y[row] != 0 if classes == 1 else y[row] == top
        place = min(max(np.int64(math.ceil(sure * bins)) - 1, 0), bins - 1)
        weight = w[row] if len(w) else 1.0
        sums[place, 0] += weight
        sums[place, 1] += weight * sure
        if right:
            sums[place, 2] += weight


@compiled(
    f"void({_P.format('float64')}, float64, float64[:, ::1])", f"void({_P.format('float32')}, float64, float64[:, ::1])"
)
def add_decisions(p: Any, y: Any, w: Any, threshold: float, sums: Any) -> None:
    """sums (K, K) += weight of rows of class i whose most probable class is j; of an event: whether p ≥ threshold."""
    count, classes = p.shape
    for row in range(count):
        top, most = 0, p[row, 0]
        for k in range(1, classes):
            top = k if p[row, k] > most else top
            most = max(p[row, k], most)
        if classes == 1:
            top = 1 if np.float64(p[row, 0]) >= threshold else 0
        truth = (1 if y[row] != 0 else 0) if classes == 1 else y[row]
        sums[truth, top] += w[row] if len(w) else 1.0
