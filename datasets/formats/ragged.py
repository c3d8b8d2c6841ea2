"""Polygons as offset arrays, the canonical layout, without an object for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from datasets import threads
from datasets.formats.ring_loops import count_wkb, fill_wkb, prove_valid

Ints = npt.NDArray[np.int64]
_STEP = 16_384  # features a thread looks at in one go
_MULTIPOLYGON = shapely.GeometryType.MULTIPOLYGON


@dataclass(frozen=True, slots=True)
class Ragged:
    """``coords`` (v, 2), ``rings`` vertex offsets, ``parts`` ring offsets, ``features`` part offsets.

    Every feature has a part, every part a ring, every ring four vertices or more, the last equal to the first.
    """

    coords: npt.NDArray[np.float64]
    rings: Ints
    parts: Ints
    features: Ints

    def __len__(self) -> int:
        return len(self.features) - 1

    def sizes(self) -> Ints:
        """Vertices of each feature."""
        return np.diff(self.rings[self.parts[self.features]])

    def shapes(self, who: npt.NDArray[np.int64] | None = None) -> npt.NDArray[Any]:
        """The features, or some of them, as shapely multipolygons."""
        some = self if who is None else self.only(who)
        if not len(some):
            return np.empty(0, dtype=object)
        return np.asarray(
            shapely.from_ragged_array(_MULTIPOLYGON, some.coords, (some.rings, some.parts, some.features))
        )

    def only(self, who: Ints) -> "Ragged":
        """Some of the features."""
        parts, features = _picked(self.features, who)
        rings, part_ends = _picked(self.parts, parts)
        vertices, ring_ends = _picked(self.rings, rings)
        return Ragged(self.coords[vertices], ring_ends, part_ends, features)


def _picked(offsets: Ints, who: Ints) -> tuple[Ints, Ints]:
    """The children of some parents, and the parents' new offsets."""
    sizes = offsets[who + 1] - offsets[who]
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return np.repeat(offsets[who] - ends[:-1], sizes) + np.arange(ends[-1]), ends


def valid(polygons: Ragged) -> npt.NDArray[np.bool_]:
    """Which features are valid, as GEOS has it; GEOS itself is asked about those not plainly so."""
    sure = np.empty(len(polygons), dtype=np.bool_)
    arrays = (polygons.coords, polygons.rings, polygons.parts, polygons.features)

    def prove(start: int) -> None:
        prove_valid(*arrays, start, min(start + _STEP, len(polygons)), sure)

    for _ in threads.each(prove, range(0, len(polygons), _STEP)):
        pass
    rest = np.flatnonzero(~sure)

    def ask(start: int) -> None:
        who = rest[start : start + _STEP]
        sure[who] = shapely.is_valid(polygons.shapes(who))

    for _ in threads.each(ask, range(0, len(rest), _STEP)):
        pass
    return sure


def from_wkb(texts: Sequence[tuple[Any, Any, Any]], most: int) -> Ragged | None:
    """Polygons of WKB texts, given in pieces of (bytes, offsets of texts, the text of each feature).

    None: a text is not plain little-endian WKB of a polygon with closed, finite rings, or there are more than
    ``most`` vertices.
    """
    counts, count = np.zeros(3, dtype=np.int64), sum(len(index) for _, _, index in texts)
    if not texts or not all(count_wkb(*text, most, counts) for text in texts):
        return None
    coords = np.empty((int(counts[1]), 2))
    rings, parts, features = (np.zeros(int(size) + 1, dtype=np.int64) for size in (counts[0], counts[2], count))
    at, flat = np.zeros(4, dtype=np.int64), coords.reshape(-1).view(np.uint8)
    for data, offsets, index in texts:
        fill_wkb(data, offsets, index, at, flat, rings, parts, features)
    closed = np.array_equal(coords[rings[:-1]], coords[rings[1:] - 1])
    return Ragged(coords, rings, parts, features) if closed and np.isfinite(coords).all() else None
