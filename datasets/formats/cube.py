"""What a reader of n-d files hands on: variables with shape, type and storage known before a value is read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from datasets.canonical import Array

MAX_CHUNK = 16 << 20
MAX_LABELS = 4_000_000
BLOCK = 16 << 20
Selection = tuple[slice, ...]


class Unusual(Exception):
    """A piece is not stored as ordinary writers store it: the careful reading decides what it is."""


@dataclass(frozen=True)
class Variable:
    """A checked variable. ``blocks`` yields its values in pieces; ``labels`` reads all of a 1-d one.

    ``load(selection, out)`` reads one of ``pieces()`` into a C-contiguous array of the variable's type, from any
    thread. It takes only what is plainly stored and raises ``Unusual`` for the rest, which ``blocks`` then reads and
    words every fault of.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None  # None: text
    dims: tuple[str, ...]
    blocks: Callable[[], Iterator[tuple[Selection, Array]]]
    labels: Callable[[], Array | list[str]]
    pieces: Callable[[], Iterator[Selection]]
    load: Callable[[Selection, Array], None]
    attrs: Mapping[str, Any] = field(default_factory=dict)


class Store(Protocol):
    """An opened file."""

    def variable(self, name: str) -> Variable | None:
        """The variable of that name, checked but not read; None when there is none.

        Raises:
            Rejected: its storage is not one that is taken.
        """
        ...

    def names(self) -> Sequence[str]:
        """Names at the root, at most a few, for hints."""
        ...


def pieces(shape: Sequence[int], chunks: Sequence[int], itemsize: int) -> Iterator[Selection]:
    """Selections that cover ``shape``, each made of whole chunks and about ``BLOCK`` bytes or one chunk large."""
    sizes = [max(1, min(chunk, length)) for chunk, length in zip(chunks, shape, strict=True)]
    for axis in reversed(range(len(sizes))):
        room = BLOCK // max(1, itemsize * int(np.prod(sizes, dtype=object)))
        sizes[axis] = min(shape[axis], sizes[axis] * max(1, room))
    counts = [-(-length // size) for length, size in zip(shape, sizes, strict=True)]
    for place in np.ndindex(*counts):
        yield tuple(
            slice(i * size, min((i + 1) * size, length)) for i, size, length in zip(place, sizes, shape, strict=True)
        )


def chunks_of(selection: Selection, chunks: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Selection, Selection]]:
    """The chunks of a piece: number of each along every axis, its place in the piece, and how much of it counts."""
    ranges = [range(part.start // chunk, -(-part.stop // chunk)) for part, chunk in zip(selection, chunks, strict=True)]
    for place in np.ndindex(*map(len, ranges)):
        number = tuple(axis[i] for axis, i in zip(ranges, place, strict=True))
        inside = tuple(
            slice(n * chunk - part.start, min((n + 1) * chunk, part.stop) - part.start)
            for n, chunk, part in zip(number, chunks, selection, strict=True)
        )
        yield number, inside, tuple(slice(0, part.stop - part.start) for part in inside)
