"""Compiled curves: ROC AUC, average precision and capture, read off cells in rising order; see cell_loops for cells."""

# ruff: noqa: ARG001 - the three curves share one signature

from typing import Any

import numpy as np

from datasets.kernels import compiled
from scoring.metrics.cell_loops import FULL, ZERO


@compiled()
def _mean_precision(a: Any, b: Any, c: Any, d: Any) -> Any:
    """The mean of (a + b·s) / (c + d·s) over s from 0 to 1."""
    if d < 0.05 * c:
        middle = (a + b * 0.5) / (c + d * 0.5)
        return (a / c + 4.0 * middle + (a + b) / (c + d)) / 6.0
    if c <= 0.0:
        return b / d
    return b / d + (a * d - b * c) / (d * d) * np.log1p(d / c)


@compiled()
def _log1p(x: Any) -> Any:
    """ln(1 + x) for x ≥ 0; of small x by the first terms of its series, whose rest is below 1e-18 · x."""
    if x < 1e-4:
        return x * (1.0 - x * (1.0 / 2.0 - x * (1.0 / 3.0 - x * (1.0 / 4.0 - x * (1.0 / 5.0)))))
    return np.log1p(x)


@compiled()
def _row(cells: Any, sums: Any, i: Any, full: Any) -> Any:
    """Negatives and positives of a cell, and whether it saw more than one value."""
    mixed = np.uint64(cells[i, 0]) != np.uint64(cells[i, 1]) ^ full
    if len(sums) > 0:
        return sums[i, 0], sums[i, 1], mixed
    return np.float64(cells[i, 2]), np.float64(cells[i, 3]), mixed


@compiled("void(float64[:,:,::1], int64[::1], float64, float64[:,::1])")
def resampled_curves(weights: Any, edges: Any, share: Any, out: Any) -> Any:
    """ROC AUC, average precision, capture at ``share`` and capture AUC of every resample, to ``out`` (r, 4).

    ``weights`` (r, cells, 2) of positives and negatives by rising score, class after class; ``edges`` (classes + 1,)
    where each begins. Means over the classes with both; nan where there is none.
    """
    for r in range(len(weights)):
        found = 0
        out[r] = 0.0
        for k in range(len(edges) - 1):
            positives, negatives = 0.0, 0.0
            for i in range(edges[k], edges[k + 1]):
                positives += weights[r, i, 0]
                negatives += weights[r, i, 1]
            if not (positives > 0.0 and negatives > 0.0):
                continue
            found += 1
            true, false, pairs, precision, captured = 0.0, 0.0, 0.0, 0.0, -1.0
            area = share * (positives + negatives)
            for j in range(edges[k + 1] - edges[k]):
                p, n = weights[r, edges[k + 1] - 1 - j, 0], weights[r, edges[k + 1] - 1 - j, 1]
                if captured < 0.0 and p + n > 0.0 and true + false + p + n >= area:
                    captured = true + (area - true - false) * (p / (p + n))
                pairs += n * (true + 0.5 * p)
                true += p
                false += n
                if p > 0.0:
                    precision += p * (true / (true + false))
            roc, part = pairs / (positives * negatives), positives / (positives + negatives)
            out[r, 0] += roc
            out[r, 1] += precision / positives
            out[r, 2] += (captured if captured >= 0.0 else true) / positives
            out[r, 3] += (1.0 - part) * roc + part / 2.0
        for column in range(4):
            out[r, column] = out[r, column] / found if found > 0 else np.nan


@compiled(
    "void(uint32[:,::1], float64[:,::1], float64[::1])",
    "void(uint64[:,::1], float64[:,::1], float64[::1])",
)
def classes_of(cells: Any, sums: Any, out: Any) -> Any:
    """The weight of negatives and of positives, to out[0] and out[1]."""
    negatives, positives = 0.0, 0.0
    for i in range(len(cells)):
        n, p, _ = _row(cells, sums, i, ZERO)
        negatives += n
        positives += p
    out[0], out[1] = negatives, positives


