"""Metrics of matched features, for points and polygons, from one state.

State: ``totals`` (2,) = number (or weight) of true features, sum of their values; for each distinct rank at which
something was hit, rising, ``rank`` (h,), ``w`` (h,) weight of the candidates that hit there, ``hit`` (h, T) weight of
those that hit at each threshold, ``gain`` (h, 3) = Σw·value, Σw·distance, Σw·iou of the hits at the first threshold;
and for each distinct rank of misses, rising, ``missed`` (2, g) = rank and weight. Candidates of one rank are a tie:
precision is read after all of them, so a repeated candidate and a weighted one are the same.

Only at a hit is the number of candidates before it read, so misses between two hits need no rank of their own. Their
ranks come from the sample, where the kind has settled them once for the whole entry (see ``Matches``): all blocks
count their misses in the same intervals, so that blocks merge exactly, in any choice and any number of times. A state
holds at most one row for each hit of its block, and one for each such interval in which the block has a miss.
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from scoring.metrics.matching_loops import exact_total, precisions
from scoring.rules import option
from scoring.samples import Array, Matches
from scoring.state import Counts, Floats, Options, Resampler, State, exact_sum, weights_of

NAN = math.nan
VALUE, DISTANCE, IOU = 0, 1, 2


class Matching:
    """Candidates by rank with what they hit."""

    name = "matching"
    sample = Matches

    def zero(self) -> State:
        return {"totals": np.zeros(2), "missed": np.zeros((2, 0))} | _nothing()

    def partial(self, sample: Matches, options: Options) -> State:
        n = len(sample.rank)
        hit = np.asarray(sample.hit).reshape(n, -1) if n else np.zeros((0, 0))
        w, rank = weights_of(sample.w, n), np.asarray(sample.rank, dtype=np.float64)
        state: State = {"totals": np.array([float(sample.n_truth), float(sample.value_total)])}
        if not n:
            return self.zero() | state
        some = hit.any(axis=1)
        rows, rest = np.flatnonzero(some & (w != 0)), ~some & (w != 0)
        weights = (
            w[rows] * np.stack([step.take(rows) for step in hit.T])
        ).T  # each column lies by itself: metrics read columns
        about = (_at(column, rows) for column in (sample.value, sample.distance, sample.iou))
        gain = np.stack([weights[:, 0] * values for values in about]).T
        state["missed"] = np.stack(_by_rank(rank[rest], w[rest]))
        return state | _hit_rows(rank[rows], w[rows], weights, gain)

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        times = [1] * len(states) if counts is None else [int(count) for count in counts]
        chosen = [(state, time) for state, time in zip(states, times, strict=True) if time]
        if not chosen:
            return self.zero()
        if [time for _, time in chosen] == [1]:
            return dict(chosen[0][0])
        merged: State = {"totals": exact_sum(np.stack([state["totals"] * time for state, time in chosen]))}
        times_of = np.repeat([time for _, time in chosen], [state["missed"].shape[1] for state, _ in chosen])
        missed = np.concatenate([state["missed"] for state, _ in chosen], axis=1)
        merged["missed"] = np.stack(_by_rank(missed[0], missed[1] * times_of))
        full = [(state, time) for state, time in chosen if len(state["rank"])]
        if not full:
            return _nothing() | merged
        columns = [np.concatenate([state[key] * time for state, time in full]) for key in ("w", "hit", "gain")]
        return merged | _hit_rows(np.concatenate([state["rank"] for state, _ in full]), *columns)

    def resampler(self, states: Sequence[State]) -> Resampler:
        """Rows sorted once; of misses only the hit is kept that first comes after them."""
        full = [place for place, state in enumerate(states) if len(state["rank"])]
        if not full:
            return lambda counts: (self.merge(states, row) for row in counts)
        totals = np.stack([state["totals"] for state in states])
        rank, w, hit, gain = (np.concatenate([states[i][key] for i in full]) for key in ("rank", "w", "hit", "gain"))
        of_hit, order = np.repeat(full, [len(states[i]["rank"]) for i in full]), np.argsort(rank, kind="stable")
        rank, w, hit, gain, of_hit = rank[order], w[order], hit[order], gain[order], of_hit[order]
        missed = np.concatenate([state["missed"] for state in states], axis=1)
        of_miss = np.repeat(np.arange(len(states)), [state["missed"].shape[1] for state in states])
        distinct = np.unique(rank)
        interval, places = np.searchsorted(distinct, missed[0], side="left"), np.append(distinct, np.inf)

        def resample(counts: npt.NDArray[np.integer]) -> Iterator[State]:
            for row in counts:
                times, some = row[of_hit], np.flatnonzero(row[of_hit])
                columns = (column[some] * times[some, None] for column in (w[:, None], hit, gain))
                weight, *others = columns
                before = np.bincount(interval, missed[1] * row[of_miss], minlength=len(places))
                state = _hit_rows(rank[some], weight[:, 0], *others)
                yield state | {"totals": row @ totals, "missed": np.stack([places, before])}

        return resample


def _at(column: Array | None, rows: Array) -> Floats:
    return np.zeros(len(rows)) if column is None else np.asarray(column[rows], dtype=np.float64)


def _nothing() -> State:
    return {"rank": np.zeros(0), "w": np.zeros(0), "hit": np.zeros((0, 0)), "gain": np.zeros((0, 3))}


def _hit_rows(rank: Floats, w: Floats, hit: Floats, gain: Floats) -> State:
    if not len(rank):
        return _nothing()
    ranks, *joined = _by_rank(rank, w, hit, gain)
    return {"rank": ranks, **dict(zip(("w", "hit", "gain"), joined, strict=True))}


def _by_rank(rank: Floats, *columns: Floats) -> list[Floats]:
    """Distinct ranks, rising, and the columns summed over the rows of each."""
    if (rank[1:] > rank[:-1]).all():
        return [rank, *columns]
    order = np.argsort(rank, kind="stable")
    rank = rank[order]
    new = np.ones(len(rank), dtype=np.bool_)
    np.not_equal(rank[1:], rank[:-1], out=new[1:])
    if new.all():
        return [rank, *(column[order] for column in columns)]
    starts = np.flatnonzero(new)
    return [rank[starts], *(np.add.reduceat(np.ascontiguousarray(column[order]), starts, axis=0) for column in columns)]


def _total(values: Floats) -> float:
    """The sum, rounded once."""
    return float(exact_total(np.ascontiguousarray(values, dtype=np.float64)))


def _candidates(state: State) -> float:
    """Weight of all candidates."""
    return _total(state["w"]) + _total(state["missed"][1])


def _hits(state: State) -> float:
    return _total(state["hit"][:, 0]) if len(state["rank"]) else 0.0


def _gain(state: State, column: int) -> float:
    return _total(state["gain"][:, column])


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else NAN


def hits(state: State, options: Options) -> float:
    """Number of true features taken by a candidate."""
    return _hits(state)


def precision(state: State, options: Options) -> float:
    """hits / candidates; 0 when there is truth but no candidate, undefined when there is neither."""
    candidates = _candidates(state)
    return _over(_hits(state), candidates) if candidates else (0.0 if state["totals"][0] > 0 else NAN)


def recall(state: State, options: Options) -> float:
    """hits / true features; undefined without truth."""
    return _over(_hits(state), float(state["totals"][0]))


def f1(state: State, options: Options) -> float:
    """2·hits / (candidates + true features); undefined when there is neither."""
    return _over(2.0 * _hits(state), _candidates(state) + float(state["totals"][0]))


def average_precision(state: State, options: Options) -> float:
    """Σ over hits, best rank first, of the precision there / true features; no interpolation."""
    return _average_precision(state, 0)


def map_iou(state: State, options: Options) -> float:
    """Mean of average_precision over the thresholds of the state (IoU ≥ 0.50, 0.55 … 0.95)."""
    thresholds = state["hit"].shape[1] or 1
    return math.fsum(_average_precision(state, t) for t in range(thresholds)) / thresholds


def _average_precision(state: State, threshold: int) -> float:
    truth = float(state["totals"][0])
    if not truth > 0:
        return NAN
    if not len(state["rank"]):
        return 0.0
    columns = (state["rank"], state["w"], state["hit"][:, threshold], *state["missed"])
    rank, w, hit, place, missed = (np.ascontiguousarray(column, dtype=np.float64) for column in columns)
    found = np.empty(len(rank))
    precisions(rank, w, hit, place, missed, found)
    return _total(found) / truth


def captured_value(state: State, options: Options) -> float:
    """Value of the features taken / value of all; undefined when all values are 0."""
    return _over(_gain(state, VALUE), float(state["totals"][1]))


def captured_value_at_k(state: State, options: Options) -> float:
    """The same for candidates of rank ≤ k in the whole entry, ranks counted from 1."""
    early = state["rank"] <= float(option(options, "captured_value_at_k", "k"))
    return _over(_total(state["gain"][early, VALUE]), float(state["totals"][1]))


def mean_distance(state: State, options: Options) -> float:
    """Mean distance of the hits to the feature they took, in map units; undefined without hits."""
    return _over(_gain(state, DISTANCE), _hits(state))


def mean_iou(state: State, options: Options) -> float:
    """Mean IoU of the pairs; 0 when there is truth but no pair, undefined without truth and candidates."""
    if _hits(state) > 0:
        return _gain(state, IOU) / _hits(state)
    return 0.0 if _candidates(state) or state["totals"][0] > 0 else NAN
