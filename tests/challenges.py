"""Complete little challenge directories, one of every kind, for any test that needs one.

``BUILDERS[name](folder)`` writes a valid challenge directory into ``folder`` and, beside it, an entry that is exactly
right; it takes some ten milliseconds. Everything is made from a fixed seed, so two calls write the same numbers.
Spatial data lie in EPSG:32633 with their corner at (500000, 5000000), in metres.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
import xarray as xr
from rasterio.transform import from_origin

from benchmarks.heads import head

CRS = "EPSG:32633"
EAST, NORTH = 500_000.0, 5_000_000.0
CELL = 10.0


@dataclass(frozen=True)
class Example:
    """A challenge directory, an entry that repeats its truth exactly, and its sample."""

    folder: Path
    perfect: Path
    sample: Path


def _common(folder: Path, *, kind: str, sections: str, slug: str) -> None:
    for name in ("public", "hidden", "sample"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    text = head(kind, slug=slug, title=f"Test {slug}", prizes=(600, 400)) + sections
    (folder / "challenge.toml").write_text(text, encoding="utf-8")
    (folder / "overview.md").write_text(f"# {slug}\n\nFind out what is hidden.\n", encoding="utf-8")
    (folder / "agreement.md").write_text("# Agreement\n\nUse the data for this challenge only.\n", encoding="utf-8")


def _example(folder: Path, perfect: str) -> Example:
    beside = folder.parent / f"{folder.name}-entries"
    beside.mkdir(parents=True, exist_ok=True)
    (sample,) = (folder / "sample").iterdir()
    return Example(folder, beside / perfect, sample)


# table ------------------------------------------------------------------------------------------------------------


def _wells(seed: int) -> tuple[pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    names = [f"W-{number:02d}" for number in range(6)]
    rows = [(name, 1000 + 0.5 * step) for name in names for step in range(12)]
    return pd.DataFrame(rows, columns=["well", "depth"]), rng


def table_numbers(folder: Path) -> Example:
    """Porosity by (well, depth), weighted; blocks are wells, half of them public."""
    sections = """[truth]
file = "hidden/truth.csv"
id = ["well", "depth"]
target = "porosity"
weight = "w"

[submission]
prediction = "porosity"
range = [0.0, 1.0]
formats = ["csv", "parquet"]

[blocks]
by = "well"
public = 0.5
seed = 7

[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "r2", "spearman_r"]
"""
    _common(folder, kind="table", sections=sections, slug="table-numbers")
    rows, rng = _wells(1)
    porosity, weight = np.round(rng.uniform(0.02, 0.35, len(rows)), 4), rng.integers(1, 4, len(rows)).astype(float)
    truth = rows.assign(porosity=porosity, w=weight)
    truth.to_csv(folder / "hidden/truth.csv", index=False)
    rows.assign(gamma=np.round(rng.normal(60, 20, len(rows)), 2)).to_csv(folder / "public/logs.csv", index=False)
    rows.assign(porosity=0.18).to_csv(folder / "sample/sample.csv", index=False)
    example = _example(folder, "perfect.csv")
    truth.drop(columns="w").to_csv(example.perfect, index=False)
    return example


def table_classes(folder: Path) -> Example:
    """Facies by (well, depth) with a penalty matrix; the public wells are named."""
    sections = """[truth]
file = "hidden/truth.csv"
id = ["well", "depth"]
target = "facies"
classes = ["sand", "shale", "lime"]

[submission]
prediction = "facies"
formats = ["csv", "parquet"]

[blocks]
by = "well"
public = ["W-00", "W-03"]

