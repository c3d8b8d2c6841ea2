"""Metrics of ensembles: crps and spread_skill from one state, rpss and energy_score from their own.

``OnEnsembleMean`` lends every family of numbers to ensembles by reading the mean of the members.
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Iterator, Sequence

import numpy as np

from scoring.rules import option
from scoring.samples import Ensemble, Numbers, pieces, without_weightless
from scoring.state import Additive, Counts, Family, Floats, Options, State, weights_of

VALUES = 1 << 18  # members × rows worked on at a time
NAN = math.nan


class Members(Additive):
    """``sums`` (6,) = Σw, Σw·mean|x−y|, Σw·Σ|x−x'|/(2M²), the same over 2M(M−1), Σw·s²·(M+1)/M, Σw·(x̄−y)².

    s² is the variance of the members over M − 1; with one member the fair and the spread terms are nan.
    """

    name = "members"
    sample = Ensemble

    def partial(self, sample: Ensemble, options: Options) -> State:
        return self.merge([{"sums": _members(piece)} for piece in _row_pieces(sample)])


class Categories(Additive):
    """``sums`` (3,) = Σw, Σw·RPS, Σw·RPS of the forecast 1/K, over the categories cut by the option's thresholds."""

    name = "categories"
    sample = Ensemble

    def partial(self, sample: Ensemble, options: Options) -> State:
        edges = np.asarray(option(options, "rpss", "thresholds") or [], dtype=np.float64)
        return self.merge([{"sums": _categories(piece, edges)} for piece in _row_pieces(sample)])


class Vectors(Additive):
    """``sums`` (2,) = Σv, Σv·energy score over the vectors of ``sample.group``; v: mean weight of its rows."""

    name = "vectors"
    sample = Ensemble

    def partial(self, sample: Ensemble, options: Options) -> State:
        kept = without_weightless(sample)
        return self.merge([{"sums": _energy(*vectors)} for vectors in _vectors(kept)])


class OnEnsembleMean:
    """A family of numbers applied to the mean of the members."""

    sample = Ensemble

    def __init__(self, family: Family) -> None:
        self.family = family
        self.name = f"mean_{family.name}"

    def zero(self) -> State:
        return self.family.zero()

    def partial(self, sample: Ensemble, options: Options) -> State:
        x = np.asarray(sample.x, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = x[:, 0] + (x - x[:, :1]).mean(axis=1)  # exact where all members agree
        return self.family.partial(Numbers(sample.y, mean, sample.w), options)

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        return self.family.merge(states, counts)


def _row_pieces(sample: Ensemble) -> Iterator[Ensemble]:
    kept = without_weightless(sample)
    return pieces(kept, max(1, VALUES // max(1, kept.x.shape[1])))


def _members(sample: Ensemble) -> Floats:
    y = np.asarray(sample.y, dtype=np.float64)
    x = np.sort(np.asarray(sample.x, dtype=np.float64), axis=1)
    w = weights_of(sample.w, len(y))
    m = x.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        away = np.abs(x - y[:, None]).mean(axis=1)
        # Σ over ordered pairs of |x − x'| is 2·Σ (2i − M − 1)·x₍ᵢ₎ of the sorted members, i = 1 … M
        pairs = 2.0 * ((x - x[:, :1]) * (2.0 * np.arange(1, m + 1) - m - 1.0)).sum(axis=1)
        mean = x[:, 0] + (x - x[:, :1]).mean(axis=1)  # exact where all members agree
        square = np.square(x - mean[:, None]).sum(axis=1)
        fair = pairs / (2.0 * m * (m - 1)) if m > 1 else np.full(len(y), NAN)
        spread = square / (m - 1) * (m + 1) / m if m > 1 else np.full(len(y), NAN)
        columns = (np.ones(len(y)), away, pairs / (2.0 * m * m), fair, spread, np.square(mean - y))
        return np.array([(w * column).sum() for column in columns])


def _categories(sample: Ensemble, edges: Floats) -> Floats:
    y = np.asarray(sample.y, dtype=np.float64)
    x = np.asarray(sample.x, dtype=np.float64)
    w = weights_of(sample.w, len(y))
    rps, climate = np.zeros(len(y)), np.zeros(len(y))
    for k, edge in enumerate(edges):
        observed = (y < edge).astype(np.float64)
        rps += np.square((x < edge).mean(axis=1) - observed)
        climate += np.square((k + 1) / (len(edges) + 1) - observed)
    return np.array([w.sum(), (w * rps).sum(), (w * climate).sum()])


def _vectors(sample: Ensemble) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Batches of vectors of one length d: truth (g, d), members (g, d, M), weights (g,)."""
    n = len(sample.y)
    if not n:
        return
    group = np.arange(n) if sample.group is None else np.asarray(sample.group)
    _, inverse, lengths = np.unique(group, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")  # the rows of a vector side by side, in their own order
    ends = np.cumsum(lengths)
    y, w = np.asarray(sample.y, dtype=np.float64), weights_of(sample.w, n)
    m = sample.x.shape[1]
    for length in np.unique(lengths):
        first = (ends - lengths)[lengths == length]
        step = max(1, VALUES // int(length * m))
        for start in range(0, len(first), step):
            index = order[first[start : start + step, None] + np.arange(length)]
            yield y[index], np.asarray(sample.x[index], dtype=np.float64), w[index].mean(axis=1)


def _energy(y: Floats, x: Floats, v: Floats) -> Floats:
    m = x.shape[2]
    with np.errstate(over="ignore", invalid="ignore"):
        away = np.sqrt(np.square(x - y[:, :, None]).sum(axis=1)).mean(axis=1)
        apart = np.zeros(len(y))
        for i in range(1, m):  # pairs i < j once; the double sum counts them twice
            apart += np.sqrt(np.square(x[:, :, i:] - x[:, :, i - 1 : i]).sum(axis=1)).sum(axis=1)
        return np.array([v.sum(), (v * (away - apart / (m * m))).sum()])


def crps(state: State, options: Options) -> float:
    """mean of mean|x − y| − Σ|x − x'| / (2M²), or / (2M(M−1)) with estimator = "fair" (undefined for one member)."""
    if not state["sums"].size:
        return NAN
    total, away, standard, fair = state["sums"][:4].tolist()
    return float((away - (fair if option(options, "crps", "estimator") == "fair" else standard)) / total)


def spread_skill(state: State, options: Options) -> float:
    """√(mean s²·(M+1)/M) / √(mean (x̄−y)²); undefined for one member or a mean without error."""
    if not state["sums"].size or not state["sums"][5] > 0:
        return NAN
    spread, error = state["sums"][4:6].tolist()
    return math.sqrt(spread / error)


def rpss(state: State, options: Options) -> float:
    """1 − Σw·RPS / Σw·RPS of the forecast 1/K; undefined without thresholds."""
    if not state["sums"].size or not state["sums"][2] > 0:
        return NAN
    return 1.0 - float(state["sums"][1] / state["sums"][2])


def energy_score(state: State, options: Options) -> float:
    """mean over vectors of mean‖x − y‖ − Σ‖x − x'‖ / (2M²); with vectors of one value this is the crps."""
    return float(state["sums"][1] / state["sums"][0]) if state["sums"].size else NAN


def vector_dimensions(options: Options) -> tuple[str, ...]:
    """The dimensions whose values make up one vector (``options.energy_score.over``); none: each value by itself."""
    over: str | Sequence[str] | None = option(options, "energy_score", "over")
    return () if over is None else (over,) if isinstance(over, str) else tuple(over)
