"""Entries made out of the truth, to prove a challenge before anybody sees it.

``perfect`` repeats the truth, ``empty`` holds nothing, ``nan`` lacks one number, ``shifted`` is right but one place
off: ids, coordinates, cells or labels moved. Files are written in the challenge's first format. For the engine alone.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import shapely
import xarray as xr
from rasterio.transform import Affine

from datasets.archive import write_archive
from datasets.canonical import Array, Canonical, unpack_text
from datasets.spec import SUFFIXES, Spec
from scoring.kinds.columns import column, has_column, text_of
from scoring.kinds.pairing import TruthSet
from scoring.kinds.polygons import geometries

VARIANTS = ("perfect", "empty", "nan", "shifted")
MEMBERS = 4
NODATA = -9999.0
Variants = Mapping[str, Any]


def write_entries(spec: Spec, truth: TruthSet, folder: Path) -> dict[str, Path]:
    """Write one file for each of VARIANTS into ``folder`` and return them by name."""
    form = spec.submission.formats[0]
    made = MAKERS[spec.challenge.kind](spec, truth)
    files = {name: folder / f"{name}{SUFFIXES[form][0]}" for name in VARIANTS}
    for name, path in files.items():
        WRITERS[form](path, made[name])
    return files


# table ------------------------------------------------------------------------------------------------------------


def _table(spec: Spec, truth: TruthSet) -> Variants:
    ids = {name: _values(truth.truth, f"id.{place}") for place, name in enumerate(spec.truth.id or ())}
    answers = _answers(spec, truth.truth)
    perfect = pd.DataFrame({**ids, **answers})
    broken = perfect.copy()
    hurt = next(iter(answers))
    broken[hurt] = broken[hurt].astype(object if broken[hurt].dtype.kind not in "fiu" else float)
    broken.loc[0, hurt] = None if broken[hurt].dtype == object else np.nan
    return {"perfect": perfect, "empty": perfect.iloc[:0], "nan": broken, "shifted": _moved_ids(perfect, list(ids))}


def _answers(spec: Spec, truth: Canonical) -> dict[str, Any]:
    target = f"value.{spec.truth.target}"
    if spec.submission.probabilities is None:
        name = spec.submission.prediction or ""
        return {
            name: np.array(_labels(truth, target), dtype=object) if _is_class(truth, target) else _values(truth, target)
        }
    labels = np.array(_labels(truth, target), dtype=object)
    return {name: (labels == label).astype(float) for label, name in spec.submission.probabilities.items()}


def _is_class(truth: Canonical, name: str) -> bool:
    return bool(truth.attrs.get("classes")) or name not in truth.arrays


def _labels(truth: Canonical, name: str) -> list[str]:
    """A class column as labels, whether it holds codes into the canonical form's classes or the labels themselves."""
    classes = truth.attrs.get("classes")
    if classes and name in truth.arrays and truth.arrays[name].dtype.kind == "i":
        return [str(classes[code]) for code in truth.arrays[name].tolist()]
    return [str(label) for label in text_of(column(truth, name)).to_pylist()]


def _values(canonical: Canonical, name: str) -> Any:
    if name in canonical.arrays:
        return np.asarray(canonical.arrays[name])
    return np.array(unpack_text(canonical.arrays, name), dtype=object)


