"""Metrics of first reach, for points: which true points the best-ranked targets come within the radius of, and when.

Not one to one: a target reaches every point within its radius, and a point is reached by the first target that comes
near enough. Ranks are those of the whole entry, so a point contributes the same whatever block it is in, and blocks
simply add.

State: ``totals`` (2,) = number of true points, sum of their values; for each distinct rank of a first reach, rising,
``reached`` (3, r) = rank, number and value of the points reached there; ``targets`` (1,) = targets of the entry.
"""

# ruff: noqa: ARG001, ARG002 - families and finishes share one signature, whether or not they have options

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from scoring.rules import option
from scoring.samples import Matches
from scoring.state import Counts, Floats, Options, Resampler, State, exact_sum, weights_of

NAN = math.nan
POINTS, VALUE = 0, 1


class Reaching:
    """True points by the rank of the target that first reaches them."""

    name = "reaching"
    sample = Matches

    def zero(self) -> State:
        return {"totals": np.zeros(2), "reached": np.zeros((3, 0)), "targets": np.zeros(1)}

    def partial(self, sample: Matches, options: Options) -> State:
        reach = sample.reach
        if reach is None:
            return self.zero()
        value = weights_of(reach.value, len(reach.first))
        first = np.asarray(reach.first, dtype=np.float64)
        some = first > 0
        return {
            "totals": np.array([float(len(first)), math.fsum(value)]),
            "reached": _by_rank(np.stack([first[some], np.ones(int(some.sum())), value[some]])),
            "targets": np.array([float(reach.targets)]),
        }

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        times = [1] * len(states) if counts is None else [int(count) for count in counts]
        chosen = [(state, time) for state, time in zip(states, times, strict=True) if time]
        if not chosen:
            return self.zero()
        if [time for _, time in chosen] == [1]:
            return dict(chosen[0][0])
        times_of = np.repeat([time for _, time in chosen], [state["reached"].shape[1] for state, _ in chosen])
        reached = np.concatenate([state["reached"] for state, _ in chosen], axis=1)
        return {
            "totals": exact_sum(np.stack([state["totals"] * time for state, time in chosen])),
            "reached": _by_rank(np.concatenate([reached[:1], reached[1:] * times_of])),
            "targets": np.max([state["targets"] for state, _ in chosen], axis=0),
        }

    def resampler(self, states: Sequence[State]) -> Resampler:
        """Rows side by side; those of one rank need not be joined to be read."""
        if not states:
            return lambda counts: (self.zero() for _ in counts)
        totals, targets = (np.stack([state[key] for state in states]) for key in ("totals", "targets"))
        reached = np.concatenate([state["reached"] for state in states], axis=1)
        owner = np.repeat(np.arange(len(states)), [state["reached"].shape[1] for state in states])

        def resample(counts: npt.NDArray[np.integer]) -> Iterator[State]:
            for row in counts:
                yield {
                    "totals": row @ totals,
                    "reached": np.concatenate([reached[:1], reached[1:] * row[owner]]),
                    "targets": np.max(targets * (row > 0)[:, None], axis=0),
                }

        return resample


def _by_rank(rows: Floats) -> Floats:
    """Columns of equal rank added, ranks rising."""
    rows = rows[:, np.argsort(rows[0], kind="stable")]
    new = np.ones(rows.shape[1], dtype=np.bool_)
    np.not_equal(rows[0, 1:], rows[0, :-1], out=new[1:])
    if new.all():
        return rows
    starts = np.flatnonzero(new)
    return np.concatenate([rows[:1, starts], np.add.reduceat(rows[1:], starts, axis=1)])


def _by_k(state: State, column: int, k: float) -> float:
    rank, *sums = state["reached"]
    return math.fsum(sums[column][rank <= k])


def reach_at_k(state: State, options: Options) -> float:
    """Number of true points within the radius of any of the k best-ranked targets of the entry."""
    return _by_k(state, POINTS, float(option(options, "reach_at_k", "k")))


def reached_value_at_k(state: State, options: Options) -> float:
    """Value of those points / value of all; undefined when all values are 0."""
    found = _by_k(state, VALUE, float(option(options, "reached_value_at_k", "k")))
    total = float(state["totals"][1])
    return found / total if total > 0 else NAN


def discovery_auc(state: State, options: Options) -> float:
    """Mean over the n ranks of the entry of the value share reached so far: Σ value·(n + 1 − first) / n / total."""
    targets, total = float(state["targets"][0]), float(state["totals"][1])
    if not total > 0:
        return NAN
    rank, _, value = state["reached"]
    return math.fsum(value * (targets + 1 - rank)) / targets / total if targets else 0.0
