"""Metrics of how well scores order positives before negatives: roc_auc average_precision capture_curve capture_auc.

One tally serves all: keys (class, p), weight columns (positive, negative). A binary forecast is one class; with
several classes each is taken against the rest, and values are means over the classes that have both positives and
negatives, which is scikit-learn's ``multi_class="ovr", average="macro"`` whenever scikit-learn defines it.

Large data is counted in cells (``scoring.metrics.cells``) instead of being sorted. What a cell that merged several
values can hide, with T and F the positives and negatives above it and p and n those inside:

- ROC AUC counts p·n / 2 of its pairs; between none and all p·n of them may be in order, so it is off by p·n / 2.
- Average precision: a positive of the cell is met at a precision of T' / (T' + F') with T' ≤ T + p and F' ≥ F, so its
  p positives add at most p·(T + p) / (T + p + F). In the order of the values T' is at least T plus the positives met
  so far, itself included, and F' ≤ F + n; the precision rises along them, so the sum is at least the integral
  ∫₀ᵖ (T + s) / (T + s + F + n) ds = p − (F + n)·ln(1 + p / (T + F + n)). Where all rows weigh 1 it is at least the
  integral from ½ to p + ½, as the precision is concave in s. The value taken lies between the two.
- Capture: of the best t inside the cell between max(0, t − n) and min(p, t) are positives.
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from scoring.metrics import curve_loops, tally
from scoring.metrics.cells import Leaves, Stream, ends
from scoring.metrics.pages import Ordered
from scoring.metrics.passes import Measured, Passes, Reading, Sides
from scoring.metrics.plain import PlainCounting
from scoring.rules import option
from scoring.samples import Array, Probabilities, without_weightless
from scoring.state import Counts, Detail, Floats, Options, Resampler, State, weights_of

NAN = math.nan
WANTED: Mapping[str, int] = MappingProxyType(
    {"roc_auc": 1, "capture_auc": 1, "average_precision": 2, "capture_curve": 4}
)

CURVES = ("roc_auc", "average_precision", "capture_curve", "capture_auc")  # the columns of resampled_curves


class Ordering:
    """Tally of (class, score) with the weights of positives and negatives."""

    name = "ordering"
    sample = Probabilities

    def __init__(self, cap: int = tally.CAP) -> None:
        self.cap = cap

    def zero(self) -> State:
        return tally.empty(2, 2)

    def partial(self, sample: Probabilities, options: Options) -> State:
        kept = without_weightless(sample)
        p = np.asarray(kept.p)
        y = np.asarray(kept.y)
        if p.ndim == 1:
            return self._one(0, y != 0, p, kept.w)
        return self.merge([self._one(k, y == k, p[:, k], kept.w) for k in range(p.shape[1])])

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        return tally.merged(states, counts, cap=self.cap, fixed=1) if states else self.zero()

    def resampler(self, states: Sequence[State]) -> Resampler:
        return tally.resampler(states, cap=self.cap, fixed=1)

    def replicates(
        self, name: str, states: Sequence[State], counts: npt.NDArray[np.integer], options: Options
    ) -> Floats:
        full, dense = tally.aligned(states, cap=self.cap, fixed=1)
        codes, found = full["lo"][:, 0], np.full((len(counts), len(CURVES)), NAN)
        edges = np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(codes)).astype(np.int64)
        start = 0
        for weights in tally.products(counts, dense):
            curve_loops.resampled_curves(weights, edges, _area(options), found[start : start + len(weights)])
            start += len(weights)
        return np.ascontiguousarray(found[:, CURVES.index(name)])

    def collector(self, detail: Detail, rows: int) -> PlainCounting:
        return PlainCounting(_streams, _blocked, detail, rows)

    def study(self, names: Sequence[str], options: Options, *, rows: int, blocks: int) -> Passes:
        wanted = _flags(names)
        share = _area(options)
        reading = Reading(
            lambda leaves: _measured(leaves, share, names), lambda own: _needs(own, share, wanted), _blocked
        )
        return Passes(reading, rows=rows, blocks=blocks)

    def _one(self, code: int, positive: npt.NDArray[np.bool_], p: Array, w: Array | None) -> State:
        if w is None:  # counting sorted values is several times faster than carrying weights along
            return self.merge([self._counted(code, p[positive], 0), self._counted(code, p[~positive], 1)])
        weight = weights_of(w, len(p))
        both = np.stack([np.where(positive, weight, 0.0), np.where(positive, 0.0, weight)], axis=1)
        return tally.tally(_keys(code, tally.ordered(p)), both, cap=self.cap, fixed=1)

    def _counted(self, code: int, p: Array, column: int) -> State:
        values, times = np.unique(tally.ordered(p), return_counts=True)
        w = np.zeros((len(values), 2))
        w[:, column] = times
        return tally.tally(_keys(code, values), w, cap=self.cap, fixed=1)


def _flags(names: Sequence[str]) -> int:
    return sum({WANTED.get(name, 0) for name in names})


def _keys(code: int, values: tally.Keys) -> tally.Keys:
    return np.stack([np.full(len(values), code, dtype=np.int64), values], axis=1)


def _streams(sample: Probabilities) -> list[Stream]:
    """The scores of each class, with column 1 for its positives."""
    kept = without_weightless(sample)
    p, y = np.asarray(kept.p), np.asarray(kept.y)
    if p.ndim == 1:
        return [(p, (y != 0).view(np.uint8), kept.w)]
    return [(p[:, k], (y == k).view(np.uint8), kept.w) for k in range(p.shape[1])]


def _blocked(leaves: Leaves) -> State:
    """The tally of coarse cells: the same cells in every block of an entry."""
    lo, hi, w = [], [], []
    for code, (cells, sums) in enumerate(zip(leaves.cells, leaves.sums, strict=True)):
        low, high = (tally.ordered(values) for values in ends(cells))
        lo.append(_keys(code, low))
        hi.append(_keys(code, high))
        w.append((sums if len(sums) else cells[:, 2:].astype(np.float64))[:, ::-1])
    return tally.celled(np.concatenate(leaves.places), np.concatenate(lo), np.concatenate(hi), np.concatenate(w))


def _read(leaves: Leaves, stream: int, share: float, asked: int, wanted: int) -> tuple[Floats, Floats]:
    """The curves ``asked`` for, and what each cell adds to the bounds of those ``wanted``; flags as in WANTED."""
    if isinstance(leaves, Ordered):
        return leaves.read(stream, share), np.zeros(len(leaves.cells[stream]))
    out, need = np.zeros(8), np.zeros(len(leaves.cells[stream]) if wanted else 0)
    cells, sums = leaves.cells[stream], leaves.sums[stream]
    curve_loops.classes_of(cells, sums, out)
    if out[0] > 0 and out[1] > 0:
        for flag, read in ((1, curve_loops.roc_curve), (2, curve_loops.precision_curve), (4, curve_loops.capture_at)):
            if asked & flag:
                read(cells, sums, share, out, bool(wanted & flag), need)
    return out, need


def _measured(leaves: Leaves, share: float, names: Sequence[str]) -> Measured:
    rows = [_read(leaves, stream, share, _flags(names), 0)[0] for stream in range(leaves.form.streams)]
    found = [row for row in rows if row[0] > 0 and row[1] > 0]
    if not found:
        return {}
    negatives, positives, auc, auc_off, ap, ap_off, captured, captured_off = np.array(found).T
    part = negatives / (negatives + positives)
    columns = {
        "roc_auc": (auc, auc_off),
        "average_precision": (ap, ap_off),
        "capture_curve": (captured, captured_off),
        "capture_auc": (part * auc + (1.0 - part) / 2.0, part * auc_off),
    }
    return {name: (float(columns[name][0].mean()), float(columns[name][1].mean())) for name in columns if name in names}


def _needs(sides: Sides, share: float, wanted: int) -> list[Floats]:
    whole = sides[None]
    return [_read(whole, stream, share, wanted, wanted)[1] for stream in range(whole.form.streams)]


Curve = tuple[Floats, Floats, npt.NDArray[np.bool_]]  # positives, negatives, exact: by cell, best score first


def _curves(state: State) -> Iterator[Curve]:
    """The cells of each class that has positives and negatives, best score first."""
    exact = tally.exact_cells(state)
    codes = state["lo"][:, 0]
    edges = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
    for start, stop in pairwise([*edges, len(codes)]):
        mine = slice(start, stop)
        positive, negative = state["w"][mine, 0][::-1], state["w"][mine, 1][::-1]
        if positive.sum() > 0 and negative.sum() > 0:
            yield positive, negative, exact[mine][::-1]


def _mean(state: State, value: Callable[[Curve], float]) -> float:
    values = [value(curve) for curve in _curves(state)]
    return math.fsum(values) / len(values) if values else NAN


def _largest(state: State, value: Callable[[Curve], float]) -> float:
    """Mean of the classes' bounds; 0 when nothing was merged."""
    if tally.exact_cells(state).all():
        return 0.0
    return _mean(state, value)