@compiled(
    "void(uint32[:,::1], float64[:,::1], float64, float64[::1], boolean, float64[::1])",
    "void(uint64[:,::1], float64[:,::1], float64, float64[::1], boolean, float64[::1])",
)
def roc_curve(cells: Any, sums: Any, share: Any, out: Any, asked: Any, need: Any) -> Any:
    """ROC AUC and its bound of cells in rising order, to out[2] and out[3]; see scoring.metrics.ordering.

    ``need`` (m,) or none: raised to how much each cell adds to the bound, if that is ``asked``.
    """
    full = np.uint64(0xFFFF_FFFF) if cells.itemsize == 4 else FULL
    pairs = out[0] * out[1]
    area, lost, hidden, below = 0.0, 0.0, 0.0, 0.0
    for i in range(len(cells)):
        n, p, mixed = _row(cells, sums, i, full)
        term = p * (below + 0.5 * n)
        total = area + term  # compensated as by Neumaier
        lost += (area - total) + term if area >= term else (term - total) + area
        area = total
        below += n
        if mixed:
            off = 0.5 * p * n
            hidden += off
            if asked and len(need) > 0:
                need[i] = max(need[i], off / pairs)
    out[2] = min((area + lost) / pairs, 1.0)
    out[3] = hidden / pairs


@compiled(
    "void(uint32[:,::1], float64[:,::1], float64, float64[::1], boolean, float64[::1])",
    "void(uint64[:,::1], float64[:,::1], float64, float64[::1], boolean, float64[::1])",
)
def precision_curve(cells: Any, sums: Any, share: Any, out: Any, asked: Any, need: Any) -> Any:
    """Average precision and its bound, to out[4] and out[5]; otherwise as roc_curve."""
    full = np.uint64(0xFFFF_FFFF) if cells.itemsize == 4 else FULL
    one = 0.0 if len(sums) > 0 else 1.0
    area, lost, wrong, true, false = 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(len(cells)):
        i = len(cells) - 1 - j
        n, p, mixed = _row(cells, sums, i, full)
        if p > 0.0:
            here = (true + p) / (true + p + false + n)
            if mixed:
                best = (true + p) / (true + p + false)
                ground = false + n
                worst = max(1.0 - ground * _log1p(p / (true + 0.5 * one + ground)) / p, 0.0) if ground > 0.0 else 1.0
                here = _mean_precision(true + one, p - one, true + false + one, p - one + n)
                here = min(max(here, worst), best)
                off = p * max(best - here, here - worst)
                wrong += off
                if asked and len(need) > 0:
                    need[i] = max(need[i], off / out[1])
            term = p * here
            total = area + term
            lost += (area - total) + term if area >= term else (term - total) + area
            area = total
        true += p
        false += n
    out[4] = min((area + lost) / out[1], 1.0)
    out[5] = wrong / out[1]


@compiled(
    "void(uint32[:,::1], float64[:,::1], float64, float64[::1], boolean, float64[::1])",
    "void(uint64[:,::1], float64[:,::1], float64, float64[::1], boolean, float64[::1])",
)
def capture_at(cells: Any, sums: Any, share: Any, out: Any, asked: Any, need: Any) -> Any:
    """The positives among the best ``share`` of all weight and the bound, to out[6] and out[7]; else as roc_curve."""
    full = np.uint64(0xFFFF_FFFF) if cells.itemsize == 4 else FULL
    area = share * (out[0] + out[1])
    true, false = 0.0, 0.0
    for j in range(len(cells)):
        i = len(cells) - 1 - j
        n, p, mixed = _row(cells, sums, i, full)
        if true + false + p + n >= area or i == 0:
            taken = min(max(area - true - false, 0.0), p + n)
            inside = taken * p / (p + n) if p + n > 0.0 else 0.0
            out[6] = min((true + inside) / out[1], 1.0)
            out[7] = max(inside - max(0.0, taken - n), min(p, taken) - inside) / out[1] if mixed else 0.0
            if asked and len(need) > 0:
                need[i] = max(need[i], out[7])
            return
        true += p
        false += n
