"""Compiled sums over probabilities p (n, k); k = 1: the probability of the event, and y tells whether it happened."""

import math
from typing import Any

import numpy as np

from datasets.kernels import compiled

GROUP = 16  # rows whose probabilities are multiplied before one logarithm: ε^16 is still a normal number
NEAR_ONE = 0.98  # a product closer to 1 has lost digits of its logarithm
_P = "Array({}, 2, 'C', readonly=True), int16[::1], Array(float64, 1, 'C', readonly=True)"


@compiled()
def _certain(kept: Any) -> Any:
    """Σ −ln of probabilities from NEAR_ONE up, by the first nine terms of ln(1 − q): what is left is below 1e-16."""
    total = 0.0
    for i in range(GROUP):
        q = 1.0 - kept[i]
        rest = 1.0 / 6.0 + q * (1.0 / 7.0 + q * (1.0 / 8.0 + q * (1.0 / 9.0)))
        total += q * (1.0 + q * (1.0 / 2.0 + q * (1.0 / 3.0 + q * (1.0 / 4.0 + q * (1.0 / 5.0 + q * rest)))))
    return total


@compiled(
    "void(Array(float64, 1, 'C', readonly=True), uint8[::1], float64, float64[::1])",
    "void(Array(float32, 1, 'C', readonly=True), uint8[::1], float64, float64[::1])",
)
def add_event_likelihood(p: Any, y: Any, eps: float, sums: Any) -> None:
    """As add_likelihood for probabilities (n,) of an event, y 0 or 1, without weights."""
    kept, squares = np.empty(GROUP), np.zeros(GROUP)
    whole = len(p) - len(p) % GROUP
    for start in range(0, whole, GROUP):
        for i in range(GROUP):
            event = np.float64(p[start + i])
            true = event if y[start + i] != 0 else 1.0 - event
            squares[i] += (1.0 - true) * (1.0 - true)
            kept[i] = min(max(true, eps), 1.0 - eps)
        product = 1.0
        for i in range(0, GROUP, 4):  # four at a time: a single chain of products would wait for each
            product *= (kept[i] * kept[i + 1]) * (kept[i + 2] * kept[i + 3])
        sums[1] += _certain(kept) if product > NEAR_ONE else -math.log(product)
    for i in range(GROUP):
        sums[2] += squares[i]
    for row in range(whole, len(p)):
        event = np.float64(p[row])
        true = event if y[row] != 0 else 1.0 - event
        sums[1] -= math.log(min(max(true, eps), 1.0 - eps))
        sums[2] += (1.0 - true) * (1.0 - true)
    sums[0] += len(p)


@compiled(
    "void(Array(float64, 1, 'C', readonly=True), uint8[::1], float64, float64[:, ::1])",
    "void(Array(float32, 1, 'C', readonly=True), uint8[::1], float64, float64[:, ::1])",
)
def add_event_decisions(p: Any, y: Any, threshold: float, sums: Any) -> None:
    """As add_decisions for probabilities (n,) of an event, y 0 or 1, without weights."""
    events, alarms, hits = np.int64(0), np.int64(0), np.int64(0)
    for row in range(len(p)):
        event, alarm = np.int64(y[row]), np.int64(np.float64(p[row]) >= threshold)
        events += event
        alarms += alarm
        hits += event & alarm
    sums[0, 0] += len(p) - events - alarms + hits
    sums[0, 1] += alarms - hits
    sums[1, 0] += events - hits
    sums[1, 1] += hits


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


@compiled(
    f"void({_P.format('float64')}, float64[::1], float64[:, ::1])",
    f"void({_P.format('float32')}, float32[::1], float64[:, ::1])",
)
def add_calibration(p: Any, y: Any, w: Any, edges: Any, sums: Any) -> None:
    """sums (bins, 3) += Σw, Σw·p, Σw·outcome in the bin (a, b] of the surest class's p; 0 is in the first.

    ``edges`` (bins − 1,): what lies between the bins, of the type of p, so that a p written as an edge is that edge.
    """
    count, classes = p.shape
    bins = len(sums)
    for row in range(count):
        top = 0
        for k in range(1, classes):
            if p[row, k] > p[row, top]:
                top = k
        sure = np.float64(p[row, top])
        right = y[row] != 0 if classes == 1 else y[row] == top
        place: Any = min(max(np.int64(math.ceil(sure * bins)) - 1, 0), bins - 1)
        if place > 0 and p[row, top] <= edges[place - 1]:  # the product was rounded up
            place -= 1
        elif place < bins - 1 and p[row, top] > edges[place]:
            place += 1
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
