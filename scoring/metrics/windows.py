"""Where floats are counted: the first cells, and windows cut into finer ones, as arrays that can travel."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.metrics import cell_loops as loops
from scoring.samples import Array

LINEAR_BITS = 15  # first cells in [0, 1): with their neighbours they stay in a processor's own cache
BUCKETS = 128
Rows = npt.NDArray[Any]  # cells: (m, 4) uint32 or uint64, see cell_loops
Columns = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


def loose(values: Array, kind: Any) -> Array:
    """The values as compiled loops take them: in one piece and not read-only, copied only if they are not so yet."""
    return np.require(values, kind, ["C", "W"])


def first_count(linear: int) -> int:
    """How many first cells there are."""
    return loops.FIRST_NEGATIVE + linear + loops.FIRST_ABOVE


def floats_of(keys: Array, *, narrow: bool) -> Array:
    """The floats of unsigned keys."""
    if narrow:
        bits, top = np.ascontiguousarray(keys, dtype=np.uint32), np.uint32(1 << 31)
        return np.where(bits & top, bits ^ top, ~bits).view(np.float32)
    wide, sign = np.ascontiguousarray(keys, dtype=np.uint64), np.uint64(1 << 63)
    return np.where(wide & sign, wide ^ sign, ~wide).view(np.float64)


@dataclass(frozen=True)
class Form:
    """What all cells of a run share: the streams, whether values are float32, and the first cells in [0, 1)."""

    streams: int
    narrow: bool
    linear: int = 1 << LINEAR_BITS

    @property
    def key(self) -> Any:
        return np.uint32 if self.narrow else np.uint64

    @property
    def value(self) -> Any:
        return np.float32 if self.narrow else np.float64

    def state(self) -> Array:
        return np.array([self.streams, self.narrow, self.linear], dtype=np.int64)

    @classmethod
    def of(cls, state: Array) -> "Form":
        streams, narrow, linear = (int(number) for number in state)
        return cls(streams, bool(narrow), linear)


@dataclass(frozen=True)
class Layout:
    """Windows of every stream: ``windows`` (W, 3) uint64 least key, greatest key, shift; ``spans`` (streams + 1,)."""

    form: Form
    windows: Array
    spans: tuple[int, ...]
    begin: Places = field(init=False)
    first: Array = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        low, high, shift = self.windows.T
        sizes = ((high - low) >> shift).astype(np.int64) + 1
        begin = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        count = first_count(self.form.linear)
        first = np.zeros((self.form.streams * count, 2), dtype=np.uint32)
        for stream, own in enumerate(self.ranges()):
            rows = slice(stream * count, (stream + 1) * count)
            starts, stops = (self._first(self.windows[own, column]) for column in (0, 1))
            after = np.bincount(stops, minlength=count).cumsum()
            first[rows, 0] = own.start + np.concatenate([[0], after[:-1]])
            first[rows, 1] = own.start + np.bincount(starts, minlength=count).cumsum()
        object.__setattr__(self, "begin", begin)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "size", int(begin[-1]))

    def ranges(self) -> Iterator[slice]:
        return (slice(a, b) for a, b in pairwise(self.spans))

    def _first(self, keys: Array) -> Places:
        values = floats_of(keys.astype(self.form.key), narrow=self.form.narrow)
        places = np.zeros(len(values), dtype=np.int64)
        loops.first_cells(values, values.view(self.form.key), self.form.linear, places)
        return places

    def cell_spans(self) -> list[int]:
        """Where the cells of each stream begin, and the end."""
        return [int(self.begin[place]) for place in self.spans]

    def buckets(self, stream: int) -> Columns:
        """Ranges of first cells that lead to about equally many cells."""
        count, own = first_count(self.form.linear), slice(self.spans[stream], self.spans[stream + 1])
        reach = self.begin[self.first[stream * count : (stream + 1) * count, 1]] - self.begin[own.start]
        whole = max(1, int(self.begin[own.stop] - self.begin[own.start]))
        numbers: Columns = np.minimum(reach * BUCKETS // whole, 255).astype(np.uint8)
        return numbers

    def to_arrays(self, name: str) -> dict[str, Array]:
        spans = np.array(self.spans, dtype=np.int64)
        return {f"{name}.form": self.form.state(), f"{name}.windows": self.windows, f"{name}.spans": spans}

    @classmethod
    def of_arrays(cls, name: str, arrays: Mapping[str, Array]) -> "Layout | None":
        if f"{name}.form" not in arrays:
            return None
        spans = tuple(arrays[f"{name}.spans"].tolist())
        return cls(Form.of(arrays[f"{name}.form"]), loose(arrays[f"{name}.windows"], np.uint64), spans)


def to_bytes(arrays: Mapping[str, Array]) -> bytes:
    """Arrays end to end behind an index in JSON."""
    index = json.dumps([[name, array.dtype.str, array.shape] for name, array in arrays.items()]).encode()
    return b"".join(
        [len(index).to_bytes(8, "little"), index, *(np.ascontiguousarray(a).tobytes() for a in arrays.values())]
    )


def of_bytes(data: bytes) -> dict[str, Array]:
    """The arrays of ``to_bytes``, read-only."""
    start = 8 + int.from_bytes(data[:8], "little")
    arrays: dict[str, Array] = {}
    for name, kind, shape in json.loads(data[8:start]):
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(data, dtype=kind, count=count, offset=start).reshape(shape)
        start += arrays[name].nbytes
    return arrays


def lows(cells: Rows) -> Array:
    """The least key of each cell, as uint64."""
    return (~cells[:, 1]).astype(np.uint64)


def bit_lengths(numbers: Array) -> Places:
    """How many bits each uint64 has."""
    high, low = (numbers >> np.uint64(32)).astype(np.float64), (numbers & np.uint64(0xFFFF_FFFF)).astype(np.float64)
    return np.where(high > 0, np.frexp(high)[1] + 32, np.frexp(low)[1]).astype(np.int64)
