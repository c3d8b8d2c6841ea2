"""Rasters: cell against cell on the truth's grid, or points read through a submitted raster."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from datasets.canonical import Array, Canonical, rows
from datasets.errors import Finding, Rejected
from datasets.spec import Spec
from datasets.threads import each
from scoring.kinds import raster_loops as loops
from scoring.kinds.columns import number_text
from scoring.kinds.pairing import Block, Pairing, TruthSet, spread
from scoring.kinds.raster_classes import Codes, listed
from scoring.kinds.raster_layout import (
    Bools,
    Frame,
    Ints,
    Layout,
    Window,
    filled_tiles,
    frame,
    gaps,
    marks,
)
from scoring.rules import sample_type
from scoring.samples import Classes, Numbers, Probabilities

PART_BYTES = 4 << 20


def valid_cells(canonical: Canonical, part: slice = slice(None)) -> Bools:
    """Which cells of some rows hold a value: those intake marked valid, and not NaN."""
    start, stop, _ = part.indices(canonical.arrays["band"].shape[0])
    return marks(canonical, start, stop).view(np.bool_)


def row_ranges(canonical: Canonical) -> list[tuple[int, int]]:
    """Row windows of about ``PART_BYTES``."""
    band = canonical.arrays["band"]
    return spread(band.shape[0], PART_BYTES // max(1, band.shape[1] * band.dtype.itemsize))


def check(prediction: Canonical, template: Canonical, _spec: Spec) -> list[Finding]:
    """Cells that hold no value although the template's cells do; shape and place are intake's to check."""
    if "valid" not in prediction.arrays and prediction.arrays["band"].dtype.kind != "f":
        return []
    found = list(each(lambda part: _missing(prediction, template, *part), row_ranges(template)))
    count = sum(number for number, _ in found)
    if not count:
        return []
    row, col = next(pixel for number, pixel in found if number)
    message = f"{count} cells that are scored hold no value, first row {row}, column {col}."
    where = {"pixel": [row, col], "count": count}
    return [Finding("missing-cells", message, where, "Give every cell of the grid a value.")]


def _missing(prediction: Canonical, template: Canonical, start: int, stop: int) -> tuple[int, tuple[int, int]]:
    """How many cells of some rows hold no value although the template's do, and row and column of the first."""
    if not gaps(prediction, start, stop):
        return 0, (0, 0)
    missing = (marks(template, start, stop) & ~marks(prediction, start, stop)).view(np.bool_)
    row, col = np.unravel_index(int(np.argmax(missing)), missing.shape)
    return int(np.count_nonzero(missing)), (int(row) + start, int(col))


def prepare(truth: TruthSet, spec: Spec) -> Mapping[str, Array]:
    """What depends on the truth alone: ``tiles`` that hold a value, ``places`` and ``counts`` of true points.

    Raises:
        Rejected: a rotated grid cannot be cut into tiles.
    """
    grid = truth.grid if truth.grid is not None else truth.truth
    found: dict[str, Array] = {}
    if spec.blocks is not None and spec.blocks.size is not None:
        found["tiles"] = filled_tiles(grid, spec, PART_BYTES)
    if truth.grid is not None:
        found["places"], found["counts"] = point_counts(truth.truth, frame(grid))
    return found


def pair(prediction: Canonical, truth: TruthSet, spec: Spec) -> Pairing:
    """Align cell by cell, or read the true points through the raster.

    Raises:
        Rejected: the prediction leaves out cells that are scored.
    """
    grid = truth.grid if truth.grid is not None else truth.truth
    findings = check(prediction, grid, spec)
    if findings:
        raise Rejected(findings)
    layout = Layout.of(grid, spec, PART_BYTES, truth.prepared)
    cells = Cells.of(prediction, truth, spec)

    def samples(part: int) -> Iterator[Block]:
        with cells.opened(*layout.parts[part]) as rows_:
            for window in layout.windows(part):
                sample = rows_.sample(window)
                if sample is not None:
                    yield window.key, window.side, sample

    classes = cells.codes.classes if cells.codes is not None else ()
    return Pairing(len(layout.parts), samples, layout.blocks, grid.arrays["band"].size, classes)


@dataclass(frozen=True)
class Cells:
    """Truth and prediction cell by cell. ``points``: sorted cells of true points and how many lie in each, or None."""

    y: Array
    f: Array
    weight: Array | None
    points: tuple[Array, Array] | None
    sample_type: str
    codes: Codes | None

    @classmethod
    def of(cls, prediction: Canonical, truth: TruthSet, spec: Spec) -> "Cells":
        wanted, kept, points = sample_type(spec), truth.prepared, None
        if truth.grid is not None:
            there = "places" in kept and "counts" in kept
            points = (kept["places"], kept["counts"]) if there else point_counts(truth.truth, frame(truth.grid))
        y = prediction.arrays["band"] if points is not None else truth.truth.arrays["band"]
        found = Codes.of(class_list(prediction, truth.truth, spec)) if wanted == "classes" else None
        return cls(y, prediction.arrays["band"], truth.truth.arrays.get("weight"), points, wanted, found)

    @contextmanager
    def opened(self, start: int, stop: int) -> Iterator["Rows"]:
        """Some rows of all arrays; their pages leave the process's memory afterwards."""
        with ExitStack() as stack:
            given = {"y": self.y, "f": self.f, "weight": self.weight}
            windows = {
                name: np.ascontiguousarray(stack.enter_context(rows(array, start, stop)))
                for name, array in given.items()
                if array is not None
            }
            yield Rows(self, start, windows, {})


