"""Blocks: the units into which a truth is cut for splitting, resampling and re-scoring.

A block has a text key: a column's text (table), a square tile of the plane (points, polygons, raster) or a label
along a dimension (grid). Keys are split into a public and a private side by a seeded hash of the key alone, so the
split never depends on row order, on the entry, or on the machine.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Side = Literal["public", "private", "neither"]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ALL = "all"
MAP = 1 << 22  # tiles of an extent that are told apart on a map of it
FAR = 1 << 62  # tiles of an extent that can still be numbered
PUBLIC: Side = "public"
PRIVATE: Side = "private"
NEITHER: Side = "neither"
SIDES: tuple[Side, Side, Side] = (PUBLIC, PRIVATE, NEITHER)


@dataclass(frozen=True)
class Split:
    """Which side a block key is on.

    ``sides`` holds the keys of the truth. Any other key (a tile in which only a false alarm lies) is placed by the
    same rule: its hash is compared with ``threshold``, the greatest hash among the public keys.
    """

    sides: Mapping[str, Side]
    seed: int
    threshold: bytes | None
    other: Side

    def side(self, key: str) -> Side:
        """The side of a key, whether the truth has it or not."""
        known = self.sides.get(key)
        if known is not None:
            return known
        if self.threshold is None:
            return self.other
        return PUBLIC if _hash(self.seed, key) <= self.threshold else PRIVATE


def make_split(keys: Iterable[str], public: float | Sequence[str], seed: int) -> Split:
    """Split ``keys`` into public and private.

    Args:
        keys: block keys of the truth; repeated keys count once.
        public: the share of blocks on the public side, or the public keys themselves. With a share strictly between
            0 and 1 both sides get at least one block as long as there are two.
        seed: of the hash order; the first ``round(share * n)`` keys by sha256 of ``"{seed}:{key}"`` are public.
    """
    distinct = sorted(set(keys))
    if not isinstance(public, int | float):
        listed = set(public)
        return Split(_freeze({key: PUBLIC if key in listed else PRIVATE for key in distinct}), seed, None, PRIVATE)
    if public >= 1 or public <= 0 or len(distinct) < 2:
        side = PUBLIC if public > 0 else PRIVATE
        return Split(_freeze(dict.fromkeys(distinct, side)), seed, None, side)
    ordered = sorted(distinct, key=lambda key: _hash(seed, key))
    count = min(max(floor(public * len(ordered) + 0.5), 1), len(ordered) - 1)
    sides = {key: PUBLIC if place < count else PRIVATE for place, key in enumerate(ordered)}
    return Split(_freeze(sides), seed, _hash(seed, ordered[count - 1]), PRIVATE)


def split(keys: Iterable[str], public: float | Sequence[str], seed: int) -> dict[str, Side]:
    """The sides of ``keys`` as a plain mapping; see make_split."""
    return dict(make_split(keys, public, seed).sides)


def tile_key(col: int, row: int) -> str:
    """The key of a tile: column and row counted from the origin of the CRS, negative to the west and south."""
    return f"c{col}r{row}"


def tile_index(values: Floats, size: float) -> Ints:
    """Tile column (of x) or row (of y) of coordinates, in steps of ``size`` CRS units from 0."""
    return np.floor(np.asarray(values, dtype=np.float64) / size).astype(np.int64)


def tiles_of(x: Floats, y: Floats, size: float) -> tuple[Ints, list[tuple[int, int]]]:
    """Which tile each point lies in.

    Returns:
        codes (n,) into the list of distinct (column, row) tiles, which is sorted.
    """
    cols, rows = tile_index(x, size), tile_index(y, size)
    if not len(cols):
        return cols, []
    west, south = int(cols.min()), int(rows.min())
    wide, high = int(cols.max()) - west + 1, int(rows.max()) - south + 1
    if wide * high > FAR:
        tiles, codes = np.unique(np.stack([cols, rows], axis=1), axis=0, return_inverse=True)
        return codes.reshape(-1).astype(np.int64), [(int(col), int(row)) for col, row in tiles]
    place = (cols - west) * high + (rows - south)
    if wide * high > MAP:
        found, codes = np.unique(place, return_inverse=True)
        return codes.astype(np.int64), _pairs(found, west, south, high)
    there = np.zeros(wide * high, dtype=np.bool_)
    there[place] = True
    found = np.flatnonzero(there)
    return (np.cumsum(there) - 1)[place], _pairs(found, west, south, high)


def _pairs(found: Ints, west: int, south: int, high: int) -> list[tuple[int, int]]:
    """(column, row) of tiles numbered column by column."""
    cols, rows = np.divmod(found, high)
    return list(zip((cols + west).tolist(), (rows + south).tolist(), strict=True))


def by_code(codes: Ints) -> tuple[Ints, Ints]:
    """The stable order of small non-negative ``codes`` (n,), and where each run of equal ones starts in it."""
    if len(codes) and not codes.any():  # one block
        return np.arange(len(codes), dtype=np.int64), np.zeros(1, dtype=np.int64)
    few = len(codes) > 0 and int(codes.max()) < 1 << 16  # then counting sorts them
    order = np.argsort(codes.astype(np.uint16) if few else codes, kind="stable")
    return order, np.flatnonzero(np.diff(codes[order], prepend=-1))


@dataclass(frozen=True)
class Tiling:
    """Square tiles of a truth with their sides. ``size`` and ``buffer`` in CRS units."""

    size: float
    buffer: float
    split: Split
    tiles: frozenset[tuple[int, int]]

    def foreign(self, tile: tuple[int, int]) -> list[tuple[int, int]]:
        """Tiles of the truth on the other side, near enough to lie within ``buffer`` of a point of ``tile``."""
        if self.buffer <= 0:
            return []
        own, reach = self.split.side(tile_key(*tile)), ceil(self.buffer / self.size)
        steps = range(-reach, reach + 1)
        near = [(tile[0] + dc, tile[1] + dr) for dr in steps for dc in steps if (dc, dr) != (0, 0)]
        return [other for other in near if other in self.tiles and self.split.side(tile_key(*other)) != own]

    def gap(self, values: Floats, index: int) -> Floats:
        """Distance along one axis from coordinates to tile column or row ``index``; 0 inside it."""
        low = index * self.size
        return np.maximum(np.maximum(low - values, values - (low + self.size)), 0.0)

    def near_other_side(self, x: Floats, y: Floats, tile: tuple[int, int]) -> Bools:
        """Which points of ``tile`` lie closer than ``buffer`` to a tile of the other side; x and y broadcast."""
        shape = np.broadcast_shapes(x.shape, y.shape)
        near: Bools = np.zeros(shape, dtype=np.bool_)
        for col, row in self.foreign(tile):
            near |= self.gap(x, col) ** 2 + self.gap(y, row) ** 2 < self.buffer**2
        return near

    def place(self, x: Floats, y: Floats) -> "Placed":
        """Block and side of points; a point near a tile of the other side gets the side ``neither``."""
        codes, tiles = tiles_of(x, y, self.size)
        sides = np.array([SIDES.index(self.split.side(tile_key(*tile))) for tile in tiles], dtype=np.int64)[codes]
        if self.buffer > 0:
            order, starts = by_code(codes)
            for tile, here in zip(tiles, np.split(order, starts[1:]), strict=True):
                if self.foreign(tile):
                    sides[here[self.near_other_side(x[here], y[here], tile)]] = SIDES.index(NEITHER)
        return Placed(codes, tuple(tile_key(*tile) for tile in tiles), sides)


@dataclass(frozen=True)
class Placed:
    """Items in blocks: ``codes`` (n,) into ``keys``; ``sides`` (n,) into SIDES."""

    codes: Ints
    keys: tuple[str, ...]
    sides: Ints

    def groups(self) -> list[tuple[str, Side, Ints]]:
        """(key, side, item indices in ascending order) of every group that has items, by key then side."""
        if not len(self.codes):
            return []
        group = self.codes * len(SIDES) + self.sides
        order, starts = by_code(group)
        pieces = np.split(order, starts[1:])
        named = [(self.keys[group[p[0]] // len(SIDES)], SIDES[group[p[0]] % len(SIDES)], p) for p in pieces]
        return sorted(named, key=lambda item: (item[0], SIDES.index(item[1])))


def make_tiling(x: Floats, y: Floats, blocks: Any) -> Tiling:
    """The tiling of a truth whose features lie at x, y; ``blocks`` is the challenge's [blocks] with a size."""
    _, tiles = tiles_of(x, y, blocks.size)
    return tiling_of(tiles, blocks)


def tiling_of(tiles: Iterable[tuple[int, int]], blocks: Any) -> Tiling:
    """The tiling of a truth that covers the given (column, row) tiles."""
    known = frozenset(tiles)
    cut = make_split((tile_key(*tile) for tile in known), blocks.public, blocks.seed)
    return Tiling(float(blocks.size), float(blocks.buffer), cut, known)


def placed_whole(count: int) -> Placed:
    """Everything in the one public block ``all``: a challenge without [blocks]."""
    return Placed(np.zeros(count, dtype=np.int64), (ALL,), np.zeros(count, dtype=np.int64))


def placed_by_labels(codes: Ints, labels: Sequence[str], blocks: Any) -> Placed:
    """Items with block labels given as ``codes`` (n,) into ``labels``, split by [blocks]."""
    cut = make_split((labels[code] for code in np.unique(codes)), blocks.public, blocks.seed)
    sides = np.array([SIDES.index(cut.side(label)) for label in labels], dtype=np.int64)
    return Placed(np.asarray(codes, dtype=np.int64), tuple(labels), sides[codes])


def _hash(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}:{key}".encode()).digest()


def _freeze(sides: dict[str, Side]) -> Mapping[str, Side]:
    return MappingProxyType(sides)
