"""Polygons as offset arrays, the canonical layout, without an object for each."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from datasets import threads
from datasets.formats.ring_loops import prove_valid

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

    def hollow(self) -> npt.NDArray[np.bool_]:
        """Which features have a part without a ring or a ring without a vertex: GEOS reads it, shapely crashes."""
        part_of = np.repeat(np.arange(len(self.parts) - 1), np.diff(self.parts))
        parts = np.diff(self.parts) == 0
        parts[part_of[np.diff(self.rings) == 0]] = True
        feature_of = np.repeat(np.arange(len(self)), np.diff(self.features))
        return np.bincount(feature_of[parts], minlength=len(self)) > 0

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


class Gathering:
    """Polygons that several threads read in pieces, put together in the order of the pieces.

    The arrays have room for ``most`` features, parts, rings and vertices; memory that nothing is written to costs
    nothing. Offsets are written behind a first 0.
    """

    def __init__(self, most: tuple[int, int, int, int]) -> None:
        self._most = np.array(most, dtype=np.int64)
        self.coords = np.empty((most[3], 2))
        self.features, self.parts, self.rings = (np.empty(size + 1, dtype=np.int64) for size in most[:3])
        self.features[0] = self.parts[0] = self.rings[0] = 0
        self._held = np.zeros(4, dtype=np.int64)
        self._turn, self._lost = 0, False
        self._changed = threading.Condition()

    @property
    def arrays(self) -> tuple[npt.NDArray[np.float64], Ints, Ints, Ints]:
        """Coordinates and the offsets of rings, parts and features, to write into."""
        return self.coords, self.rings, self.parts, self.features

    def claim(self, turn: int, counts: Ints) -> Ints | None:
        """What the pieces before ``turn`` hold, as soon as they have told; ``counts`` is what this one holds.

        None: one of them was given up, or there is no room.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lost or self._turn == turn)
            before, after = self._held, self._held + counts
            self._lost = self._lost or bool((after > self._most).any())
            self._held, self._turn = after, turn + 1
            self._changed.notify_all()
            return None if self._lost else before

    def give_up(self) -> None:
        """A piece cannot be read: nobody waits for it."""
        with self._changed:
            self._lost = True
            self._changed.notify_all()

    def polygons(self) -> Ragged | None:
        """All of them, once every piece is written; None when one was given up."""
        if self._lost:
            return None
        features, parts, rings, vertices = self._held.tolist()
        offsets = self.rings[: rings + 1], self.parts[: parts + 1], self.features[: features + 1]
        return Ragged(self.coords[:vertices], *offsets)


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
