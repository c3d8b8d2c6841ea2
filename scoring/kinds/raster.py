"""Rasters: cell against cell on the truth's grid, or points read through a submitted raster."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from datasets.blocks import ALL, NEITHER, PUBLIC, Side, Tiling, tile_index, tile_key, tiling_of
from datasets.canonical import Array, Canonical
from datasets.errors import EngineFault, Finding, Rejected
from datasets.spec import Spec
from scoring.kinds.columns import number_text
from scoring.kinds.pairing import Block, Pairing, TruthSet, spread
from scoring.rules import sample_type
from scoring.samples import Classes, Numbers, Probabilities

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
PART_BYTES = 16 << 20


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


def valid_cells(canonical: Canonical, rows: slice = slice(None)) -> Bools:
    """Which cells of some rows hold a value: those intake marked valid, and not NaN."""
    band = canonical.arrays["band"][rows]
    given = canonical.arrays.get("valid")
    valid: Bools = np.ones(band.shape, dtype=np.bool_) if given is None else np.asarray(given[rows], dtype=np.bool_)
    return valid & ~np.isnan(band) if band.dtype.kind == "f" else valid


def row_ranges(canonical: Canonical) -> list[tuple[int, int]]:
    """Row windows of about 16 MiB."""
    band = canonical.arrays["band"]
    return spread(band.shape[0], PART_BYTES // max(1, band.shape[1] * band.dtype.itemsize))


def check(prediction: Canonical, template: Canonical, _spec: Spec) -> list[Finding]:
    """Cells that hold no value although the template's cells do; shape and place are intake's to check."""
    count, first = 0, None
    for start, stop in row_ranges(template):
        rows = slice(start, stop)
        gaps = valid_cells(template, rows) & ~valid_cells(prediction, rows)
        here = int(np.count_nonzero(gaps))
        if here and first is None:
            row, col = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
            first = [int(row) + start, int(col)]
        count += here
    if first is None:
        return []
    message = f"{count} cells that are scored hold no value, first row {first[0]}, column {first[1]}."
    return [Finding("missing-cells", message, {"pixel": first, "count": count}, "Give every cell of the grid a value.")]


def pair(prediction: Canonical, truth: TruthSet, spec: Spec) -> Pairing:
    """Align cell by cell, or read the true points through the raster.

    Raises:
        Rejected: the prediction leaves out cells that are scored.
    """
    grid = truth.grid if truth.grid is not None else truth.truth
    findings = check(prediction, grid, spec)
    if findings:
        raise Rejected(findings)
    cells = Cells.of(prediction, truth, spec)
    layout = Layout.of(grid, spec)

    def samples(part: int) -> Iterator[Block]:
        for key, side, rows, cols, keep in layout.windows(part):
            yield key, side, cells.sample(rows, cols, keep)

    return Pairing(len(layout.parts), samples, layout.blocks)


@dataclass(frozen=True)
class Cells:
    """Truth and prediction cell by cell. ``points`` (height, width): true points in each cell, or None."""

    y: Array
    f: Array
    weight: Array | None
    points: Ints | None
    sample_type: str
    classes: tuple[str, ...]

    @classmethod
    def of(cls, prediction: Canonical, truth: TruthSet, spec: Spec) -> "Cells":
        wanted = sample_type(spec)
        points = None if truth.grid is None else point_counts(truth.truth, frame(truth.grid))
        y = prediction.arrays["band"] if points is not None else truth.truth.arrays["band"]
        classes = class_list(prediction, truth.truth, spec) if wanted == "classes" else ()
        return cls(y, prediction.arrays["band"], truth.truth.arrays.get("weight"), points, wanted, classes)

    def sample(self, rows: slice, cols: slice, keep: Bools) -> Numbers | Classes | Probabilities:
        """The kept cells of a window."""
        f = np.asarray(self.f[rows, cols])[keep]
        if self.points is not None:
            count = self.points[rows, cols][keep]
            return Probabilities((count > 0).astype(np.int64), f, np.maximum(count, 1).astype(np.float64))
        y = np.asarray(self.y[rows, cols])[keep]
        w = None if self.weight is None else np.asarray(self.weight[rows, cols], dtype=np.float64)[keep]
        if self.sample_type == "probabilities":
            return Probabilities((y > 0).astype(np.int64), f, w)
        if self.sample_type == "classes":
            return Classes(codes(y, self.classes), _known(codes(f, self.classes)), w, len(self.classes))
        return Numbers(y, f, w)


def point_counts(points: Canonical, where: Frame) -> Ints:
    """How many true points lie in each cell; points off the grid count nowhere."""
    x, y = (np.asarray(points.arrays[name], dtype=np.float64) for name in ("x", "y"))
    row, col, inside = where.cells(x, y)
    counts: Ints = np.zeros(where.shape, dtype=np.int64)
    np.add.at(counts, (row[inside], col[inside]), 1)
    return counts


def class_list(prediction: Canonical, truth: Canonical, spec: Spec) -> tuple[str, ...]:
    """The classes in order: the challenge's, else all values of either side by size.

    With such an open list a class that only the entry names is wrong, not unknown.
    """
    if spec.truth.classes:
        return spec.truth.classes
    found: set[float] = set()
    for start, stop in row_ranges(truth):
        rows = slice(start, stop)
        valid = valid_cells(truth, rows)
        for side in (truth, prediction):
            found.update(np.unique(np.asarray(side.arrays["band"][rows])[valid]).tolist())
    return tuple(number_text(value) for value in sorted(found))


def codes(values: Array, classes: tuple[str, ...]) -> Ints:
    """Position of each cell value in ``classes``; -1 for a value that is none of them."""
    distinct, place = np.unique(values, return_inverse=True)
    places = {label: number for number, label in enumerate(classes)}
    table = np.array([places.get(number_text(value), -1) for value in distinct.tolist()], dtype=np.int64)
    found: Ints = table[place.reshape(-1)] if len(distinct) else np.empty(0, dtype=np.int64)
    return found


def _known(found: Ints) -> Ints:
    if (found < 0).any():
        raise EngineFault("intake let a class through that the challenge does not name")
    return found


Window = tuple[str, Side, slice, slice, Bools]


@dataclass(frozen=True)
class Layout:
    """The windows in which cells are read: rows in parts, each cut into tiles.

    ``row_tiles`` (height,) and ``col_tiles`` (width,) give the tile of each row and column of an upright grid.
    """

    grid: Canonical
    frame: Frame
    parts: tuple[tuple[int, int], ...]
    tiling: Tiling | None
    row_tiles: Ints
    col_tiles: Ints
    blocks: int

    @classmethod
    def of(cls, grid: Canonical, spec: Spec) -> "Layout":
        where, ranges = frame(grid), tuple(row_ranges(grid))
        if spec.blocks is None or spec.blocks.size is None:
            return cls(
                grid, where, ranges, None, np.zeros(where.shape[0], np.int64), np.zeros(where.shape[1], np.int64), 1
            )
        if not where.upright:
            message = "The grid is rotated; [blocks] cuts only grids whose rows run along x."
            raise Rejected([Finding("wrong-transform", message, {}, "Leave [blocks] out or rotate the grid.")])
        x, _ = where.centres(np.zeros(1, np.int64), np.arange(where.shape[1]))
        _, y = where.centres(np.arange(where.shape[0]), np.zeros(1, np.int64))
        cols, rows = tile_index(x, spec.blocks.size), tile_index(y, spec.blocks.size)
        parts = _aligned(rows, max(1, ranges[0][1] - ranges[0][0]))
        bare = cls(grid, where, parts, None, rows, cols, 0)
        tiling = tiling_of(bare.filled(), spec.blocks)
        return cls(grid, where, parts, tiling, rows, cols, len(tiling.tiles))

    def filled(self) -> set[tuple[int, int]]:
        """Tiles (column, row) with at least one valid cell."""
        found = set()
        for part in range(len(self.parts)):
            for tile, _rows, _cols, keep in self._tiles(part):
                if keep.any():
                    found.add(tile)
        return found

    def windows(self, part: int) -> Iterator[Window]:
        """(key, side, rows, columns, mask of the cells that count) for every block in the part."""
        if self.tiling is None:
            start, stop = self.parts[part]
            yield ALL, PUBLIC, slice(start, stop), slice(None), valid_cells(self.grid, slice(start, stop))
            return
        for tile, rows, cols, keep in self._tiles(part):
            key, own = tile_key(*tile), self.tiling.split.side(tile_key(*tile))
            near = self._near(tile, rows, cols)
            for side, mask in ((own, keep & ~near), (NEITHER, keep & near)):
                if mask.any():
                    yield key, side, rows, cols, mask

    def _tiles(self, part: int) -> Iterator[tuple[tuple[int, int], slice, slice, Bools]]:
        start, stop = self.parts[part]
        valid = valid_cells(self.grid, slice(start, stop))
        for row_tile, top, bottom in _runs(self.row_tiles[start:stop]):
            for col_tile, left, right in _runs(self.col_tiles):
                cols = slice(left, right)
                yield (col_tile, row_tile), slice(start + top, start + bottom), cols, valid[top:bottom, cols]

    def _near(self, tile: tuple[int, int], rows: slice, cols: slice) -> Bools:
        assert self.tiling is not None
        x, y = self.frame.centres(np.arange(rows.start, rows.stop)[:, None], np.arange(cols.start, cols.stop)[None, :])
        return (
            self.tiling.near_other_side(x, y, tile)
            if self.tiling.buffer > 0
            else np.zeros(np.broadcast_shapes(x.shape, y.shape), np.bool_)
        )


def _runs(tiles: Ints) -> list[tuple[int, int, int]]:
    """(tile, start, stop) of every run of equal tiles."""
    edges = [0, *(np.flatnonzero(np.diff(tiles)) + 1).tolist(), len(tiles)]
    return [(int(tiles[a]), a, b) for a, b in pairwise(edges) if b > a]


def _aligned(row_tiles: Ints, rows: int) -> tuple[tuple[int, int], ...]:
    """Row ranges of whole tile rows, of about ``rows`` rows; a tile row taller than that is cut further."""
    parts: list[tuple[int, int]] = []
    for _tile, top, bottom in _runs(row_tiles):
        if parts and bottom - parts[-1][0] <= rows:
            parts[-1] = (parts[-1][0], bottom)
        else:
            parts += [(top + a, top + b) for a, b in spread(bottom - top, rows)]
    return tuple(parts)
