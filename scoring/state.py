"""Mergeable statistics: the algebra every score is a fold of.

A *family* turns the aligned sample of a block into a State (``partial``), joins states (``merge``) and knows the
state of nothing (``zero``). A metric reads a merged state and gives one number (``finish``, in ``scoring.metrics``).

Laws, tested for every family: merging with ``zero`` changes nothing; cutting a sample into any blocks and merging
gives the value of the whole (to 1e-12); ``counts[i] = 2`` is the same as giving ``states[i]`` twice; the same
states in the same order give the same bits. Families are stateless and can be shared between threads.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from datasets.blocks import Side
from scoring.samples import Array, Sample

BlockKey = tuple[str, Side]
FINE = "\0fine"  # where the fine cells of a side stand among the states of blocks
State = dict[str, npt.NDArray[Any]]
Options = Mapping[str, Mapping[str, Any]]  # by metric name: spec.scoring.options
Counts = Sequence[int] | npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]
EXACT = 2.0**53  # integers below it add without rounding
Read = TypeVar("Read")


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

    def resampler(self, states: Sequence[State]) -> "Resampler":
        """``merge(states, counts)`` as a function of many counts; sums may be rounded differently."""
        ...


@runtime_checkable
class Replicated(Protocol):
    """A family that reads its metrics off all resamples at once."""

    def replicates(
        self, name: str, states: Sequence[State], counts: npt.NDArray[np.integer], options: Options
    ) -> Floats:
        """The metric ``name`` of every row of ``counts`` (replicates, states); nan where it is undefined."""
        ...


Resampler = Callable[[npt.NDArray[np.integer]], Iterator[State]]  # counts (replicates, states), a state for each row


class Detail:
    """What a family asked of a pass: bytes, and what its collectors read in them, which all bundles share."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self._found: Any = None
        self._lock = threading.Lock()

    def read(self, reader: Callable[[bytes], Read]) -> Read:
        """What ``reader``, always the same, reads in the bytes; once. It lasts as long as this detail."""
        with self._lock:
            if self._found is None:
                self._found = reader(self.data)
            found: Read = self._found
            return found


class Collector(Protocol):
    """Counts the samples of one bundle during one pass over large data."""

    def add(self, place: BlockKey, sample: Any) -> None: ...

    def states(self) -> dict[BlockKey, State]:
        """What was counted: per (FINE, side) for the values, and per (block, side) in a pass that counts blocks."""
        ...


Which = Literal["overall", "public", "private"]


class Study(Protocol):
    """What is known of large data between its passes."""

    def take(self, side: Side, state: State) -> None:
        """Add the fine state of a bundle; bundles come in the order of the plan."""
        ...

    def next(self) -> bytes | None:
        """End a pass: what another one would be about; None when the values are as exact as they will become."""
        ...

    def value(self, name: str, which: Which, /) -> tuple[float, float]:
        """A metric's value and the certified bound of its error; nan and 0 where it is undefined."""
        ...

    def blocks(self) -> dict[Side, State]:
        """The block state of each side where no pass counted blocks, because the data is a single block."""
        ...


@runtime_checkable
class Refined(Protocol):
    """A family that reads large data several times, each time in finer cells where it matters.

    Small data goes through ``partial`` as with any family. Of large data, block states are coarse but certified, and
    the values over all blocks come from a study. A pass with an empty detail is the first.
    """

    def collector(self, detail: Detail, rows: int) -> Collector:
        """For one bundle of data of about ``rows`` rows in all."""
        ...

    def study(self, names: Sequence[str], options: Options, *, rows: int, blocks: int) -> Study:
        """Of the metrics ``names``; the data has ``rows`` rows in ``blocks`` blocks."""
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

    def resampler(self, states: Sequence[State]) -> Resampler:
        full = [state["sums"] for state in states if state["sums"].size]
        if not full:
            return lambda counts: (self.zero() for _ in counts)
        rows = np.stack([(s["sums"] if s["sums"].size else np.zeros(full[0].shape)).ravel() for s in states])
        some = np.array([state["sums"].size > 0 for state in states])

        def resample(counts: npt.NDArray[np.integer]) -> Iterator[State]:
            with np.errstate(over="ignore", invalid="ignore"):
                sums = np.asarray(counts, dtype=np.float64) @ rows
            empty = [not bool(own.any()) for own in counts[:, some] > 0]
            return (
                self.zero() if none else {"sums": own.reshape(full[0].shape)}
                for own, none in zip(sums, empty, strict=True)
            )

        return resample
