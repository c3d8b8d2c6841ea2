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
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from datasets.canonical import Array, CanonicalWriter, Placed
from datasets.formats.cells import Cells, Quick, Verdict
from datasets.formats.columns import MAX_CLASSES
from datasets.formats.geotiff import Header
from datasets.formats.tiff import NotPlain, Scratch, Tiles, is_unpacked_whole
from datasets.threads import each

STRIP = 16 << 20  # bytes of the rows whose findings are gathered together
WINDOW = 16 << 20  # bytes decoded at a time at most; whole rows up to this size
PIECE = 2 << 20  # bytes of whole rows that are enough for one write
ENVIRONMENT = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_CACHEMAX": 64,
    "GDAL_NUM_THREADS": "1",
    "CPL_DEBUG": "OFF",
}
OPENED = {"driver": "GTiff", "sharing": False, "OVERVIEW_LEVEL": "NONE"}


@dataclass(frozen=True)
class Source:
    """Where cells are to be had: tiles of a plain file, and GDAL's dataset when it is open already."""

    path: Path
    tiles: Tiles | None
    dataset: Any


@dataclass(frozen=True, slots=True)
class Area:
    """Rows and columns of whole storage blocks, cut at the raster's edge; ``strip`` (start, stop) rows around it."""

    strip: tuple[int, int]
    row: int
    col: int
    height: int
    width: int


def copy_band(header: Header, source: Source, cells: Cells, writer: CanonicalWriter) -> None:
    """Check the expected band of a raster and write ``band``, and ``valid`` where a cell holds no value."""
    dtype = np.dtype(header.dtype)
    with ExitStack() as stack:
        to = stack.enter_context(writer.placed("band", dtype, header.shape))
        valid = _Valid(writer, header.shape, stack)
        copier = _Copier(header, source, cells, to, valid)
        stack.callback(copier.close)
        found = each(copier.copy, _areas(header))
        for strip, results in groupby(found, key=lambda result: result[0].strip):
            _settle(strip, list(results), copier, cells)
        valid.finish()


