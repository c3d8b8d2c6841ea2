"""Metrics of matched features, for points and polygons, from one state.

State: ``totals`` (2,) = number (or weight) of true features, sum of their values; and for each distinct rank in
rising order ``rank`` (n,), ``w`` (n,) weight of the candidates there, ``hit`` (n, T) weight of those that hit at each
threshold, ``gain`` (n, 3) = Σw·value, Σw·distance, Σw·iou of the hits at the first threshold. Candidates of one rank
are a tie: precision is read after all of them, so a repeated candidate and a weighted one are the same.
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Sequence

import numpy as np

from scoring.rules import option
from scoring.samples import Array, Matches
from scoring.state import Counts, Floats, Options, State, exact_sum, weights_of

NAN = math.nan
VALUE, DISTANCE, IOU = 0, 1, 2


class Matching:
    """Candidates by rank with what they hit."""

    name = "matching"
    sample = Matches

    def zero(self) -> State:
        return {
            "totals": np.zeros(2),
            "rank": np.zeros(0),
            "w": np.zeros(0),
            "hit": np.zeros((0, 0)),
            "gain": np.zeros((0, 3)),
        }

    def partial(self, sample: Matches, options: Options) -> State:
        n = len(sample.rank)
        hit = np.asarray(sample.hit, dtype=np.float64).reshape(n, -1) if n else np.zeros((0, 0))
        w = weights_of(sample.w, n)
        first = w * hit[:, 0] if n else w
        gain = np.stack([first * _or_zero(column, n) for column in (sample.value, sample.distance, sample.iou)], axis=1)
        keep = w != 0
        state: State = {"totals": np.array([float(sample.n_truth), float(sample.value_total)])}
        rank = np.asarray(sample.rank, dtype=np.float64)
        return state | _by_rank(rank[keep], w[keep], (hit * w[:, None])[keep], gain[keep])

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        times = [1] * len(states) if counts is None else [int(count) for count in counts]
        chosen = [(state, time) for state, time in zip(states, times, strict=True) if time]
        if not chosen:
            return self.zero()
        full = [(state, time) for state, time in chosen if len(state["rank"])]
        merged: State = {"totals": exact_sum(np.stack([state["totals"] * time for state, time in chosen]))}
        if not full:
            return self.zero() | merged
        columns = [np.concatenate([state[key] * time for state, time in full]) for key in ("w", "hit", "gain")]
        return merged | _by_rank(np.concatenate([state["rank"] for state, _ in full]), *columns)


def _or_zero(column: Array | None, n: int) -> Floats:
    return np.zeros(n) if column is None else np.asarray(column, dtype=np.float64)


def _by_rank(rank: Floats, w: Floats, hit: Floats, gain: Floats) -> State:
    if not len(rank):
        return {"rank": rank, "w": w, "hit": hit, "gain": gain}
    order = np.argsort(rank, kind="stable")
    rank = rank[order]
    starts = np.flatnonzero(np.concatenate([[True], rank[1:] != rank[:-1]]))
    joined = [np.add.reduceat(column[order], starts, axis=0) for column in (w, hit, gain)]
    return {"rank": rank[starts], "w": joined[0], "hit": joined[1], "gain": joined[2]}


def _hits(state: State) -> float:
    return math.fsum(state["hit"][:, 0]) if len(state["rank"]) else 0.0


def _gain(state: State, column: int) -> float:
    return math.fsum(state["gain"][:, column])


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else NAN


def hits(state: State, options: Options) -> float:
    """Number of true features taken by a candidate."""
    return _hits(state)


def precision(state: State, options: Options) -> float:
    """hits / candidates; 0 when there is truth but no candidate, undefined when there is neither."""
    candidates = math.fsum(state["w"])
    return _over(_hits(state), candidates) if candidates else (0.0 if state["totals"][0] > 0 else NAN)


def recall(state: State, options: Options) -> float:
    """hits / true features; undefined without truth."""
    return _over(_hits(state), float(state["totals"][0]))


def f1(state: State, options: Options) -> float:
    """2·hits / (candidates + true features); undefined when there is neither."""
    return _over(2.0 * _hits(state), math.fsum(state["w"]) + float(state["totals"][0]))


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
    hit = state["hit"][:, threshold]
    return math.fsum(hit * (np.cumsum(hit) / np.cumsum(state["w"]))) / truth


def captured_value(state: State, options: Options) -> float:
    """Value of the features taken / value of all; undefined when all values are 0."""
    return _over(_gain(state, VALUE), float(state["totals"][1]))


def captured_value_at_k(state: State, options: Options) -> float:
    """The same for candidates of rank ≤ k in the whole entry, ranks counted from 1."""
    early = state["rank"] <= float(option(options, "captured_value_at_k", "k"))
    return _over(math.fsum(state["gain"][early, VALUE]), float(state["totals"][1]))


def mean_distance(state: State, options: Options) -> float:
    """Mean distance of the hits to the feature they took, in map units; undefined without hits."""
    return _over(_gain(state, DISTANCE), _hits(state))


def mean_iou(state: State, options: Options) -> float:
    """Mean IoU of the pairs; 0 when there is truth but no pair, undefined without truth and candidates."""
    if _hits(state) > 0:
        return _gain(state, IOU) / _hits(state)
    return 0.0 if len(state["rank"]) or state["totals"][0] > 0 else NAN