def roc_auc(state: State, options: Options) -> float:
    """Probability that a positive scores above a negative, ties counting ½."""
    return _mean(state, _auc)


def roc_auc_bound(state: State, options: Options) -> float:
    """Half the pairs of positives and negatives that share a cell of several values."""
    return _largest(state, lambda curve: _hidden_pairs(curve) / (curve[0].sum() * curve[1].sum()))


def _auc(curve: Curve) -> float:
    positive, negative, _ = curve
    below = negative.sum() - np.cumsum(negative)
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def _hidden_pairs(curve: Curve) -> float:
    positive, negative, exact = curve
    return float((positive * negative)[~exact].sum() / 2)


def average_precision(state: State, options: Options) -> float:
    """Σ over distinct scores, best first, of (gain in recall) · (precision there); no interpolation."""
    return _mean(state, _ap)


def average_precision_bound(state: State, options: Options) -> float:
    """Between all positives of a cell before its negatives and all after."""
    return _largest(state, _ap_bound)


def _ap(curve: Curve) -> float:
    positive, negative, _ = curve
    true, false = np.cumsum(positive), np.cumsum(negative)
    return float((positive * (true / (true + false))).sum() / positive.sum())


def _ap_bound(curve: Curve) -> float:
    positive, negative, exact = curve
    true, false = np.cumsum(positive), np.cumsum(negative)
    here = true / (true + false)
    before = true - positive
    with np.errstate(invalid="ignore"):  # 0/0 only in cells without positives, which do not count
        best = true / (true + false - negative)
        worst = before / np.maximum(before + false, np.finfo(np.float64).tiny)
        off = np.where(positive > 0, np.maximum(best - here, here - worst), 0.0)
    return float((positive * off)[~exact].sum() / positive.sum())