def _moved_ids(frame: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """The same rows under ids that belong to nothing, or to a neighbour: the last id column moved on by one."""
    name = ids[-1]
    moved = frame.copy()
    moved[name] = moved[name] + 1 if moved[name].dtype.kind in "iuf" else moved[name] + "~"
    return moved


# points and polygons ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Features:
    """Geometries with columns, in a CRS given as WKT."""

    geometry: npt.NDArray[np.object_]
    columns: Mapping[str, Array]
    crs: str | None

    def head(self, count: int) -> "Features":
        return Features(
            self.geometry[:count], {name: values[:count] for name, values in self.columns.items()}, self.crs
        )

    def frame(self, crs: str | None = None) -> gpd.GeoDataFrame:
        made = gpd.GeoDataFrame(dict(self.columns), geometry=gpd.GeoSeries(list(self.geometry), crs=self.crs))
        return made.to_crs(crs) if crs and self.crs else made


def _points(spec: Spec, truth: TruthSet) -> Variants:
    arrays = truth.truth.arrays
    order = (
        np.argsort(-np.asarray(arrays["value"]), kind="stable") if "value" in arrays else np.arange(len(arrays["x"]))
    )
    x, y = np.asarray(arrays["x"])[order], np.asarray(arrays["y"])[order]
    perfect = _limited(
        spec, Features(np.asarray(shapely.points(x, y)), _ranking(spec, len(x)), truth.truth.attrs.get("crs"))
    )
    step = 3 * float(spec.truth.radius or 1.0)
    return {
        "perfect": perfect,
        "empty": perfect.head(0),
        "nan": replace(perfect, geometry=_with_nan(perfect.geometry)),
        "shifted": replace(perfect, geometry=shapely.transform(perfect.geometry, lambda xy: xy + step)),
    }


def _polygons(spec: Spec, truth: TruthSet) -> Variants:
    shapes = geometries(truth.truth)
    columns = _ranking(spec, len(shapes))
    if spec.submission.label and has_column(truth.truth, "label"):
        columns[spec.submission.label] = np.array(_labels(truth.truth, "label"), dtype=object)
    perfect = _limited(spec, Features(shapes, columns, truth.truth.attrs.get("crs")))
    boxes = shapely.bounds(shapes)
    step = float(np.median(boxes[:, 2:] - boxes[:, :2]))
    return {
        "perfect": perfect,
        "empty": perfect.head(0),
        "nan": replace(perfect, geometry=_with_nan(perfect.geometry)),
        "shifted": replace(perfect, geometry=shapely.transform(perfect.geometry, lambda xy: xy + step)),
    }


def _ranking(spec: Spec, count: int) -> dict[str, Array]:
    """The column that orders features, best first; confidences fall from 1 and stay above 0."""
    if spec.submission.rank:
        return {spec.submission.rank: np.arange(1, count + 1)}
    if spec.submission.confidence:
        return {spec.submission.confidence: np.linspace(1.0, 0.5, count)}
    return {}


def _limited(spec: Spec, features: Features) -> Features:
    return features.head(spec.submission.max_features or len(features.geometry))


def _with_nan(geometry: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    broken = geometry.copy()
    hurt = min(1, shapely.get_num_coordinates(geometry[0]) - 1)  # not the vertex that closes a ring
    broken[0] = shapely.transform(geometry[0], lambda xy: np.where(np.arange(len(xy))[:, None] == hurt, np.nan, xy))
    return broken


# raster -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Map:
    """One band (height, width) with its place; ``nodata`` where the file declares one."""

    band: Array
    transform: Affine
    crs: str | None
    nodata: float | None = None


def _raster(spec: Spec, truth: TruthSet) -> Variants:
    frame = truth.grid if truth.grid is not None else truth.truth
    transform, crs = Affine(*frame.attrs["transform"]), frame.attrs.get("crs")
    best = _hits(truth.truth, frame, transform) if truth.grid is not None else _filled(spec, truth.truth)
    valid = np.asarray(frame.arrays["valid"]) if "valid" in frame.arrays else np.ones(best.shape, dtype=bool)
    broken = best.astype(np.float32 if best.dtype.itemsize <= 4 else np.float64)
    broken[np.unravel_index(int(np.argmax(valid)), valid.shape)] = np.nan
    return {
        "perfect": Map(best, transform, crs),
        "empty": Map(np.full(best.shape, NODATA, dtype=np.float32), transform, crs, NODATA),
        "nan": Map(broken, transform, crs),
        "shifted": Map(best, transform @ Affine.translation(1, 0), crs),
    }


def _hits(points: Canonical, frame: Canonical, transform: Affine) -> Array:
    """1 in every cell that holds a true point, else 0."""
    height, width = frame.arrays["band"].shape
    column_, row = ~transform @ (np.asarray(points.arrays["x"]), np.asarray(points.arrays["y"]))
    place = np.floor(row).astype(int), np.floor(column_).astype(int)
    inside = (place[0] >= 0) & (place[0] < height) & (place[1] >= 0) & (place[1] < width)
    best = np.zeros((height, width), dtype=np.float32)
    best[place[0][inside], place[1][inside]] = 1.0
    return best


def _filled(spec: Spec, truth: Canonical) -> Array:
    """The truth with a legal value in its nodata cells, which are outside the challenge."""
    band = np.array(truth.arrays["band"])
    if spec.submission.meaning == "probability":
        band = (band > 0).astype(np.float32)
    known = np.asarray(truth.arrays["valid"]) if "valid" in truth.arrays else np.ones(band.shape, dtype=bool)
    band[~known] = band[known][0] if known.any() else 0
    return _storable(band)


def _storable(band: Array) -> Array:
    """A dtype that every GeoTIFF reader knows; values unchanged."""
    if band.dtype == np.bool_:
        return band.astype(np.uint8)
    if band.dtype.kind in "iu" and band.dtype.itemsize == 8:
        return band.astype(np.int32)
    return band.astype(np.float32) if band.dtype == np.float16 else band


# grid -------------------------------------------------------------------------------------------------------------


def _grid(spec: Spec, truth: TruthSet) -> Variants:
    canonical = truth.truth
    name = spec.submission.variable or spec.truth.variable or "data"
    dims = list(canonical.attrs["dims"])
    data = np.array(canonical.arrays["data"])
    asked = np.isfinite(data)
    data[~asked] = data[asked].mean() if asked.any() else 0  # outside the challenge, yet an entry is complete
    array = xr.DataArray(data, dims=dims, coords=_labels_of(canonical, dims), name=name)
    member = spec.submission.member or spec.truth.member
    if member and member not in dims:
        array = array.expand_dims({member: np.arange(MEMBERS)}, axis=len(dims)).copy()
    broken = array.copy(deep=True)
    broken.data[np.unravel_index(int(np.argmax(asked)), asked.shape)] = np.nan
    first = dims[0]
    labels = array[first].to_numpy()
    return {
        "perfect": array,
        "empty": array.isel({first: slice(0, 0)}),
        "nan": broken,
        "shifted": array.assign_coords({first: _next(labels)}),
    }


def _labels_of(canonical: Canonical, dims: Sequence[str]) -> dict[str, Any]:
    kinds = canonical.attrs.get("axis_types", {})
    values = {dim: _values(canonical, f"coord.{dim}") for dim in dims if has_column(canonical, f"coord.{dim}")}
    return {dim: found.astype("datetime64[ns]") if kinds.get(dim) == "time" else found for dim, found in values.items()}


def _next(labels: Array) -> Array:
    """Every label moved on by one step; texts by a mark."""
    if labels.dtype.kind in "OUT":
        return np.array([f"{label}~" for label in labels], dtype=object)
    step = labels[1] - labels[0] if len(labels) > 1 else np.ones(1, dtype=labels.dtype)[0]
    moved: Array = labels + (np.timedelta64(1, "D") if labels.dtype.kind == "M" and len(labels) < 2 else step)
    return moved


# writers ----------------------------------------------------------------------------------------------------------


def _write_csv(path: Path, entry: pd.DataFrame | Features) -> None:
    if isinstance(entry, pd.DataFrame):
        entry.to_csv(path, index=False)
        return
    places = entry.frame("EPSG:4326").geometry
    pd.DataFrame({"lon": places.x, "lat": places.y, **entry.columns}).to_csv(path, index=False, na_rep="nan")


def _write_parquet(path: Path, entry: pd.DataFrame) -> None:
    entry.to_parquet(path, index=False)


def _write_geojson(path: Path, entry: Features) -> None:
    """By hand, so that coordinates keep every digit and a NaN stays a NaN."""
    shapes = entry.frame("EPSG:4326").geometry
    rows = pd.DataFrame(dict(entry.columns), index=range(len(shapes))).to_dict("records")
    features = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": row}
        for shape, row in zip(shapes, rows, strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")


def _write_gpkg(path: Path, entry: Features) -> None:
    entry.frame().to_file(path, driver="GPKG", layer="entry")


def _write_geoparquet(path: Path, entry: Features) -> None:
    entry.frame().to_parquet(path, index=False)


def _write_geotiff(path: Path, entry: Map) -> None:
    height, width = entry.band.shape
    shape = {"height": height, "width": width, "count": 1, "dtype": entry.band.dtype, "nodata": entry.nodata}
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", transform=entry.transform, crs=entry.crs, **shape, **tiles) as target:
        target.write(entry.band, 1)


def _write_netcdf(path: Path, entry: xr.DataArray) -> None:
    name = str(entry.name)
    entry.to_dataset(name=name).to_netcdf(path, engine="h5netcdf", encoding={name: {"_FillValue": None}})


def _write_zarr_zip(path: Path, entry: xr.DataArray) -> None:
    """Version 2 of the format, through a folder: written straight into a zip, attributes would be there twice."""
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        entry.to_dataset(name=str(entry.name)).to_zarr(folder, zarr_format=2, consolidated=False)
        files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
        with path.open("wb") as target:
            write_archive(target, files)


MAKERS: Mapping[str, Callable[[Spec, TruthSet], Variants]] = MappingProxyType(
    {"table": _table, "points": _points, "polygons": _polygons, "raster": _raster, "grid": _grid}
)
WRITERS: Mapping[str, Callable[[Path, Any], None]] = MappingProxyType(
    {
        "csv": _write_csv,
        "parquet": _write_parquet,
        "geojson": _write_geojson,
        "gpkg": _write_gpkg,
        "geoparquet": _write_geoparquet,
        "geotiff": _write_geotiff,
        "netcdf": _write_netcdf,
        "zarr-zip": _write_zarr_zip,
    }
)