[scoring]
primary = "f1_micro"
metrics = ["f1_micro", "f1_macro", "accuracy", "penalty_matrix"]
[scoring.options.penalty_matrix]
matrix = [[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]
"""
    _common(folder, kind="table", sections=sections, slug="table-classes")
    rows, rng = _wells(2)
    truth = rows.assign(facies=rng.choice(["sand", "shale", "lime"], len(rows), p=[0.5, 0.3, 0.2]))
    truth.to_csv(folder / "hidden/truth.csv", index=False)
    rows.assign(gamma=np.round(rng.normal(60, 20, len(rows)), 2)).to_csv(folder / "public/logs.csv", index=False)
    rows.assign(facies="sand").to_csv(folder / "sample/sample.csv", index=False)
    example = _example(folder, "perfect.csv")
    truth.to_csv(example.perfect, index=False)
    return example


def table_probabilities(folder: Path) -> Example:
    """Probabilities of three rock classes by an integer id, without blocks."""
    sections = """[truth]
file = "hidden/truth.csv"
id = "site"
target = "rock"
classes = [1, 2, 3]

[submission]
probabilities = {1 = "p1", 2 = "p2", 3 = "p3"}
formats = ["csv"]

[scoring]
primary = "log_loss"
metrics = ["log_loss", "brier"]
"""
    _common(folder, kind="table", sections=sections, slug="table-probabilities")
    rng = np.random.default_rng(3)
    sites = pd.DataFrame({"site": np.arange(100, 160)})
    truth = sites.assign(rock=rng.integers(1, 4, len(sites)))
    truth.to_csv(folder / "hidden/truth.csv", index=False)
    sites.assign(magnetic=np.round(rng.normal(size=len(sites)), 3)).to_csv(folder / "public/sites.csv", index=False)
    sites.assign(p1=0.4, p2=0.4, p3=0.2).to_csv(folder / "sample/sample.csv", index=False)
    example = _example(folder, "perfect.csv")
    certain = {f"p{code}": (truth["rock"] == code).astype(float) for code in (1, 2, 3)}
    sites.assign(**certain).to_csv(example.perfect, index=False)
    return example


# points and polygons ----------------------------------------------------------------------------------------------


def write_vector(path: Path, geometry: Sequence[Any], columns: Mapping[str, Any], crs: str = CRS) -> None:
    """Write features as GeoPackage, GeoParquet or (always in longitude and latitude) GeoJSON, after the ending."""
    frame = gpd.GeoDataFrame(dict(columns), geometry=list(geometry), crs=crs)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".gpkg":
        frame.to_file(path, driver="GPKG", layer="layer")
    else:
        frame.to_crs("EPSG:4326").to_file(path, driver="GeoJSON", COORDINATE_PRECISION=9)


def points(folder: Path) -> Example:
    """Thirty deposits with ounces, found within 50 m; entries order their targets by a score."""
    sections = """[truth]
file = "hidden/deposits.gpkg"
value = "ounces"
radius = 50.0

[submission]
confidence = "score"
max_features = 60
formats = ["gpkg", "geojson", "geoparquet", "csv"]

[blocks]
size = 1000.0
public = 0.5
seed = 3

[scoring]
primary = "captured_value"
metrics = ["captured_value", "hits", "precision", "recall", "average_precision"]
"""
    _common(folder, kind="points", sections=sections, slug="points")
    rng = np.random.default_rng(4)
    across, down = np.meshgrid(np.arange(6), np.arange(5))
    x = EAST + 300 + 600 * across.ravel() + rng.uniform(-100, 100, 30)
    y = NORTH - 300 - 600 * down.ravel() + rng.uniform(-100, 100, 30)
    ounces = np.round(rng.lognormal(10, 1, 30))
    write_vector(folder / "hidden/deposits.gpkg", shapely.points(x, y), {"ounces": ounces})
    known = shapely.points(EAST + rng.uniform(0, 3600, 12), NORTH - rng.uniform(0, 3000, 12))
    write_vector(folder / "public/known.geojson", known, {"name": [f"K{number}" for number in range(12)]})
    guess = shapely.points(x[:10] + 30, y[:10])
    write_vector(folder / "sample/sample.gpkg", guess, {"score": np.linspace(1, 0.1, 10)})
    example = _example(folder, "perfect.gpkg")
    order = np.argsort(-ounces)
    write_vector(example.perfect, shapely.points(x[order], y[order]), {"score": np.linspace(1, 0.5, 30)})
    return example


def polygons(folder: Path) -> Example:
    """Twenty-five labelled footprints; entries carry a confidence and a label."""
    sections = """[truth]
file = "hidden/footprints.gpkg"
label = "class"

[submission]
confidence = "score"
label = "class"
formats = ["geojson", "gpkg", "geoparquet"]

[blocks]
size = 500.0
public = 0.4
seed = 5

[scoring]
primary = "f1_iou50"
metrics = ["f1_iou50", "precision", "recall", "mean_iou"]
"""
    _common(folder, kind="polygons", sections=sections, slug="polygons")
    rng = np.random.default_rng(5)
    across, down = (axis.ravel() for axis in np.meshgrid(np.arange(5), np.arange(5)))
    west, south = EAST + 200.0 * across + rng.uniform(0, 50, 25), NORTH - 200.0 * down - rng.uniform(100, 150, 25)
    width, height = rng.uniform(30, 90, 25), rng.uniform(30, 90, 25)
    boxes = shapely.box(west, south, west + width, south + height)
    boxes[0] = shapely.difference(boxes[0], shapely.buffer(shapely.centroid(boxes[0]), 8, quad_segs=4))
    labels = np.where(np.arange(25) % 3 == 0, "house", "shed")
    write_vector(folder / "hidden/footprints.gpkg", boxes, {"class": labels})
    area = shapely.box(EAST, NORTH - 1000, EAST + 1000, NORTH)
    write_vector(folder / "public/area.geojson", [area], {"name": ["area"]})
    near = shapely.box(west[:15] + 5, south[:15], west[:15] + 5 + width[:15], south[:15] + height[:15])
    write_vector(folder / "sample/sample.geojson", near, {"score": np.linspace(0.9, 0.2, 15), "class": labels[:15]})
    example = _example(folder, "perfect.gpkg")
    write_vector(example.perfect, boxes, {"score": np.linspace(0.9, 0.5, 25), "class": labels})
    return example


# raster -----------------------------------------------------------------------------------------------------------


def write_raster(path: Path, band: np.ndarray[Any, Any], *, nodata: float | None = None, crs: str | None = CRS) -> None:
    """One band, north up, cells of CELL metres, tiles of 16 by 16 cells."""
    transform = from_origin(EAST, NORTH, CELL, CELL)
    profile = {"driver": "GTiff", "count": 1, "dtype": band.dtype, "crs": crs, "transform": transform, "nodata": nodata}
    layout = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
    with rasterio.open(path, "w", height=band.shape[0], width=band.shape[1], **profile, **layout) as target:
        target.write(band, 1)


def _field(seed: int) -> np.ndarray[Any, Any]:
    """A smooth random field of 48 rows and 64 columns between 0 and 1."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[0:48, 0:64]
    lengths = rng.uniform(4, 15, (5, 2))
    waves = sum(np.sin(row / down + 3 * down) * np.cos(column / across) for down, across in lengths)
    span: np.ndarray[Any, Any] = (waves - waves.min()) / (waves.max() - waves.min())
    return span


def _raster_sections(truth: str, submission: str, scoring: str) -> str:
    return f"""[truth]
{truth}

[submission]
{submission}
formats = ["geotiff"]

[blocks]
size = 160.0
public = 0.5
seed = 11

[scoring]
{scoring}
"""


def raster_continuous(folder: Path) -> Example:
    """A grade map; a corner of the truth is nodata and outside the challenge."""
    sections = _raster_sections(
        'file = "hidden/truth.tif"\nband = 1',
        'meaning = "continuous"\nrange = [-5.0, 50.0]',
        'primary = "rmse"\nmetrics = ["rmse", "mae", "r2", "pearson_r"]',
    )
    _common(folder, kind="raster", sections=sections, slug="raster-continuous")
    grade = (10 * _field(6)).astype("float32")
    truth = grade.copy()
    truth[:5, :7] = -9999
    write_raster(folder / "hidden/truth.tif", truth, nodata=-9999)
    write_raster(folder / "public/survey.tif", (grade + _field(60)).astype("float32"), nodata=-9999)
    write_raster(folder / "sample/sample.tif", np.full_like(grade, grade.mean()))
    example = _example(folder, "perfect.tif")
    write_raster(example.perfect, grade)
    return example


def raster_categorical(folder: Path) -> Example:
    """A map of four rock units as bytes; 0 is nodata."""
    sections = _raster_sections(
        'file = "hidden/truth.tif"\nclasses = [1, 2, 3, 4]',
        'meaning = "categorical"',
        'primary = "accuracy"\nmetrics = ["accuracy", "mean_iou", "cohen_kappa"]',
    )
    _common(folder, kind="raster", sections=sections, slug="raster-categorical")
    units = (1 + np.minimum(3, (4 * _field(7)).astype("uint8"))).astype("uint8")
    truth = units.copy()
    truth[-4:, -4:] = 0
    write_raster(folder / "hidden/truth.tif", truth, nodata=0)
    write_raster(folder / "public/survey.tif", _field(70).astype("float32"))
    write_raster(folder / "sample/sample.tif", np.full_like(units, 2))
    example = _example(folder, "perfect.tif")
    write_raster(example.perfect, units)
    return example


def raster_probability(folder: Path) -> Example:
    """A probability map against a mask of zeros and ones."""
    sections = _raster_sections(
        'file = "hidden/truth.tif"',
        'meaning = "probability"\nrange = [0.0, 1.0]',
        'primary = "roc_auc"\nmetrics = ["roc_auc", "average_precision", "log_loss", "brier"]',
    )
    _common(folder, kind="raster", sections=sections, slug="raster-probability")
    mask = (_field(8) > 0.7).astype("uint8")
    write_raster(folder / "hidden/truth.tif", mask, nodata=255)
    write_raster(folder / "public/survey.tif", _field(80).astype("float32"))
    write_raster(folder / "sample/sample.tif", np.full(mask.shape, mask.mean(), dtype="float32"))
    example = _example(folder, "perfect.tif")
    write_raster(example.perfect, mask.astype("float32"))
    return example


def raster_points(folder: Path) -> Example:
    """A prospectivity map read at hidden deposits; public/grid.tif fixes the grid and its valid cells."""
    sections = _raster_sections(
        'file = "hidden/deposits.gpkg"\ngrid = "public/grid.tif"',
        'meaning = "probability"\nrange = [0.0, 1.0]',
        'primary = "roc_auc"\nmetrics = ["roc_auc", "average_precision"]',
    )
    _common(folder, kind="raster", sections=sections, slug="raster-points")
    valid = np.ones((48, 64), dtype="uint8")
    valid[:6, :6] = 0
    write_raster(folder / "public/grid.tif", valid, nodata=0)
    write_raster(folder / "public/survey.tif", _field(90).astype("float32"))
    rng = np.random.default_rng(9)
    row, column = rng.integers(8, 48, 20), rng.integers(8, 64, 20)
    row[1], column[1] = row[0], column[0]
    x, y = EAST + CELL * (column + 0.5), NORTH - CELL * (row + 0.5)
    names = [f"D{number}" for number in range(20)]
    write_vector(folder / "hidden/deposits.gpkg", shapely.points(x, y), {"name": names})
    write_raster(folder / "sample/sample.tif", np.full(valid.shape, 0.5, dtype="float32"))
    example = _example(folder, "perfect.tif")
    best = np.zeros(valid.shape, dtype="float32")
    best[row, column] = 1.0
    write_raster(example.perfect, best)
    return example


# grid -------------------------------------------------------------------------------------------------------------


def _rain(members: int | None) -> xr.DataArray:
    rng = np.random.default_rng(10)
    sizes = {"time": 6, "lat": 5, "lon": 7} | ({"member": members} if members else {})
    coords: dict[str, Any] = {"time": np.arange(6) * 30, "lat": np.linspace(50, 46, 5), "lon": np.linspace(6, 12, 7)}
    if members:
        coords["member"] = np.arange(members)
    data = rng.gamma(2.0, 3.0, tuple(sizes.values()))
    array = xr.DataArray(data, dims=tuple(sizes), coords=coords, name="tp", attrs={"units": "mm"})
    array["time"].attrs["units"] = "days since 2020-01-01"
    return array


def write_grid(path: Path, array: xr.DataArray) -> None:
    array.to_dataset(name="tp").to_netcdf(path, engine="h5netcdf", encoding={"tp": {"_FillValue": None}})


def _grid_sections(submission: str, scoring: str, truth: str = "") -> str:
    return f"""[truth]
file = "hidden/truth.nc"
variable = "tp"
{truth}
[submission]
variable = "tp"
{submission}formats = ["netcdf", "zarr-zip"]

[blocks]
by = "time"
public = 0.5
seed = 1

[scoring]
{scoring}
"""


def grid(folder: Path) -> Example:
    """Monthly rain on a small map, one value each."""
    scoring = 'primary = "rmse"\nmetrics = ["rmse", "mae", "bias"]'
    _common(folder, kind="grid", sections=_grid_sections("range = [0.0, 500.0]\n", scoring), slug="grid")
    truth = _rain(None)
    write_grid(folder / "hidden/truth.nc", truth)
    write_grid(folder / "public/earlier.nc", truth.copy(data=truth.data[::-1] + 1))
    write_grid(folder / "sample/sample.nc", truth.copy(data=np.full(truth.shape, float(truth.mean()))))
    example = _example(folder, "perfect.nc")
    write_grid(example.perfect, truth)
    return example


def grid_ensemble(folder: Path) -> Example:
    """The same rain, forecast by ensembles of any size along the dimension "member"."""
    scoring = 'primary = "crps"\nmetrics = ["crps", "spread_skill"]'
    sections = _grid_sections("", scoring, truth='member = "member"\n')
    _common(folder, kind="grid", sections=sections, slug="grid-ensemble")
    truth = _rain(None)
    write_grid(folder / "hidden/truth.nc", truth)
    write_grid(folder / "public/earlier.nc", truth.copy(data=truth.data[::-1] + 1))
    forecast = _rain(4)
    write_grid(folder / "sample/sample.nc", forecast)
    example = _example(folder, "perfect.nc")
    members = xr.concat([truth] * 4, dim=xr.IndexVariable("member", np.arange(4))).transpose(*forecast.dims)
    write_grid(example.perfect, members)
    return example


BUILDERS: Mapping[str, Callable[[Path], Example]] = MappingProxyType(
    {
        "table-numbers": table_numbers,
        "table-classes": table_classes,
        "table-probabilities": table_probabilities,
        "points": points,
        "polygons": polygons,
        "raster-continuous": raster_continuous,
        "raster-categorical": raster_categorical,
        "raster-probability": raster_probability,
        "raster-points": raster_points,
        "grid": grid,
        "grid-ensemble": grid_ensemble,
    }
)
