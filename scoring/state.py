"""Mergeable statistics: the algebra every score is a fold of.

A *family* turns the aligned sample of a block into a State (``partial``), joins states (``merge``) and knows the
state of nothing (``zero``). A metric reads a merged state and gives one number (``finish``, in ``scoring.metrics``).

Laws, tested for every family: merging with ``zero`` changes nothing; cutting a sample into any blocks and merging
gives the value of the whole (to 1e-12); ``counts[i] = 2`` is the same as giving ``states[i]`` twice; the same
states in the same order give the same bits. Families are stateless and can be shared between threads.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from scoring.samples import Array, Sample

State = dict[str, npt.NDArray[Any]]
Options = Mapping[str, Mapping[str, Any]]  # by metric name: spec.scoring.options
Counts = Sequence[int] | npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]
EXACT = 2.0**53  # integers below it add without rounding


class Family(Protocol):
    """A mergeable statistic that several metrics share."""

    @property
    def name(self) -> str:
        """Unique among the families of one kind of sample."""
        ...

    @property
    def sample(self) -> type[Sample]:
        """The class of sample ``partial`` reads."""
        ...

    def zero(self) -> State:
        """The state of an empty block."""
        ...

    def partial(self, sample: Any, options: Options) -> State:
        """The state of one block; ``options`` are the challenge's, by metric name."""
        ...

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        """The state of all blocks together, each taken ``counts[i]`` times (once without counts)."""
        ...


@runtime_checkable
class Resampled(Protocol):
    """A family that can merge the same states with many counts faster than from the start each time."""

    def resampler(self, states: Sequence[State]) -> Callable[[Counts], State]:
        """``merge(states, counts)`` as a function of the counts."""
        ...


def weights_of(w: Array | None, n: int) -> Floats:
    """Weights as contiguous float64 (n,); ones when there are none."""
    return np.ones(n) if w is None else np.ascontiguousarray(w, dtype=np.float64)


def taken(states: Sequence[State], counts: Counts | None, key: str) -> tuple[list[State], Floats]:
    """The states that count, and how often: those given zero times or empty under ``key`` are left out."""
    times = [1] * len(states) if counts is None else [int(count) for count in counts]
    chosen = [(state, time) for state, time in zip(states, times, strict=True) if time and state[key].size]
    return [state for state, _ in chosen], np.array([time for _, time in chosen], dtype=np.float64)


def exact_sum(rows: Floats) -> Floats:
    """Column sums of (B, F) rounded once each, so that neither order nor grouping shows.

    Overflow gives inf or nan, never an error.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        plain: Floats = rows.sum(axis=0)
        if len(rows) < 3 or ((np.abs(rows).sum(axis=0) < EXACT).all() and (rows == np.trunc(rows)).all()):
            return plain
    if not np.isfinite(plain).all():
        return plain
    return np.array([math.fsum(column) for column in rows.T.tolist()], dtype=np.float64)


class Additive:
    """The part shared by families whose state is one array ``sums`` that simply adds up.

    The array's shape may depend on the sample (classes, bins); the empty state has size 0.
    """

    def zero(self) -> State:
        return {"sums": np.zeros(0)}

    def merge(self, states: Sequence[State], counts: Counts | None = None) -> State:
        chosen, times = taken(states, counts, "sums")
        if not chosen:
            return self.zero()
        shape = chosen[0]["sums"].shape
        rows = np.stack([state["sums"].ravel() for state in chosen]) * times[:, None]
        return {"sums": exact_sum(rows).reshape(shape)}
