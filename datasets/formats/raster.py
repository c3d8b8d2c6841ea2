"""GeoTIFF to canonical band and valid cells: driver locked, no overviews, no side files, storage blocks bounded."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError

from datasets.canonical import CanonicalWriter
from datasets.expect import Expectation
from datasets.findings import Findings, reject
from datasets.formats import crs as systems
from datasets.formats.bands import ENVIRONMENT, OPENED, Source, copy_band
from datasets.formats.cells import Cells
from datasets.formats.geotiff import Header, plain
from datasets.formats.tiff import Tiles

MAX_BLOCK = 16 << 20
MAX_BANDS = 256
MAX_CELLS = 1 << 33
LOOK = 1 << 24  # cells of a raster of the wrong shape that are still looked at
TOLERANCE = 1e-6  # of a cell, at every corner
MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
TYPES = frozenset(("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"))
COMPRESSIONS = frozenset(("NONE", "DEFLATE", "LZW", "PACKBITS", "ZSTD", "LZMA", "LERC", "LERC_DEFLATE", "LERC_ZSTD"))
_HINT = "Write it with rasterio or gdal_translate -of GTiff -co TILED=YES -co COMPRESS=DEFLATE."


def read_raster(path: Path, _form: str, expect: Expectation, out: Path) -> None:
    """Read one band of ``path`` and write the canonical raster.

    Raises:
        Rejected: with every finding.
    """
    if expect.resample:
        raise reject(
            "resample-unsupported",
            "The challenge asks for resampling, which is not done here.",
            hint="Send the raster on the challenge's exact grid.",
        )
    with path.open("rb") as file:
        if file.read(4) not in MAGIC:
            raise reject("wrong-format", "The file is not a TIFF.", hint=_HINT)
    try:
        with ExitStack() as stack:
            header, source = _opened(path, expect, stack)
            found = Findings()
            _check_storage(header, expect, found)
            safe = not found
            _check_place(header, expect, found)
            if not safe or not _is_modest(header, expect):
                found.stop_if_any()
            _copy(header, source, expect, out, found)
    except RasterioError as error:
        raise reject("unreadable", "The TIFF is damaged or not as its header says.", hint=_HINT) from error


def _opened(path: Path, expect: Expectation, stack: ExitStack) -> tuple[Header, Source]:
    """What the file says and where its cells are to be had, with GDAL only if need be."""
    stack.enter_context(rasterio.Env(**ENVIRONMENT))
    file = stack.enter_context(path.open("rb", buffering=0)).fileno()
    known = plain(file, expect)
    if known is not None:
        header, tiles = known
        return header, Source(path, tiles, None)
    dataset = stack.enter_context(rasterio.open(path, **OPENED))
    return Header.of(dataset, expect.band), Source(path, Tiles.of(file, dataset, expect.band), dataset)


def _is_modest(header: Header, expect: Expectation) -> bool:
    """Whether all cells of a raster that is refused anyway may still be looked at."""
    expected = 0 if expect.shape is None else expect.shape[0] * expect.shape[1]
    return header.shape[0] * header.shape[1] <= max(expected, LOOK)


def _check_storage(header: Header, expect: Expectation, found: Findings) -> None:
    """Number type, storage blocks and packing, before a cell is read."""
    rows, columns = header.shape
    if header.count > MAX_BANDS or rows * columns > MAX_CELLS:
        raise reject(
            "too-large",
            f"The raster has {header.count} bands of {rows} × {columns} cells.",
            hint="Send the challenge's grid.",
        )
    if not header.band:
        found.add(
            "missing-variable",
            f"The raster has {header.count} bands; band {expect.band} is asked for.",
            {"band": expect.band},
        )
        return
    if header.dtype not in TYPES:
        found.add("wrong-type", f"Cells are of type {header.dtype}.", hint="Use float32 or an integer type.")
        return
    height, width = header.block
    if height * width * header.together * np.dtype(header.dtype).itemsize > MAX_BLOCK:
        found.add(
            "suspicious-structure",
            f"One storage block holds {height} × {width} cells, more than 16 MiB.",
            hint="Write it tiled: gdal_translate -co TILED=YES.",
        )
    if header.compression not in COMPRESSIONS:
        what = f"The compression {header.compression[:20]} is not taken."
        found.add("unsupported", what, hint="Use DEFLATE, LZW or ZSTD.")
    if header.overviews:
        found.add(
            "suspicious-structure",
            "The TIFF refers to an overview in another file.",
            hint="Write it without overviews.",
        )
    _check_meaning_of_values(header, found)


def _check_meaning_of_values(header: Header, found: Findings) -> None:
    if header.scaled:
        found.add(
            "unsupported",
            "The band has a scale or an offset.",
            hint="Write the values themselves, with scale 1 and offset 0.",
        )
    if header.masked:
        found.add("unsupported", "The band has a mask or an alpha band.", hint="Mark cells without value by nodata.")


def _check_place(header: Header, expect: Expectation, found: Findings) -> None:
    """Shape, CRS and position of the cells."""
    if expect.shape is not None and header.shape != expect.shape:
        (rows, columns), (height, width) = header.shape, expect.shape
        found.add(
            "wrong-shape",
            f"The raster has {rows} rows × {columns} columns; the challenge has {height} × {width}.",
            hint="Send the challenge's grid.",
        )
    affine = header.transform
    if not np.all(np.isfinite(affine)) or affine[0] <= 0 or affine[4] >= 0:
        what = "The first row of the raster is not its northern edge, or it has no position at all."
        found.add(
            "wrong-transform", what, hint="Write it north up: gdalwarp does; a raster without transform needs one."
        )
    elif expect.transform is not None and expect.shape is not None:
        shift = _largest_shift(np.array(affine), np.array(expect.transform), expect.shape)
        if not shift <= TOLERANCE:
            what = f"The cells lie up to {shift:.6g} of a cell away from the challenge's cells."
            found.add("wrong-transform", what, hint="Send the challenge's exact grid; copy its transform.")
    if expect.crs_fixed:
        _check_crs(header, expect, found)


def _check_crs(header: Header, expect: Expectation, found: Findings) -> None:
    if _is_named(header, expect):
        return
    crs = header.crs()
    target = None if expect.crs is None else systems.from_wkt(expect.crs)
    if crs is None and target is not None:
        found.add(
            "no-crs", "The raster names no CRS.", hint=f"Write {systems.label(target)} into it: gdal_edit.py -a_srs."
        )
    elif crs is not None and (target is None or not systems.same(crs, target)):
        found.add(
            "wrong-crs",
            f"The raster is in {systems.label(crs)}; the challenge is in {systems.label(target)}.",
            hint="Nothing is resampled: send the challenge's exact grid.",
        )


def _is_named(header: Header, expect: Expectation) -> bool:
    """Whether the CRS is the challenge's by its code."""
    return header.epsg is not None and expect.crs is not None and systems.named(expect.crs) == header.epsg