def capture(state: State, shares: Sequence[float] | Floats) -> Floats:
    """Share of the positives inside the best ``shares`` (0 … 1) of the area, ties shared linearly; nan if undefined.

    The area is the weight of all rows, positives included. For drawing the curve in a report.
    """
    wanted = np.asarray(shares, dtype=np.float64)
    found = [np.interp(wanted, *_steps(curve)) for curve in _curves(state)]
    return np.mean(found, axis=0) if found else np.full(wanted.shape, NAN)


def _steps(curve: Curve) -> tuple[Floats, Floats]:
    """Corners of the capture curve: share of area, share of positives."""
    positive, area = np.cumsum(curve[0]), np.cumsum(curve[0] + curve[1])
    return np.concatenate([[0.0], area / area[-1]]), np.concatenate([[0.0], positive / positive[-1]])


def _area(options: Options) -> float:
    return float(option(options, "capture_curve", "area")) / 100.0


def capture_curve(state: State, options: Options) -> float:
    """Share of the positives inside the best ``options.capture_curve.area`` % of the area."""
    return float(capture(state, [_area(options)])[0])


def capture_curve_bound(state: State, options: Options) -> float:
    """The positives of the cell the area ends in, when it merged several values."""
    return _largest(state, lambda curve: _capture_bound(curve, _area(options)))


def _capture_bound(curve: Curve, share: float) -> float:
    area = np.cumsum(curve[0] + curve[1])
    cell = min(int(np.searchsorted(area, share * area[-1])), len(area) - 1)
    return 0.0 if curve[2][cell] else float(curve[0][cell] / curve[0].sum())


def capture_auc(state: State, options: Options) -> float:
    """Area under the capture curve: (1 − π)·AUC + π/2 with π the share of positives."""
    return _mean(state, lambda curve: float(np.trapezoid(*_steps(curve)[::-1])))


def capture_auc_bound(state: State, options: Options) -> float:
    """As for roc_auc, over all area instead of the negatives."""
    return _largest(state, lambda curve: _hidden_pairs(curve) / (curve[0].sum() * (curve[0].sum() + curve[1].sum())))
