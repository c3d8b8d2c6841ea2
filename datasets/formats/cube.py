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


@dataclass(frozen=True)
class Variable:
    """A checked variable. ``blocks`` yields its values in pieces; ``labels`` reads all of a 1-d one."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None  # None: text
    dims: tuple[str, ...]
    blocks: Callable[[], Iterator[tuple[Selection, Array]]]
    labels: Callable[[], Array | list[str]]
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
