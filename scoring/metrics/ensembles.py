"""Metrics of ensembles: crps and spread_skill from one state, rps and rpss from another, energy_score from its own.

``OnEnsembleMean`` lends every family of numbers to ensembles by reading the mean of the members.
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.metrics import ensemble_loops
from scoring.rules import category_owner, option
from scoring.samples import Array, Ensemble, Numbers, without_weightless
from scoring.state import (
    Additive,
    BlockKey,
    Collector,
    Counts,
    Detail,
    Family,
    Floats,
    Options,
    Refined,
    Resampled,
    Resampler,
    State,
    Study,
    weights_of,
)

VALUES = 1 << 18  # members × rows copied at a time
NETWORK = 512  # members beyond which a plain sort is faster than a network of comparators
NAN = math.nan


class Members(Additive):
    """``sums`` (6,) = Σw, Σw·mean|x−y|, Σw·Σ|x−x'|/(2M²), the same over 2M(M−1), Σw·s²·(M+1)/M, Σw·(x̄−y)².

    s² is the variance of the members over M − 1; with one member the fair and the spread terms are nan.
    """

    name = "members"
    sample = Ensemble

    def partial(self, sample: Ensemble, options: Options) -> State:
        return self.merge([{"sums": _members(columns)} for columns in _columns(sample)])


class Categories(Additive):
    """``sums`` (3,) = Σw, Σw·RPS, Σw·RPS of the forecast 1/K, over categories cut by ``sample.edges`` or the option."""

    name = "categories"
    sample = Ensemble

    def partial(self, sample: Ensemble, options: Options) -> State:
        given = option(options, category_owner(options), "thresholds") or []
        thresholds = np.asarray(given, dtype=np.float64).reshape(-1, 1)
        return self.merge([{"sums": _categories(columns, thresholds)} for columns in _columns(sample)])


class Vectors(Additive):
    """``sums`` (2,) = Σv, Σv·energy score over the vectors of ``sample.group``; v: mean weight of its rows.

    Without groups every value is a vector by itself and its energy score the crps, which compares no pairs.
    """

    name = "vectors"
    sample = Ensemble

    def partial(self, sample: Ensemble, options: Options) -> State:
        if sample.group is None:
            members = (_members(columns) for columns in _columns(sample))
            with np.errstate(invalid="ignore"):  # ∞ − ∞ of sums that overflow is undefined, as the score then is
                return self.merge([{"sums": np.array([own[0], own[1] - own[2]])} for own in members])
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
        return self.family.partial(_on_mean(sample), options)

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        return self.family.merge(states, counts)


class ResampledOnMean(OnEnsembleMean):
    """The same for a family that resamples its states; ``resampled`` is the family."""

    def __init__(self, family: Family, resampled: Resampled) -> None:
        super().__init__(family)
        self._resampled = resampled

    def resampler(self, states: Sequence[State]) -> Resampler:
        return self._resampled.resampler(states)


class RefinedOnMean(ResampledOnMean):
    """The same for a family that reads large data several times; the means are made anew each time."""

    def __init__(self, family: Family, resampled: Resampled, refined: Refined) -> None:
        super().__init__(family, resampled)
        self._refined = refined

    def collector(self, detail: Detail, rows: int) -> Collector:
        return MeanCollector(self._refined.collector(detail, rows))

    def study(self, names: Sequence[str], options: Options, *, rows: int, blocks: int) -> Study:
        return self._refined.study(names, options, rows=rows, blocks=blocks)


@dataclass(frozen=True, slots=True)
class MeanCollector:
    """Hands the mean of the members on to the collector of a family of numbers."""

    collector: Collector

    def add(self, place: BlockKey, sample: Ensemble) -> None:
        self.collector.add(place, _on_mean(sample))

    def states(self) -> dict[BlockKey, State]:
        return self.collector.states()


def on_mean(family: Family) -> OnEnsembleMean:
    """A family of numbers for ensembles, with what it can do besides."""
    if not isinstance(family, Resampled):
        return OnEnsembleMean(family)
    return RefinedOnMean(family, family, family) if isinstance(family, Refined) else ResampledOnMean(family, family)


def _on_mean(sample: Ensemble) -> Numbers:
    return Numbers(sample.y, np.concatenate([ensemble_loops.member_means(x) for x in _by_member(sample.x)]), sample.w)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Cells side by side: truth (n,), members (M, n), weights (n,), edges (K − 1, n) or None."""

    y: Floats
    x: Array
    w: Floats
    edges: Floats | None


