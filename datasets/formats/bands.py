"""One band from TIFF to canonical form: windows decoded and checked on several threads, faults named in file order.

A window that is plainly right is written by the thread that decoded it. Where anything is wrong, the whole strip of
rows around it is read once more and looked at by ``Cells.take``, strip after strip; so the findings are the same
whatever the threads. Memory is that of a window a thread, however large the raster.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from datasets.canonical import Array, CanonicalWriter, Placed
from datasets.formats.cells import Cells, Quick, Verdict
from datasets.formats.columns import MAX_CLASSES
from datasets.formats.tiff import NotPlain, Tiles
from datasets.threads import each

STRIP = 16 << 20  # bytes of the rows whose findings are gathered together
WINDOW = 8 << 20  # bytes decoded at a time: whole rows are written at once up to this size
ENVIRONMENT = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_CACHEMAX": 64,
    "GDAL_NUM_THREADS": "1",
    "CPL_DEBUG": "OFF",
}
OPENED = {"driver": "GTiff", "sharing": False, "OVERVIEW_LEVEL": "NONE"}


@dataclass(frozen=True, slots=True)
class Area:
    """Rows and columns of whole storage blocks, cut at the raster's edge; ``strip`` (start, stop) rows around it."""

    strip: tuple[int, int]
    row: int
    col: int
    height: int
    width: int


def copy_band(path: Path, dataset: Any, cells: Cells, writer: CanonicalWriter) -> None:
    """Check the expected band of an opened raster and write ``band``, and ``valid`` where a cell holds no value."""
    band = cells.expect.band
    dtype = np.dtype(dataset.dtypes[band - 1])
    with ExitStack() as stack:
        to = stack.enter_context(writer.placed("band", dtype, dataset.shape))
        valid = _Valid(writer, dataset.shape, stack)
        file = stack.enter_context(path.open("rb", buffering=0)).fileno()
        copier = _Copier(path, dataset, band, Tiles.of(file, dataset), Quick.of(cells, dtype), to, valid)
        stack.callback(copier.close)
        found = each(copier.copy, _areas(dataset, band))
        for strip, results in groupby(found, key=lambda result: result[0].strip):
            _settle(strip, list(results), copier, cells)
        valid.finish()


def _areas(dataset: Any, band: int) -> Iterator[Area]:
    """The raster in areas of about ``WINDOW`` bytes, strip by strip."""
    high, wide = dataset.block_shapes[band - 1]
    size = np.dtype(dataset.dtypes[band - 1]).itemsize
    strip = high * max(1, STRIP // max(1, dataset.width * size * high))
    rows = high * max(1, WINDOW // max(1, dataset.width * size * high))
    cols = min(dataset.width, wide * max(1, WINDOW // max(1, rows * wide * size)))
    for start in range(0, dataset.height, strip):
        stop = min(start + strip, dataset.height)
        for row in range(start, stop, rows):
            for col in range(0, dataset.width, cols):
                yield Area((start, stop), row, col, min(rows, stop - row), min(cols, dataset.width - col))


def _settle(
    strip: tuple[int, int], results: list[tuple[Area, Verdict | None]], copier: "_Copier", cells: Cells
) -> None:
    """Take over what was right in a strip, or have the slow look name what was not."""
    verdicts = [verdict for _, verdict in results if verdict is not None]
    seen = cells.seen.union(*(verdict.classes for verdict in verdicts))
    if len(verdicts) == len(results) and len(seen) <= MAX_CLASSES:
        cells.any_valid |= any(verdict.valid for verdict in verdicts)
        cells.seen = seen
        return
    start, stop = strip
    values, good = cells.take(
        copier.dataset.read(copier.band, window=_window(0, start, copier.width, stop - start)), start
    )
    for area, verdict in results:
        if verdict is None:
            rows, cols = slice(area.row - start, area.row - start + area.height), slice(area.col, area.col + area.width)
            copier.to.put_tile(area.row, area.col, values[rows, cols])
            copier.valid.put(area, good[rows, cols], int(np.count_nonzero(good[rows, cols])))


def _window(col: int, row: int, width: int, height: int) -> Any:
    return Window(col, row, width, height)


class _Valid:
    """The array ``valid``, begun at the first invalid cell; areas without any are remembered until then."""

    def __init__(self, writer: CanonicalWriter, shape: tuple[int, int], stack: ExitStack) -> None:
        self._writer, self._shape, self._stack = writer, shape, stack
        self._full: list[Area] = []
        self._placed: Placed | None = None
        self._lock = threading.Lock()

    def put(self, area: Area, mask: Array, count: int) -> None:
        """Take the mask of an area, ``count`` of whose cells are valid."""
        if count == mask.size:
            self._full.append(area)
            return
        with self._lock:
            if self._placed is None:
                self._placed = self._stack.enter_context(self._writer.placed("valid", np.bool_, self._shape))
        self._placed.put_tile(area.row, area.col, mask)

    def finish(self) -> None:
        """Write what was remembered, if the array was begun at all."""
        if self._placed is not None:
            for area in self._full:
                self._placed.put_tile(area.row, area.col, np.ones((area.height, area.width), dtype=np.bool_))


class _Copier:
    """Decodes, checks and writes areas; each thread has its own handle of the file and its own buffers."""

    def __init__(
        self, path: Path, dataset: Any, band: int, tiles: Tiles | None, quick: Quick | None, to: Placed, valid: _Valid
    ) -> None:
        self.dataset, self.band, self.width, self.to, self.valid = dataset, band, dataset.width, to, valid
        self._path, self._tiles, self._quick = path, tiles, quick
        self._dtype = np.dtype(dataset.dtypes[band - 1])
        self._block = dataset.block_shapes[band - 1]
        self._own = threading.local()
        self._own.dataset = dataset
        self._opened: list[Any] = []

    def copy(self, area: Area) -> tuple[Area, Verdict | None]:
        """Write the area when it is plainly right; no verdict when the slow look has to be taken."""
        if self._quick is None:
            return area, None
        values, valid = self._buffers(area)
        self._decode(area, values)
        verdict = self._quick.look(values, valid)
        if verdict is not None:
            self.to.put_tile(area.row, area.col, values)
            self.valid.put(area, valid, verdict.valid)
        return area, verdict

    def close(self) -> None:
        """Close the handles of the threads."""
        for dataset in self._opened:
            dataset.close()

    def _buffers(self, area: Area) -> tuple[Array, Array]:
        size = area.height * area.width
        own = self._own.__dict__
        if len(own.get("values", ())) < size:
            own["values"], own["valid"] = np.empty(size, self._dtype), np.empty(size, np.bool_)
        shape = (area.height, area.width)
        return own["values"][:size].reshape(shape), own["valid"][:size].reshape(shape)

    def _decode(self, area: Area, values: Array) -> None:
        if self._tiles is not None:
            try:
                self._decode_tiles(self._tiles, area, values)
            except NotPlain:
                pass
            else:
                return
        with rasterio.Env(**ENVIRONMENT):
            self._handle().read(self.band, window=_window(area.col, area.row, area.width, area.height), out=values)

    def _decode_tiles(self, tiles: Tiles, area: Area, values: Array) -> None:
        high, wide = tiles.tile
        for row in range(0, area.height, high):
            for col in range(0, area.width, wide):
                tiles.decode((area.row + row) // high, (area.col + col) // wide, values[row : row + high], col)

    def _handle(self) -> Any:
        own = self._own.__dict__
        if "dataset" not in own:
            own["dataset"] = rasterio.open(self._path, **OPENED)
            self._opened.append(own["dataset"])
        return own["dataset"]