def _largest_shift(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], shape: tuple[int, int]) -> float:
    """The largest distance between corners of two grids, in cells of ``other``."""
    corners = np.array([(col, row, 1.0) for col in (0, shape[1]) for row in (0, shape[0])]).T
    difference = (one - other).reshape(2, 3) @ corners
    cell = np.linalg.inv(other.reshape(2, 3)[:, :2])
    return float(np.abs(cell @ difference).max())


def _copy(header: Header, source: Source, expect: Expectation, out: Path, found: Findings) -> None:
    """Write the canonical raster, that of a raster in place even when it is refused for its values."""
    placed = not found
    cells = Cells(expect, header.nodata, found)
    writer = CanonicalWriter(out, "raster")
    copy_band(header, source, cells, writer)
    if not cells.any_valid:
        found.add("empty-file", "No cell of the raster holds a value.", hint="Check nodata: it may be a real value.")
    if not placed or not cells.any_valid:
        found.stop_if_any()
    nodata = cells.nodata
    writer.finish(
        {
            "crs": _crs_text(header, expect),
            "transform": list(header.transform),
            "nodata": None if nodata is None or not np.isfinite(nodata) else float(nodata),
            "classes": _classes(cells, expect),
        }
    )
    found.stop_if_any()


def _crs_text(header: Header, expect: Expectation) -> str | None:
    if _is_named(header, expect):
        return expect.crs
    crs = header.crs()
    return crs.to_wkt() if crs else None


def _classes(cells: Cells, expect: Expectation) -> list[str] | None:
    if expect.meaning != "categorical":
        return None
    known = list(expect.classes)
    if not expect.classes_open:
        return known
    return known + [text for text in map(str, sorted(cells.seen)) if text not in set(known)]