@dataclass(frozen=True)
class Rows:
    """Rows of truth and prediction from ``start`` on; ``points`` laid out on the window they were last asked for."""

    cells: Cells
    start: int
    arrays: Mapping[str, Array]
    points: dict[int, tuple[Array, Array | None]]

    def sample(self, window: Window) -> Numbers | Classes | Probabilities | None:
        """The cells of a window; None when there are none."""
        codes = self.cells.codes
        found = self._masked(codes, window) if codes is not None and codes.straight else None
        if found is not None:
            return found if len(found.y) else None
        f = self._gathered(self.arrays["f"], window, self.start)
        if not len(f):
            return None
        if self.cells.points is not None:
            hit, count = self._laid_out(self.cells.points, window)
            w = None if count is None else self._gathered(count, window, window.start)
            return Probabilities(self._gathered(hit, window, window.start), f, w)
        y = self._gathered(self.arrays["y"], window, self.start)
        w = None
        if "weight" in self.arrays:
            w = np.asarray(self._gathered(self.arrays["weight"], window, self.start), dtype=np.float64)
        if self.cells.sample_type == "probabilities":
            return Probabilities((y > 0).view(np.uint8), f, w)
        if codes is not None:
            return Classes(codes.truth(y), codes.entry(f), w, len(codes.classes))
        return Numbers(y, f, w)

    def _masked(self, codes: Codes, window: Window) -> Classes | None:
        """Cells of one byte that are their own codes, in place; None where they have to be gathered or are unusual."""
        y, f, classes = self.arrays["y"], self.arrays["f"], len(codes.classes)
        size = window.marks.shape[0] * (window.right - window.left)
        if {y.dtype, f.dtype} != {np.dtype(np.uint8)} or "weight" in self.arrays or not size or self._all(window):
            return None
        out = np.empty((2, size), dtype=np.uint8)
        rows_ = slice(window.start - self.start, window.start - self.start + len(window.marks))
        found = loops.mask_codes(y[rows_], f[rows_], window.marks, window.left, window.right, window.mark, classes, out)
        return None if found > 1 else Classes(out[0, : found * size], out[1, : found * size], None, classes, spare=True)

    def _all(self, window: Window) -> bool:
        """Whether a window is whole rows of cells that all count."""
        whole = window.right - window.left == window.marks.shape[1]
        return whole and loops.every(window.marks, window.left, window.right, window.mark)

    def _gathered(self, values: Array, window: Window, start: int) -> Array:
        """The values of a window end to end; ``values`` begin with row ``start``. A view where all cells count."""
        top, height = window.start - start, len(window.marks)
        if self._all(window):
            return values[top : top + height].reshape(-1)
        out = np.empty(height * (window.right - window.left), dtype=values.dtype)
        form = np.dtype(f"u{values.dtype.itemsize}")
        count = loops.gather(
            values.view(form), top, window.marks, window.left, window.right, window.mark, out.view(form)
        )
        return out[:count]

    def _laid_out(self, points: tuple[Array, Array], window: Window) -> tuple[Array, Array | None]:
        """1 in each cell of the window's rows that holds a true point, and how many it holds if that is ever more."""
        if window.start not in self.points:
            self.points.clear()
            first, size = window.start * window.marks.shape[1], window.marks.size
            low, high = np.searchsorted(points[0], [first, first + size])
            places, counts = np.asarray(points[0][low:high]) - first, np.asarray(points[1][low:high])
            shape = window.marks.shape
            hit, many = np.zeros(shape, dtype=np.uint8), np.ones(shape) if (counts > 1).any() else None
            hit.reshape(-1)[places] = 1
            if many is not None:
                many.reshape(-1)[places] = counts
            self.points[window.start] = (hit, many)
        return self.points[window.start]


def point_counts(points: Canonical, where: Frame) -> tuple[Ints, Ints]:
    """The cells (row · width + column, ascending) that hold true points, and how many; points off the grid are none."""
    x, y = (np.asarray(points.arrays[name], dtype=np.float64) for name in ("x", "y"))
    row, col, inside = where.cells(x, y)
    places, counts = np.unique(row[inside] * where.shape[1] + col[inside], return_counts=True)
    return places.astype(np.int64), counts.astype(np.int64)


def class_list(prediction: Canonical, truth: Canonical, spec: Spec) -> tuple[str, ...]:
    """The classes in order: the challenge's, else all values of either side by size.

    With such an open list a class that only the entry names is wrong, not unknown.
    """
    if spec.truth.classes:
        return spec.truth.classes
    known = listed(prediction, truth)
    if known is not None:
        return known
    found: set[float] = set()
    for start, stop in row_ranges(truth):
        valid = valid_cells(truth, slice(start, stop))
        for side in (truth, prediction):
            with rows(side.arrays["band"], start, stop) as band:
                found.update(np.unique(np.asarray(band)[valid]).tolist())
    return tuple(number_text(value) for value in sorted(found))


__all__ = ["PART_BYTES", "Frame", "check", "frame", "pair", "prepare", "valid_cells"]
