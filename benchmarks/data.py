"""Challenge directories and entries of a chosen size, a function of size and kind alone.

Every kind gets ``DIR/KIND/`` with challenge.toml, public/, hidden/, sample/, and ``DIR/KIND/entry.*``.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.csv
import rasterio
import shapely
import xarray as xr
from rasterio.transform import from_origin

CRS = "EPSG:32615"
ORIGIN = np.array([400_000.0, 5_600_000.0])
SIZES: Mapping[str, Mapping[str, Any]] = {
    "small": {
        "rows": 20_000, "candidates": 2_000, "deposits": 200, "polygons": 400,
        "side": 512, "grid": (8, 4, 31, 60),
    },
    "medium": {
        "rows": 1_000_000, "candidates": 100_000, "deposits": 2_000, "polygons": 20_000,
        "side": 4096, "grid": (50, 8, 121, 240),
    },
    "large": {
        "rows": 10_000_000, "candidates": 1_000_000, "deposits": 10_000, "polygons": 200_000,
        "side": 8192, "grid": (50, 20, 361, 720),
    },
}  # fmt: skip

HEAD = """[challenge]
slug = "bench-{kind}"
title = "Bench {kind}"
sponsor = "Motherlode"
kind = "{kind}"

[schedule]
opens = 2026-01-01T00:00:00Z
closes = 2027-01-01T00:00:00Z

[bounty]
currency = "USD"
pool = "0.00"
"""
SPECS: Mapping[str, str] = {
    "table": """
[truth]
file = "hidden/truth.csv"
id = "id"
target = "y"
[submission]
prediction = "y"
max_bytes = "10 GB"
[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "r2"]
""",
    "points": """
[truth]
file = "hidden/truth.geojson"
value = "value"
radius = 250.0
[submission]
confidence = "confidence"
max_features = 2000000
max_bytes = "10 GB"
[scoring]
primary = "average_precision"
metrics = ["average_precision", "hits", "captured_value"]
""",
    "polygons": """
[truth]
file = "hidden/truth.geojson"
[submission]
confidence = "confidence"
max_bytes = "10 GB"
max_features = 2000000
[scoring]
primary = "f1_iou50"
metrics = ["f1_iou50", "precision", "recall"]
""",
    "raster": """
[truth]
file = "hidden/truth.tif"
[submission]
meaning = "continuous"
max_bytes = "10 GB"
[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "r2", "bias"]
""",
    "grid": """
