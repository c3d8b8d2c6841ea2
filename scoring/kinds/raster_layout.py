"""The windows in which a raster's cells are read: parts of rows, cut into the tiles of the blocks.

What depends on the truth alone, how many cells of each tile hold a value, is counted once per truth.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from datasets.blocks import ALL, NEITHER, PUBLIC, Side, Tiling, tile_index, tile_key, tiling_of
from datasets.canonical import Array, Canonical, rows
from datasets.errors import Finding, Rejected
from datasets.spec import Spec
from scoring.kinds import raster_loops as loops
from scoring.kinds.pairing import spread

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint8]
OWN, NEAR = 1, 2  # marks of cells that count, and of those that lie near a tile of the other side


@dataclass(frozen=True)
class Frame:
    """Where the cells lie: ``shape`` (height, width), ``transform`` affine a b c d e f in CRS units."""

    shape: tuple[int, int]
    transform: tuple[float, ...]

    @property
    def upright(self) -> bool:
        """Whether rows run along x and columns along y, without rotation."""
        return self.transform[1] == 0 and self.transform[3] == 0

    def centres(self, rows: Ints, cols: Ints) -> tuple[Floats, Floats]:
        """x and y of cell centres; rows and columns broadcast."""
        a, b, c, d, e, f = self.transform
        across, down = cols + 0.5, rows + 0.5
        return a * across + b * down + c, d * across + e * down + f

    def cells(self, x: Floats, y: Floats) -> tuple[Ints, Ints, Bools]:
        """Row and column of the cell each point lies in, and whether it is on the grid at all."""
        a, b, c, d, e, f = self.transform
        det = a * e - b * d
        col = np.floor((e * (x - c) - b * (y - f)) / det).astype(np.int64)
        row = np.floor((a * (y - f) - d * (x - c)) / det).astype(np.int64)
        inside = (row >= 0) & (row < self.shape[0]) & (col >= 0) & (col < self.shape[1])
        return row, col, inside


def frame(canonical: Canonical) -> Frame:
    height, width = canonical.arrays["band"].shape
    return Frame((height, width), tuple(float(value) for value in canonical.attrs["transform"]))


def marks(canonical: Canonical, start: int, stop: int) -> Marks:
    """1 for each cell of some rows that holds a value: one intake marked valid, and not NaN; else 0."""
    band, given = canonical.arrays["band"], canonical.arrays.get("valid")
    found: Marks = np.empty((stop - start, band.shape[1]), dtype=np.uint8)
    with ExitStack() as stack:
        every = given is None
        valid = found if given is None else np.ascontiguousarray(stack.enter_context(rows(given, start, stop)))
        if band.dtype.kind == "f":
            values = _plain(stack.enter_context(rows(band, start, stop)))
            loops.mark_numbers(values, valid.view(np.uint8), every, found)
        elif every:
            found[:] = 1
        else:
            np.not_equal(valid.view(np.uint8), 0, out=found.view(np.bool_))  # whatever bytes stand for true
    return found


def _plain(values: Array) -> Array:
    """Floats as the loops take them; nothing is copied of what intake wrote."""
    kind = np.float32 if values.dtype == np.float32 else np.float64
    return np.ascontiguousarray(np.asarray(values), dtype=kind)


def gaps(canonical: Canonical, start: int, stop: int) -> bool:
    """Whether any cell of some rows may hold no value; quick to say no."""
    band, given = canonical.arrays["band"], canonical.arrays.get("valid")
    if given is not None:
        with rows(given, start, stop) as window:
            if not window.all():
                return True
    if band.dtype.kind != "f":
        return False
    with rows(band, start, stop) as values:
        return bool(loops.count_nan(_plain(values)))


@dataclass(frozen=True)
class Window:
    """Cells of one block and side in some rows: those with ``mark`` in columns ``left`` … ``right`` of ``marks``."""

    key: str
    side: Side
    start: int
    marks: Marks
    left: int
    right: int
    mark: int


@dataclass(frozen=True)
class Layout:
    """Parts of rows, each cut into tiles. ``row_runs`` and ``col_runs``: (tile, start, stop) of an upright grid."""

    grid: Canonical
    frame: Frame
    parts: tuple[tuple[int, int], ...]
    tiling: Tiling | None
    row_runs: tuple[tuple[int, int, int], ...]
    col_runs: tuple[tuple[int, int, int], ...]
    blocks: int

    @classmethod
    def of(cls, grid: Canonical, spec: Spec, part_bytes: int, prepared: Mapping[str, Array]) -> "Layout":
        """The windows of a grid; ``prepared`` may hold its ``tiles``.

        Raises:
            Rejected: a rotated grid cannot be cut into tiles.
        """
        where, band = frame(grid), grid.arrays["band"]
        step = part_bytes // max(1, band.shape[1] * band.dtype.itemsize)
        if spec.blocks is None or spec.blocks.size is None:
            return cls(grid, where, tuple(spread(band.shape[0], step)), None, (), (), 1)
        row_runs, col_runs = _tile_runs(where, spec.blocks.size)
        filled = prepared["tiles"] if "tiles" in prepared else filled_tiles(grid, spec, part_bytes)
        tiling = tiling_of(((int(col), int(row)) for col, row in filled), spec.blocks)
        return cls(grid, where, _aligned(row_runs, max(1, step)), tiling, row_runs, col_runs, len(tiling.tiles))

    def windows(self, part: int) -> Iterator[Window]:
        """The cells that count, for every block in the part."""
        start, stop = self.parts[part]
        if self.tiling is None:
            yield Window(ALL, PUBLIC, start, marks(self.grid, start, stop), 0, self.frame.shape[1], OWN)
            return
        for row_tile, top, bottom in self.row_runs:
            first, last = max(top, start), min(bottom, stop)
            if first < last:
                yield from self._tiles(self.tiling, row_tile, first, last)

    def _tiles(self, tiling: Tiling, row_tile: int, start: int, stop: int) -> Iterator[Window]:
        here = marks(self.grid, start, stop)
        for col_tile, left, right in self.col_runs:
            tile = (col_tile, row_tile)
            if tile in tiling.tiles:
                key = tile_key(*tile)
                near = self._mark_near(tiling, tile, here, (start, stop), (left, right))
                yield Window(key, tiling.split.side(key), start, here, left, right, OWN)
                if near:
                    yield Window(key, NEITHER, start, here, left, right, NEAR)

    def _mark_near(
        self, tiling: Tiling, tile: tuple[int, int], here: Marks, high: tuple[int, int], wide: tuple[int, int]
    ) -> bool:
        """Mark the cells of a tile that lie closer than the buffer to one of the other side; False: there are none."""
        foreign = tiling.foreign(tile)
        if not foreign:
            return False
        x, _ = self.frame.centres(np.zeros(1, np.int64), np.arange(*wide))
        _, y = self.frame.centres(np.arange(*high), np.zeros(1, np.int64))
        limit = tiling.buffer**2
        for col, row in foreign:
            down, across = tiling.gap(y, row) ** 2, tiling.gap(x, col) ** 2
            if float(down.min()) + float(across.min()) < limit:
                loops.mark_near(down, across, limit, here, 0, wide[0])
        return True


def filled_tiles(grid: Canonical, spec: Spec, part_bytes: int) -> Ints:
    """The (column, row) of every tile of the challenge's blocks in which a cell holds a value, (n, 2).

    Raises:
        Rejected: a rotated grid cannot be cut into tiles.
    """
    assert spec.blocks is not None
    assert spec.blocks.size is not None
    where, band = frame(grid), grid.arrays["band"]
    row_runs, col_runs = _tile_runs(where, spec.blocks.size)
    edges = np.array([0, *(stop for _, _, stop in col_runs)], dtype=np.int64)
    found: set[tuple[int, int]] = set()
    for row_tile, top, bottom in row_runs:
        counts = np.zeros(len(col_runs), dtype=np.int64)
        for start, stop in spread(bottom - top, part_bytes // max(1, band.shape[1] * band.dtype.itemsize)):
            loops.count_tiles(marks(grid, top + start, top + stop), edges, counts)
        found.update((run[0], row_tile) for run, count in zip(col_runs, counts.tolist(), strict=True) if count)
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


Runs = tuple[tuple[int, int, int], ...]


def _tile_runs(where: Frame, size: float) -> tuple[Runs, Runs]:
    """Rows and columns by tile."""
    if not where.upright:
        message = "The grid is rotated; [blocks] cuts only grids whose rows run along x."
        raise Rejected([Finding("wrong-transform", message, {}, "Leave [blocks] out or rotate the grid.")])
    x, _ = where.centres(np.zeros(1, np.int64), np.arange(where.shape[1]))
    _, y = where.centres(np.arange(where.shape[0]), np.zeros(1, np.int64))
    return _runs(tile_index(y, size)), _runs(tile_index(x, size))


def _runs(tiles: Ints) -> Runs:
    """(tile, start, stop) of every run of equal tiles."""
    edges = [0, *(np.flatnonzero(np.diff(tiles)) + 1).tolist(), len(tiles)]
    return tuple((int(tiles[a]), a, b) for a, b in pairwise(edges) if b > a)


def _aligned(row_runs: Runs, step: int) -> tuple[tuple[int, int], ...]:
    """Row ranges of whole tile rows, of about ``step`` rows; a tile row taller than that is cut further."""
    parts: list[tuple[int, int]] = []
    for _tile, top, bottom in row_runs:
        if parts and bottom - parts[-1][0] <= step:
            parts[-1] = (parts[-1][0], bottom)
        else:
            parts += [(top + a, top + b) for a, b in spread(bottom - top, step)]
    return tuple(parts)
