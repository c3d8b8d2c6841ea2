"""Writing the files of a challenge directory and of entries: the same bytes every time for the same content."""

import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd
import rasterio
import xarray as xr
from rasterio.transform import Affine

Properties = Mapping[str, str | int | float]
Feature = tuple[dict[str, Any], Properties]


@dataclass(frozen=True, slots=True)
class Season:
    """When a demo challenge opens and closes; both aware UTC at midnight of the first of a month."""

    opens: datetime
    closes: datetime


def season(now: datetime, *, months: int) -> Season:
    """Open since the first of the month before last, closing on the first of a month ``months`` ahead."""
    opens = _first_of_month(now, -2)
    return Season(opens=opens, closes=_first_of_month(now, max(months, 1)))


def _first_of_month(now: datetime, shift: int) -> datetime:
    months = now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1 + shift
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """A moment as challenge.toml writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def write_csv(path: Path, table: pd.DataFrame) -> Path:
    return write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_geojson(path: Path, features: Iterable[Feature], *, epsg: int) -> Path:
    """A FeatureCollection in a projected CRS, named by the ``crs`` member of the 2008 format."""
    listed = [
        {"type": "Feature", "properties": dict(properties), "geometry": dict(shape)} for shape, properties in features
    ]
    body = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}},
        "features": listed,
    }
    return write_text(path, json.dumps(body, allow_nan=False, separators=(",", ":")) + "\n")


def point(x: float, y: float) -> dict[str, Any]:
    """A GeoJSON point, rounded to the centimetre."""
    return {"type": "Point", "coordinates": [round(float(x), 2), round(float(y), 2)]}


def write_tiff(
    path: Path, band: npt.NDArray[Any], *, transform: Affine, epsg: int | None, nodata: float | None = None
) -> Path:
    """A single-band GeoTIFF (height, width), deflate, tiles of 128 cells; ``epsg`` None writes no CRS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = band.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype=band.dtype, nodata=nodata,
        crs=None if epsg is None else f"EPSG:{epsg}", transform=transform,
        compress="deflate", tiled=True, blockxsize=128, blockysize=128,
    ) as target:  # fmt: skip
        target.write(band, 1)
    return path


def write_netcdf(path: Path, data: xr.DataArray) -> Path:
    """A NetCDF-4 file holding one variable, compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = str(data.name)
    data.to_dataset().to_netcdf(
        path, engine="h5netcdf", encoding={name: {"zlib": True, "complevel": 4, "_FillValue": None}}
    )
    return path


def write_zarr_zip(path: Path, data: xr.DataArray) -> Path:
    """A zipped Zarr group holding one variable and its coordinates, entries in order of name and without a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        data.to_dataset().to_zarr(scratch, consolidated=False)
        for file in sorted(item for item in Path(scratch).rglob("*") if item.is_file()):
            archive.writestr(zipfile.ZipInfo(str(file.relative_to(scratch))), file.read_bytes())
    return path