def _areas(header: Header) -> Iterator[Area]:
    """The raster in areas of ``PIECE`` to ``WINDOW`` bytes, of whole rows if possible, strip by strip."""
    (height, width), (high, wide) = header.shape, header.block
    line = max(1, width * np.dtype(header.dtype).itemsize * high)
    strip, rows = high * max(1, STRIP // line), high * max(1, PIECE // line)
    cols = width if line <= WINDOW else wide * max(1, WINDOW * width // (line * wide))
    for start in range(0, height, strip):
        stop = min(start + strip, height)
        for row in range(start, stop, rows):
            for col in range(0, width, cols):
                yield Area((start, stop), row, col, min(rows, stop - row), min(cols, width - col))


def _settle(
    strip: tuple[int, int], results: list[tuple[Area, Verdict | None]], copier: "_Copier", cells: Cells
) -> None:
    """Take over what was right in a strip, or have the slow look name what was not."""
    verdicts = [verdict for _, verdict in results if verdict is not None]
    seen = cells.seen.union(*(verdict.classes for verdict in verdicts))
    if len(verdicts) == len(results) and len(seen) <= MAX_CLASSES:
        cells.any_valid |= any(verdict.some for verdict in verdicts)
        cells.seen = seen
        return
    start, stop = strip
    values, good = cells.take(copier.read(Area(strip, start, 0, stop - start, copier.width)), start)
    for area, verdict in results:
        if verdict is None:
            rows, cols = slice(area.row - start, area.row - start + area.height), slice(area.col, area.col + area.width)
            copier.to.put_tile(area.row, area.col, values[rows, cols])
            copier.valid.put(area, good[rows, cols], bool(good[rows, cols].all()))


class _Valid:
    """The array ``valid``, begun at the first invalid cell; areas without any are remembered until then."""

    def __init__(self, writer: CanonicalWriter, shape: tuple[int, int], stack: ExitStack) -> None:
        self._writer, self._shape, self._stack = writer, shape, stack
        self._full: list[Area] = []
        self._placed: Placed | None = None
        self._lock = threading.Lock()

    def put(self, area: Area, mask: Array, every: bool) -> None:
        """Take the mask of an area; where ``every`` cell is valid, whatever it says."""
        if every:
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

    def __init__(self, header: Header, source: Source, cells: Cells, to: Placed, valid: _Valid) -> None:
        self.width, self.to, self.valid = header.shape[1], to, valid
        self._path, self._tiles, self._band = source.path, source.tiles, cells.expect.band
        self._dtype = np.dtype(header.dtype)
        self._quick = Quick.of(cells, self._dtype)
        self._own = threading.local()
        if source.dataset is not None:
            self._own.dataset = source.dataset
        self._opened: list[Any] = []

    def copy(self, area: Area) -> tuple[Area, Verdict | None]:
        """Write the area when it is plainly right; no verdict when the slow look has to be taken."""
        if self._quick is None:
            return area, None
        values, valid = self._buffers(area)
        verdict = self._looked_at(self._quick, area, values, valid)
        if verdict is not None:
            self.to.put_tile(area.row, area.col, values)
            self.valid.put(area, valid, verdict.every)
        return area, verdict

    def read(self, area: Area, out: Array | None = None) -> Array:
        """The cells of an area by way of GDAL.

        Raises:
            RasterioIOError: a block is damaged, or its length is not what the header says.
        """
        window = Window(area.col, area.row, area.width, area.height)
        with rasterio.Env(**ENVIRONMENT):
            dataset = self._handle()
            if dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "").upper() == "DEFLATE":
                self._demand_whole(dataset, area)
            cells: Array = dataset.read(self._band, window=window, out=out)
            return cells

    def _demand_whole(self, dataset: Any, area: Area) -> None:
        """Look at every block of an area before GDAL does."""
        high, wide = dataset.block_shapes[self._band - 1]
        with self._path.open("rb", buffering=0) as file:
            for row in range(area.row // high, -(-(area.row + area.height) // high)):
                for col in range(area.col // wide, -(-(area.col + area.width) // wide)):
                    if not is_unpacked_whole(file.fileno(), dataset, self._band, (row, col)):
                        raise RasterioIOError("a block does not unpack to the length the header says")

    def close(self) -> None:
        """Close the handles of the threads."""
        for dataset in self._opened:
            dataset.close()

    def _buffers(self, area: Area) -> tuple[Array, Array]:
        size = area.height * area.width
        own = self._own.__dict__
        if len(own.get("values", ())) < size:
            own["values"], own["valid"] = np.empty(size, self._dtype), np.empty(size, np.bool_)
            own["scratch"] = Scratch()
        shape = (area.height, area.width)
        return own["values"][:size].reshape(shape), own["valid"][:size].reshape(shape)

    def _looked_at(self, quick: Quick, area: Area, values: Array, valid: Array) -> Verdict | None:
        """Decode and check an area, tile after tile while it is near the processor."""
        if self._tiles is not None:
            try:
                return self._tile_by_tile(self._tiles, quick, area, values, valid)
            except NotPlain:
                pass
        self.read(area, values)
        return quick.look(values, valid, 0, area.width)

    def _tile_by_tile(self, tiles: Tiles, quick: Quick, area: Area, values: Array, valid: Array) -> Verdict | None:
        """Each tile is unpacked and looked at where it lies together, and then put in its place among the others."""
        high, wide = tiles.tile
        found: list[Verdict] = []
        full: list[Array] = []
        for row in range(0, area.height, high):
            for col in range(0, area.width, wide):
                window = slice(row, min(row + high, area.height)), slice(col, min(col + wide, area.width))
                here, marks_here = values[window], valid[window]
                cells, marks = self._together(tiles, here, marks_here)
                tiles.decode((area.row + row) // high, (area.col + col) // wide, cells, 0, self._own.scratch)
                verdict = quick.look(cells, marks, 0, here.shape[1])
                if verdict is None:
                    return None
                if cells is not here:
                    here[...] = cells[:, : here.shape[1]]
                    if not verdict.every:
                        marks_here[...] = marks[:, : here.shape[1]]
                full += [marks_here] if verdict.every else []
                found.append(verdict)
        return self._marked(Verdict.of(found), full)

    def _together(self, tiles: Tiles, values: Array, valid: Array) -> tuple[Array, Array]:
        """Room for a tile and its marks: their own place if their rows follow each other there."""
        if values.flags.c_contiguous:
            return values, valid
        own, (high, wide) = self._own.__dict__, tiles.tile
        if "tile" not in own:
            own["tile"], own["marks"] = np.empty((high, wide), self._dtype), np.empty((high, wide), np.bool_)
        return own["tile"][: len(values)], own["marks"][: len(values)]

    def _marked(self, verdict: Verdict, full: list[Array]) -> Verdict:
        """The verdict on an area; if its marks are asked for, those of full tiles are there."""
        for marks in [] if verdict.every else full:
            marks[...] = True
        return verdict

    def _handle(self) -> Any:
        own = self._own.__dict__
        if "dataset" not in own:
            own["dataset"] = rasterio.open(self._path, **OPENED)
            self._opened.append(own["dataset"])
        return own["dataset"]
