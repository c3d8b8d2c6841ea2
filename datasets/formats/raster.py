"""GeoTIFF to canonical band and valid cells: driver locked, no overviews, no side files, storage blocks bounded."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError

from datasets.canonical import CanonicalWriter
from datasets.expect import Expectation
from datasets.findings import Findings, reject
from datasets.formats import crs as systems
from datasets.formats.bands import ENVIRONMENT, OPENED, copy_band
from datasets.formats.cells import Cells

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
    with path.open("rb") as source:
        if source.read(4) not in MAGIC:
            raise reject("wrong-format", "The file is not a TIFF.", hint=_HINT)
    try:
        with (
            rasterio.Env(**ENVIRONMENT),
            rasterio.open(path, **OPENED) as dataset,
        ):
            found = Findings()
            _check_storage(dataset, expect, found)
            safe = not found
            _check_place(dataset, expect, found)
            if not safe or not _is_modest(dataset, expect):
                found.stop_if_any()
            _copy(path, dataset, expect, out, found)
    except RasterioError as error:
        raise reject("unreadable", "The TIFF is damaged or not as its header says.", hint=_HINT) from error


def _is_modest(dataset: Any, expect: Expectation) -> bool:
    """Whether all cells of a raster that is refused anyway may still be looked at."""
    expected = 0 if expect.shape is None else expect.shape[0] * expect.shape[1]
    return bool(dataset.height * dataset.width <= max(expected, LOOK))


def _check_storage(dataset: Any, expect: Expectation, found: Findings) -> None:
    """Number type, storage blocks and packing, before a cell is read."""
    if dataset.count > MAX_BANDS or dataset.height * dataset.width > MAX_CELLS:
        raise reject(
            "too-large",
            f"The raster has {dataset.count} bands of {dataset.height} × {dataset.width} cells.",
            hint="Send the challenge's grid.",
        )
    if expect.band > dataset.count:
        found.add(
            "missing-variable",
            f"The raster has {dataset.count} bands; band {expect.band} is asked for.",
            {"band": expect.band},
        )
        return
    band = expect.band - 1
    if dataset.dtypes[band] not in TYPES:
        found.add("wrong-type", f"Cells are of type {dataset.dtypes[band]}.", hint="Use float32 or an integer type.")
        return
    height, width = dataset.block_shapes[band]
    together = dataset.count if dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL" else 1
    if height * width * together * np.dtype(dataset.dtypes[band]).itemsize > MAX_BLOCK:
        found.add(
            "suspicious-structure",
            f"One storage block holds {height} × {width} cells, more than 16 MiB.",
            hint="Write it tiled: gdal_translate -co TILED=YES.",
        )
    compression = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "NONE").upper()
    if compression not in COMPRESSIONS:
        found.add("unsupported", f"The compression {compression[:20]} is not taken.", hint="Use DEFLATE, LZW or ZSTD.")
    if dataset.tags(ns="OVERVIEWS"):
        found.add(
            "suspicious-structure",
            "The TIFF refers to an overview in another file.",
            hint="Write it without overviews.",
        )
    _check_meaning_of_values(dataset, band, found)


def _check_meaning_of_values(dataset: Any, band: int, found: Findings) -> None:
    if dataset.scales[band] != 1.0 or dataset.offsets[band] != 0.0:
        found.add(
            "unsupported",
            "The band has a scale or an offset.",
            hint="Write the values themselves, with scale 1 and offset 0.",
        )
    if set(dataset.mask_flag_enums[band]) not in ({MaskFlags.all_valid}, {MaskFlags.nodata}):
        found.add("unsupported", "The band has a mask or an alpha band.", hint="Mark cells without value by nodata.")


def _check_place(dataset: Any, expect: Expectation, found: Findings) -> None:
    """Shape, CRS and position of the cells."""
    if expect.shape is not None and dataset.shape != expect.shape:
        height, width = expect.shape
        found.add(
            "wrong-shape",
            f"The raster has {dataset.height} rows × {dataset.width} columns; the challenge has {height} × {width}.",
            hint="Send the challenge's grid.",
        )
    affine = dataset.transform
    if not np.all(np.isfinite(affine)) or affine.a <= 0 or affine.e >= 0:
        what = "The first row of the raster is not its northern edge, or it has no position at all."
        found.add(
            "wrong-transform", what, hint="Write it north up: gdalwarp does; a raster without transform needs one."
        )
    elif expect.transform is not None and expect.shape is not None:
        shift = _largest_shift(np.array(affine[:6]), np.array(expect.transform), expect.shape)
        if not shift <= TOLERANCE:
            what = f"The cells lie up to {shift:.6g} of a cell away from the challenge's cells."
            found.add("wrong-transform", what, hint="Send the challenge's exact grid; copy its transform.")
    if expect.crs_fixed:
        _check_crs(dataset, expect, found)


def _check_crs(dataset: Any, expect: Expectation, found: Findings) -> None:
    crs = read_crs(dataset)
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


def _largest_shift(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], shape: tuple[int, int]) -> float:
    """The largest distance between corners of two grids, in cells of ``other``."""
    corners = np.array([(col, row, 1.0) for col in (0, shape[1]) for row in (0, shape[0])]).T
    difference = (one - other).reshape(2, 3) @ corners
    cell = np.linalg.inv(other.reshape(2, 3)[:, :2])
    return float(np.abs(cell @ difference).max())


def read_crs(dataset: Any) -> CRS | None:
    """The CRS of an opened raster."""
    return systems.from_wkt(dataset.crs.to_wkt()) if dataset.crs else None


def _copy(path: Path, dataset: Any, expect: Expectation, out: Path, found: Findings) -> None:
    """Write the canonical raster, that of a raster in place even when it is refused for its values."""
    placed = not found
    cells = Cells(expect, dataset.nodatavals[expect.band - 1], found)
    writer = CanonicalWriter(out, "raster")
    copy_band(path, dataset, cells, writer)
    if not cells.any_valid:
        found.add("empty-file", "No cell of the raster holds a value.", hint="Check nodata: it may be a real value.")
    if not placed or not cells.any_valid:
        found.stop_if_any()
    crs, nodata = read_crs(dataset), cells.nodata
    writer.finish(
        {
            "crs": crs.to_wkt() if crs else None,
            "transform": list(dataset.transform[:6]),
            "nodata": None if nodata is None or not np.isfinite(nodata) else float(nodata),
            "classes": _classes(cells, expect),
        }
    )
    found.stop_if_any()


def _classes(cells: Cells, expect: Expectation) -> list[str] | None:
    if expect.meaning != "categorical":
        return None
    known = list(expect.classes)
    if not expect.classes_open:
        return known
    return known + [text for text in map(str, sorted(cells.seen)) if text not in set(known)]
