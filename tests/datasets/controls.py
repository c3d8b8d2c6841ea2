"""Good files of every kind and format, small, with what they have to be read as."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import rasterio
import shapely
import xarray
import zarr
from rasterio.transform import from_origin

from benchmarks.heads import head
from datasets.expect import Expectation
from datasets.spec import Spec, parse_spec

TOML = """
[truth]
file = "hidden/truth"
{truth}
[submission]
{submission}
{blocks}
[scoring]
primary = "{metric}"
metrics = ["{metric}"]
"""


def spec(kind: str, truth: str = "", submission: str = "", *, metric: str = "rmse", blocks: str = "") -> Spec:
    return parse_spec(head(kind) + TOML.format(truth=truth, submission=submission, metric=metric, blocks=blocks))


TABLE = spec("table", 'id = ["id"]\ntarget = "y"', 'prediction = "p"')
POINTS = spec("points", "radius = 50.0", 'confidence = "score"', metric="hits")
POLYGONS = spec("polygons", 'label = "label"', 'confidence = "score"\nlabel = "label"', metric="f1_iou50")
RASTER = spec("raster", "band = 1", 'meaning = "continuous"\nrange = [0.0, 100.0]')
GRID = spec("grid", 'variable = "tp"\nmember = "member"', metric="crps")
N = 50
SHAPE = (40, 30)
TRANSFORM = from_origin(500000.0, 4200000.0, 25.0, 25.0)


def frame() -> pd.DataFrame:
    return pd.DataFrame({"id": [f"s{i:03d}" for i in range(N)], "p": np.linspace(0.0, 1.0, N), "extra": "x"})


def csv(folder: Path) -> Path:
    path = folder / "good.csv"
    frame().to_csv(path, index=False)
    return path


def parquet(folder: Path) -> Path:
    path = folder / "good.parquet"
    frame().to_parquet(path, index=False)
    return path


def places() -> geopandas.GeoDataFrame:
    x = 500000.0 + 10.0 * np.arange(N)
    y = 4200000.0 - 7.0 * np.arange(N)
    score = (np.arange(N) * 7 % N) / N
    return geopandas.GeoDataFrame({"score": score}, geometry=geopandas.points_from_xy(x, y), crs=32633)


def squares() -> geopandas.GeoDataFrame:
    shapes: list[Any] = [shapely.box(500000 + 50 * i, 4200000, 500030 + 50 * i, 4200040) for i in range(10)]
    shapes[3] = shapes[3].difference(shapely.box(500160, 4200010, 500165, 4200020))
    shapes[4] = shapely.MultiPolygon([shapes[4], shapely.box(500200, 4200100, 500230, 4200130)])
    columns = {"score": np.linspace(1.0, 0.1, 10), "label": ["roof", "yard"] * 5}
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=32633)


def vector(frame: Callable[[], geopandas.GeoDataFrame], form: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"good.{form}"
        data = frame()
        if form == "geoparquet":
            data.to_parquet(path)
        else:
            data.to_file(path, driver={"geojson": "GeoJSON", "gpkg": "GPKG"}[form])
        return path

    return make


def points_csv(folder: Path) -> Path:
    path = folder / "good.csv"
    data = places()
    table = {"easting": data.geometry.x, "Northing": data.geometry.y, "score": data.score}
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def cells() -> np.ndarray[Any, np.dtype[np.float32]]:
    values = np.arange(SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE) % 97
    values[3, 4] = -9999.0
    return values


def tif(path: Path, values: Any = None, **changes: Any) -> Path:
    band = cells() if values is None else np.asarray(values)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": band.shape[0],
        "width": band.shape[1],
        "count": 1,
        "dtype": band.dtype,
        "crs": 32633,
        "transform": TRANSFORM,
        "nodata": -9999.0,
        "compress": "deflate",
        **changes,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(band, 1)
    return path


def geotiff(folder: Path) -> Path:
    return tif(folder / "good.tif")


def cube() -> xarray.Dataset:
    values = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5) / 7
    labels = {"time": pd.date_range("2020-01-01", periods=4), "lat": [50.5, 50.25, 50.0, 49.75, 49.5]}
    return xarray.Dataset({"tp": (("member", "time", "lat"), values)}, coords={"member": [0, 1, 2], **labels})


def netcdf(folder: Path) -> Path:
    path = folder / "good.nc"
    cube().to_netcdf(path, engine="h5netcdf", encoding={"tp": {"zlib": True, "chunksizes": (1, 4, 5)}})
    return path


def zarr_zip(version: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"good-v{version}.zip"
        store = zarr.storage.ZipStore(path, mode="w")
        cube().to_zarr(store, zarr_format=version, encoding={"tp": {"chunks": (1, 4, 5)}}, consolidated=False)
        store.close()
        return path

    return make


@dataclass(frozen=True)
class Control:
    name: str
    format: str
    spec: Spec
    make: Callable[[Path], Path]

    def expectation(self) -> Expectation:
        return Expectation.loose(self.spec)


CONTROLS = (
    Control("table-csv", "csv", TABLE, csv),
    Control("table-parquet", "parquet", TABLE, parquet),
    *(Control(f"points-{form}", form, POINTS, vector(places, form)) for form in ("geojson", "gpkg", "geoparquet")),
    Control("points-csv", "csv", POINTS, points_csv),
    *(Control(f"polygons-{form}", form, POLYGONS, vector(squares, form)) for form in ("geojson", "gpkg", "geoparquet")),
    Control("raster-geotiff", "geotiff", RASTER, geotiff),
    Control("grid-netcdf", "netcdf", GRID, netcdf),
    Control("grid-zarr-v2", "zarr-zip", GRID, zarr_zip(2)),
    Control("grid-zarr-v3", "zarr-zip", GRID, zarr_zip(3)),
)