[truth]
file = "hidden/truth.nc"
variable = "tas"
member = "member"
[submission]
variable = "tas"
max_bytes = "10 GB"
[scoring]
primary = "crps"
metrics = ["crps"]
""",
}


def _csv(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    pa.csv.write_csv(pa.table(dict(columns)), path, pa.csv.WriteOptions(quoting_style="needed"))


def _table(size: Mapping[str, Any], hidden: Path, entry: Path, rng: np.random.Generator) -> str:
    n = size["rows"]
    ids = (np.arange(1, n + 1, dtype=np.int64) * 668_265_263_273) % (1 << 40)  # an odd factor is a bijection mod 2^40
    y = np.round(rng.normal(10, 3, n), 4)
    _csv(hidden / "truth.csv", {"id": ids, "y": y})
    order = rng.permutation(n)
    _csv(entry / "entry.csv", {"id": ids[order], "y": np.round(y + rng.normal(0, 1, n), 4)[order]})
    return "entry.csv"


def _points(size: Mapping[str, Any], hidden: Path, entry: Path, rng: np.random.Generator) -> str:
    n, m = size["candidates"], size["deposits"]
    deposits = np.round(rng.uniform(0, 100_000, (m, 2)) + ORIGIN, 2)
    truth = {"value": np.round(rng.lognormal(0, 1.5, m), 3)}
    gpd.GeoDataFrame(truth, geometry=shapely.points(deposits), crs=CRS).to_file(
        hidden / "truth.geojson", driver="GeoJSON"
    )
    near = deposits[rng.integers(0, m, n)] + rng.normal(0, 220, (n, 2))
    far = rng.uniform(0, 100_000, (n, 2)) + ORIGIN
    xy = np.where((rng.random(n) < 0.15)[:, None], near, far)
    confidence = (rng.permutation(n) + 0.5) / n
    _csv(entry / "entry.csv", {"x": np.round(xy[:, 0], 2), "y": np.round(xy[:, 1], 2), "confidence": confidence})
    return "entry.csv"


def _polygons(size: Mapping[str, Any], hidden: Path, entry: Path, rng: np.random.Generator) -> str:
    n = size["polygons"]
    side = int(np.ceil(np.sqrt(n)))
    at = np.stack(np.divmod(np.arange(n), side), 1) * 40.0 + ORIGIN
    edge = rng.uniform(8, 18, (n, 2))
    gpd.GeoDataFrame(geometry=shapely.box(*at.T, *(at + edge).T), crs=CRS).to_file(
        hidden / "truth.geojson", driver="GeoJSON"
    )
    moved = at + rng.normal(0, 2.5, (n, 2))
    boxes = shapely.box(*moved.T, *(moved + edge * rng.uniform(0.8, 1.2, (n, 2))).T)
    frame = gpd.GeoDataFrame({"confidence": (rng.permutation(n) + 0.5) / n}, geometry=boxes, crs=CRS)
    frame.to_parquet(entry / "entry.parquet")
    return "entry.parquet"


def _raster(size: Mapping[str, Any], hidden: Path, entry: Path, rng: np.random.Generator) -> str:
    side = size["side"]
    rows = np.linspace(0, 20, side, dtype=np.float32)
    wave = np.sin(rows)[:, None] * np.cos(rows)[None, :] * 3
    truth = np.round(wave + rng.normal(0, 0.2, (side, side)), 3).astype(np.float32)
    guess = np.round(truth + rng.normal(0, 0.5, (side, side)), 3).astype(np.float32)
    truth[rng.random((side // 16, side // 16)).repeat(16, 0).repeat(16, 1) < 0.1] = -9999.0
    form = {
        "driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "float32", "crs": CRS,
        "nodata": -9999.0, "transform": from_origin(4e5, 5.7e6, 10, 10), "tiled": True,
        "blockxsize": 256, "blockysize": 256, "compress": "deflate", "predictor": 3,
    }  # fmt: skip
    for path, band in ((hidden / "truth.tif", truth), (entry / "entry.tif", guess)):
        with rasterio.open(path, "w", **form) as target:
            target.write(band, 1)
    return "entry.tif"


def _grid(size: Mapping[str, Any], hidden: Path, entry: Path, rng: np.random.Generator) -> str:
    members, times, height, width = size["grid"]
    base = 280 + rng.normal(0, 4, (times, height, width)).astype(np.float32)
    coords = {
        "time": np.arange(times),
        "lat": np.linspace(90, -90, height),
        "lon": np.linspace(0, 360, width, endpoint=False),
    }
    observed = (base + rng.normal(0, 1, base.shape)).astype(np.float32)
    forecast = (base + rng.normal(0, 1, (members, *base.shape))).astype(np.float32)
    truth = xr.Dataset({"tas": (("time", "lat", "lon"), observed)}, coords)
    pred = xr.Dataset({"tas": (("member", "time", "lat", "lon"), forecast)}, coords | {"member": np.arange(members)})
    chunks = {"zlib": True, "complevel": 1, "shuffle": True}
    truth.to_netcdf(
        hidden / "truth.nc", engine="h5netcdf", encoding={"tas": {**chunks, "chunksizes": (1, height, width)}}
    )
    pred.to_netcdf(
        entry / "entry.nc", engine="h5netcdf", encoding={"tas": {**chunks, "chunksizes": (1, 1, height, width)}}
    )
    return "entry.nc"


KINDS: Mapping[str, Callable[[Mapping[str, Any], Path, Path, np.random.Generator], str]] = {
    "table": _table, "points": _points, "polygons": _polygons, "raster": _raster, "grid": _grid,
}  # fmt: skip


def make(kind: str, size: str, folder: Path) -> Path:
    """The challenge directory of ``kind``, made if it is not there yet; returns the entry's path."""
    ready = folder / "entry.txt"
    if not ready.exists():
        for name in ("hidden", "public", "sample"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        entry = KINDS[kind](SIZES[size], folder / "hidden", folder, np.random.default_rng(list(KINDS).index(kind)))
        (folder / "challenge.toml").write_text(HEAD.format(kind=kind) + SPECS[kind], encoding="utf-8")
        for name in ("overview.md", "agreement.md", "public/readme.md"):
            (folder / name).write_text("Made for the benchmark.\n", encoding="utf-8")
        shutil.copyfile(folder / entry, folder / "sample" / entry)
        ready.write_text(entry, encoding="utf-8")
    return folder / ready.read_text(encoding="utf-8")