def _by_member(x: Array) -> Iterator[Array]:
    """Members (M, n) of a sample's (n, M): as they lie when cells are neighbours in memory, else copied in pieces."""
    across = x.T
    if x.dtype in (np.float32, np.float64) and across.flags.c_contiguous and across.flags.writeable:
        yield across
        return
    kind = x.dtype if x.dtype == np.float32 else np.dtype(np.float64)
    step = max(1, VALUES // max(1, x.shape[1]))
    for start in range(0, max(1, len(x)), step):
        yield np.array(across[:, start : start + step], dtype=kind, order="C")


def _columns(sample: Ensemble) -> Iterator[_Columns]:
    kept = without_weightless(sample)
    n = len(kept.y)
    y, w = (np.require(a, np.float64, ["C", "W"]) for a in (kept.y, weights_of(kept.w, n)))
    start = 0
    for x in _by_member(kept.x) if n else ():
        here = slice(start, start + x.shape[1])
        edges = None if kept.edges is None else np.require(kept.edges[here].T, np.float64, ["C", "W"])
        yield _Columns(y[here], x, w[here], edges)
        start = here.stop


def _members(columns: _Columns) -> Floats:
    x = columns.x
    m = len(x)
    low, high = ensemble_loops.comparators(m if m <= NETWORK else 0)
    if m > NETWORK:
        x = np.sort(x, axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        total, away, pairs, square, error = ensemble_loops.member_sums(x, columns.y, columns.w, low, high).sum(axis=1)
        fair = pairs / (2.0 * m * (m - 1)) if m > 1 else NAN
        spread = square / (m - 1) * (m + 1) / m if m > 1 else NAN
        return np.array([total, away / m, pairs / (2.0 * m * m), fair, spread, error])


def _categories(columns: _Columns, thresholds: Floats) -> Floats:
    """By edges per cell where the sample has them, else by the same ``thresholds`` (K − 1, 1) everywhere."""
    edges = thresholds if columns.edges is None else columns.edges
    cuts = _above(edges) if columns.x.dtype == np.float32 else edges
    step = 0 if columns.edges is None else 1
    sums: Floats = ensemble_loops.category_sums(columns.x, columns.y, columns.w, cuts, edges, step)
    return np.asarray(sums.sum(axis=1))


def _above(edges: Floats) -> Array:
    """The least float32 not below each edge: what is below it among float32 numbers is what is below the edge."""
    with np.errstate(over="ignore"):
        near = edges.astype(np.float32)
        if (near >= edges).all():
            return near
        return np.where(near < edges, np.nextafter(near, np.float32(np.inf)), near)


def _vectors(sample: Ensemble) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Batches of vectors of one length d: truth (g, d), members (g, d, M), weights (g,)."""
    n = len(sample.y)
    if not n:
        return
    _, inverse, lengths = np.unique(np.asarray(sample.group), return_inverse=True, return_counts=True)
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
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array([v.sum(), (v * ensemble_loops.energy_scores(y, x)).sum()])


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


def rps(state: State, options: Options) -> float:
    """Σw·RPS / Σw; undefined without edges."""
    if not state["sums"].size or not state["sums"][2] > 0:
        return NAN
    return float(state["sums"][1] / state["sums"][0])


def rpss(state: State, options: Options) -> float:
    """1 − Σw·RPS / Σw·RPS of the forecast 1/K; undefined without edges."""
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
