"""What a user would pick today for the same files to the same values, and what reading the files alone takes.

``CONTENDERS`` is the list of all of them. Role ``limit``: a stock library reads truth and prediction with all cores and
does nothing else; its answer counts what was read. Role ``peer``: the metric values, under the names of ``specs``.
Libraries are loaded inside the functions, because not every machine has each of them; who misses one is left out.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Values = dict[str, float]
Call = Callable[[str, Path], Values]
BUDGETS = (100, 1000, 10_000)
RADIUS = 250.0
CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Contender:
    """``call(form, folder)`` reads ``folder``'s files of that form (csv, cont, zarr …)."""

    name: str
    role: str
    benches: tuple[str, ...]
    call: Call


CONTENDERS: list[Contender] = []


def contender(name: str, benches: str, role: str = "peer") -> Callable[[Call], Call]:
    def add(call: Call) -> Call:
        CONTENDERS.append(Contender(name, role, tuple(benches.split()), call))
        return call

    return add


def of_bench(bench: str) -> list[Contender]:
    return [one for one in CONTENDERS if bench in one.benches]


def _both(folder: Path, suffix: str) -> tuple[Path, Path]:
    return folder / f"truth.{suffix}", folder / f"pred.{suffix}"


# tables and points as columns ---------------------------------------------------------------------------------------


@contender("pyarrow read", "table-csv table-parquet points-csv points-parquet", "limit")
def columns_limit(form: str, folder: Path) -> Values:
    return {"rows": float(sum(_arrow(path).num_rows for path in _both(folder, form)))}


def _arrow(path: Path) -> Any:
    import pyarrow.csv
    import pyarrow.parquet

    return pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pyarrow.parquet.read_table(path)


def _frames(form: str, folder: Path) -> list[Any]:
    import pandas as pd

    return [(pd.read_csv if form == "csv" else pd.read_parquet)(path) for path in _both(folder, form)]


@contender("pandas merge + scikit-learn", "table-csv table-parquet")
def table_pandas(form: str, folder: Path) -> Values:
    truth, entry = _frames(form, folder)
    return _table_values(truth.merge(entry, on="id", suffixes=("", "_f"), validate="one_to_one"))


@contender("pyarrow join + scikit-learn", "table-csv table-parquet")
def table_arrow(form: str, folder: Path) -> Values:
    truth, entry = (_arrow(path) for path in _both(folder, form))
    entry = entry.rename_columns(["y_f" if name == "y" else name for name in entry.column_names])
    return _table_values(truth.join(entry, "id", join_type="inner").to_pandas())


def _table_values(both: Any) -> Values:
    from sklearn import metrics

    shares = both[[f"p{k}" for k in range(5)]].to_numpy()
    return {
        "rmse": metrics.root_mean_squared_error(both.y, both.y_f),
        "mae": metrics.mean_absolute_error(both.y, both.y_f),
        "r2": metrics.r2_score(both.y, both.y_f),
        "auc": metrics.roc_auc_score(both.label, both.prob),
        "ap": metrics.average_precision_score(both.label, both.prob),
        "logloss": metrics.log_loss(both.label, both.prob),
        "brier": metrics.brier_score_loss(both.label, both.prob),
        "mc_logloss": metrics.log_loss(both.cls, shares, labels=range(5)),
        "accuracy": metrics.accuracy_score(both.cls, shares.argmax(1)),
        "macro_f1": metrics.f1_score(both.cls, shares.argmax(1), average="macro"),
    }


# points -------------------------------------------------------------------------------------------------------------


@contender("scipy cKDTree + loop", "points-csv points-parquet")
def points_tree(form: str, folder: Path) -> Values:
    from scipy.spatial import cKDTree

    truth, entry = _frames(form, folder)
    deposits, xy = truth[["x", "y"]].to_numpy(), entry[["x", "y"]].to_numpy()
    near = cKDTree(deposits).query_ball_point(xy, RADIUS, workers=-1)
    return _points_values(truth, entry, near)


@contender("scikit-learn BallTree + loop", "points-csv points-parquet")
def points_ball(form: str, folder: Path) -> Values:
    from sklearn.neighbors import BallTree

    truth, entry = _frames(form, folder)
    near = BallTree(truth[["x", "y"]].to_numpy()).query_radius(entry[["x", "y"]].to_numpy(), RADIUS)
    return _points_values(truth, entry, near)


def _points_values(truth: Any, entry: Any, near: Sequence[Any]) -> Values:
    """The best target takes the nearest free deposit; a deposit is reached by the first target within the radius."""
    deposits, xy, value = truth[["x", "y"]].to_numpy(), entry[["x", "y"]].to_numpy(), truth.value.to_numpy()
    n, m = len(xy), len(deposits)
    first, taken, hits, precision = np.full(m, n), np.zeros(m, bool), 0, 0.0
    for rank, i in enumerate(np.argsort(-entry.confidence.to_numpy(), kind="stable")):
        found = np.sort(np.asarray(near[i], dtype=np.int64))
        if not len(found):
            continue
        first[found] = np.minimum(first[found], rank)
        free = found[~taken[found]]
        if len(free):
            taken[free[np.argmin(((deposits[free] - xy[i]) ** 2).sum(1))]] = True
            hits += 1
            precision += hits / (rank + 1)
    reached = (first < n).sum()
    values = {"ap": precision / m, "tp": hits, "hits": reached}
    values["value_auc"] = (value * (n - first)).sum() / n / value.sum()
    for k in BUDGETS:
        early = first < min(k, n)
        values |= {f"hits@{k}": early.sum(), f"value@{k}": value[early].sum() / value.sum()}
    return values


# polygons -----------------------------------------------------------------------------------------------------------


@contender("pyogrio / pyarrow read", "polygons-geojson polygons-parquet", "limit")
def polygons_limit(form: str, folder: Path) -> Values:
    import pyarrow.parquet
    import pyogrio

    read = pyarrow.parquet.read_table if form == "parquet" else lambda path: pyogrio.read_arrow(path)[1]
    with ThreadPoolExecutor(CORES) as pool:
        return {"rows": float(sum(found.num_rows for found in pool.map(read, _both(folder, form))))}


def _features(form: str, folder: Path) -> list[Any]:
    import geopandas as gpd

    read = gpd.read_parquet if form == "parquet" else lambda path: gpd.read_file(path, use_arrow=True)
    return [read(path) for path in _both(folder, form)]


@contender("geopandas sjoin + shapely", "polygons-geojson polygons-parquet")
def polygons_sjoin(form: str, folder: Path) -> Values:
    truth, entry = _features(form, folder)
    pairs = entry[["geometry"]].sjoin(truth[["geometry"]], predicate="intersects")
    i, j = pairs.index.to_numpy(), pairs["index_right"].to_numpy()
    a, b = entry.geometry.values[i], truth.geometry.values[j]
    shared = a.intersection(b).area
    return _polygon_values(entry.confidence.to_numpy(), (i, j, shared / (a.area + b.area - shared)), len(truth))


@contender("shapely STRtree + bulk intersections", "polygons-geojson polygons-parquet")
def polygons_tree(form: str, folder: Path) -> Values:
    import shapely

    truth, entry = _features(form, folder)
    have, want = entry.geometry.to_numpy(), truth.geometry.to_numpy()
    i, j = shapely.STRtree(want).query(have)
    shared = shapely.area(shapely.intersection(have[i], want[j]))
    iou = shared / (shapely.area(have)[i] + shapely.area(want)[j] - shared)
    return _polygon_values(entry.confidence.to_numpy(), (i, j, iou), len(truth))


def _polygon_values(confidence: Any, pairs: tuple[Any, Any, Any], wanted: int) -> Values:
    """The most confident prediction takes the free footprint of the highest IoU, at 0.5 and above."""
    rank = np.empty(len(confidence), np.int64)
    rank[np.argsort(-confidence, kind="stable")] = np.arange(len(confidence))
    good = pairs[2] >= 0.5
    order = np.lexsort((pairs[1][good], -pairs[2][good], rank[pairs[0][good]]))
    columns = (column[good][order].tolist() for column in (rank[pairs[0]], pairs[1], pairs[2]))
    taken, ranks, total = np.zeros(wanted, bool), [-1], 0.0
    for own, other, iou in zip(*columns, strict=True):
        if own != ranks[-1] and not taken[other]:
            taken[other] = True
            ranks.append(own)
            total += iou
    hits, given = len(ranks) - 1, len(confidence)
    return {
        "f1": 2 * hits / (given + wanted), "precision": hits / given, "recall": hits / wanted,
        "mean_iou": total / max(hits, 1), "tp": hits, "fp": given - hits, "fn": wanted - hits,
        "ap50": (np.arange(1, hits + 1) / (np.array(ranks[1:]) + 1)).sum() / wanted,
    }  # fmt: skip


# rasters ------------------------------------------------------------------------------------------------------------


@contender("rasterio tiles", "raster-cont raster-prob raster-cat", "limit")
def raster_limit(form: str, folder: Path) -> Values:
    import rasterio

    own, paths = threading.local(), [folder / f"{stem}_{form}.tif" for stem in ("truth", "pred")]
    with rasterio.open(paths[0]) as probe:
        windows = [window for _, window in probe.block_windows(1)]

    def read(window: Any) -> int:
        if not hasattr(own, "files"):
            own.files = [rasterio.open(path) for path in paths]
        return sum(file.read(1, window=window).size for file in own.files)

    with ThreadPoolExecutor(CORES) as pool:
        return {"pixels": float(sum(pool.map(read, windows)))}


def _valid(form: str, folder: Path) -> tuple[Any, Any]:
    """Both rasters whole, pixels without truth left out."""
    import rasterio

    a, b = (rasterio.open(folder / f"{stem}_{form}.tif", NUM_THREADS="ALL_CPUS") for stem in ("truth", "pred"))
    truth, guess = a.read(1), b.read(1)
    inside = truth != a.nodata
    return truth[inside], guess[inside]


@contender("rasterio + scikit-learn", "raster-cont raster-prob raster-cat")
def raster_sklearn(form: str, folder: Path) -> Values:
    from sklearn import metrics

    y, f = _valid(form, folder)
    if form == "cont":
        y, f = y.astype(float), f.astype(float)
        return {
            "rmse": metrics.root_mean_squared_error(y, f), "mae": metrics.mean_absolute_error(y, f),
            "r2": metrics.r2_score(y, f), "bias": (f - y).mean(), "pearson": np.corrcoef(y, f)[0, 1],
        }  # fmt: skip
    if form == "prob":
        f = f.astype(float)
        return {
            "auc": metrics.roc_auc_score(y, f), "ap": metrics.average_precision_score(y, f),
            "logloss": metrics.log_loss(y, f), "brier": metrics.brier_score_loss(y, f),
            "f1": metrics.f1_score(y, f >= 0.5), "iou": metrics.jaccard_score(y, f >= 0.5),
        }  # fmt: skip
    return {
        "accuracy": metrics.accuracy_score(y, f), "macro_f1": metrics.f1_score(y, f, average="macro"),
        "miou": metrics.jaccard_score(y, f, average="macro"), "kappa": metrics.cohen_kappa_score(y, f),
    }  # fmt: skip


@contender("rasterio + numpy", "raster-cont raster-prob raster-cat")
def raster_numpy(form: str, folder: Path) -> Values:
    y, f = _valid(form, folder)
    return {"cont": _numbers, "prob": _ranked, "cat": _counted}[form](y, f)


def _numbers(y: Any, f: Any) -> Values:
    y, f = y.astype(float), f.astype(float)
    error = f - y
    squares = (error**2).sum()
    return {
        "rmse": np.sqrt(squares / len(y)), "mae": np.abs(error).mean(), "bias": error.mean(),
        "r2": 1 - squares / ((y - y.mean()) ** 2).sum(), "pearson": np.corrcoef(y, f)[0, 1],
    }  # fmt: skip


def _ranked(y: Any, f: Any) -> Values:
    order = np.argsort(-f)
    hits, score = np.cumsum(y[order], dtype=float), f[order]
    end = np.append(np.nonzero(np.diff(score))[0], len(score) - 1)
    hits, seen = hits[end], end + 1.0
    misses, recall = seen - hits, hits / hits[-1]
    p, above = np.clip(f.astype(float), 1e-15, 1 - 1e-15), f >= 0.5
    both, either = float((above & (y == 1)).sum()), float(above.sum() + (y == 1).sum())
    return {
        "auc": np.trapezoid(np.r_[0, hits], np.r_[0, misses]) / (hits[-1] * misses[-1]),
        "ap": (np.diff(recall, prepend=0) * hits / seen).sum(), "brier": ((p - y) ** 2).mean(),
        "logloss": -np.where(y == 1, np.log(p), np.log1p(-p)).mean(), "f1": 2 * both / either,
        "iou": both / (either - both),
    }  # fmt: skip


def _counted(y: Any, f: Any) -> Values:
    counts = np.bincount(y.astype(np.int64) * 10 + f, minlength=100).reshape(10, 10).astype(float)
    right, rows, columns, n = np.diag(counts), counts.sum(1), counts.sum(0), counts.sum()
    chance = (rows * columns).sum() / n**2
    return {
        "accuracy": right.sum() / n, "macro_f1": (2 * right / (rows + columns)).mean(),
        "miou": (right / (rows + columns - right)).mean(), "kappa": (right.sum() / n - chance) / (1 - chance),
    }  # fmt: skip


@contender("scores + dask", "raster-cont")
def raster_scores(form: str, folder: Path) -> Values:
    import dask
    import rioxarray
    import scores.continuous as sc

    paths = [folder / f"{stem}_{form}.tif" for stem in ("truth", "pred")]
    y, f = (
        rioxarray.open_rasterio(path, chunks={"x": 2048, "y": 2048}, lock=False).squeeze(drop=True) for path in paths
    )
    y = y.where(y != y.rio.nodata).astype(float)
    f = f.where(y.notnull()).astype(float)
    made = {
        "rmse": sc.rmse(f, y), "mae": sc.mae(f, y), "bias": sc.mean_error(f, y), "r2": 1 - sc.mse(f, y) / y.var(),
        "pearson": sc.correlation.pearsonr(f, y),
    }  # fmt: skip
    return dict(zip(made, map(float, dask.compute(*made.values())), strict=True))


# grids --------------------------------------------------------------------------------------------------------------


def _cubes(form: str, folder: Path, chunks: Any) -> tuple[Any, Any]:
    import xarray as xr

    options = {"engine": "zarr", "consolidated": False} if form == "zarr" else {"engine": "h5netcdf"}
    suffix = "zarr" if form == "zarr" else "nc"
    return tuple(xr.open_dataset(path, chunks=chunks, **options) for path in _both(folder, suffix))


@contender("xarray read", "grid-netcdf grid-zarr", "limit")
def grid_limit(form: str, folder: Path) -> Values:
    return {"values": float(sum(cube.tas.load().size for cube in _cubes(form, folder, None)))}


@contender("xarray + dask read", "grid-netcdf grid-zarr", "limit")
def grid_limit_dask(form: str, folder: Path) -> Values:
    return {"values": float(sum(cube.tas.compute(scheduler="threads").size for cube in _cubes(form, folder, {})))}


@contender("xarray + properscoring", "grid-netcdf grid-zarr")
def grid_properscoring(form: str, folder: Path) -> Values:
    import properscoring
    import xarray as xr

    truth, entry = (cube.load() for cube in _cubes(form, folder, None))
    crps = properscoring.crps_ensemble(truth.tas.values, entry.tas.values, axis=0)
    return _grid_values(truth, entry, xr.DataArray(crps, truth.tas.coords))


@contender("scores + dask", "grid-netcdf grid-zarr")
def grid_scores(form: str, folder: Path) -> Values:
    from scores.probability import crps_for_ensemble

    truth, entry = _cubes(form, folder, {"time": 1})
    entry = entry.chunk(member=-1)
    return _grid_values(truth, entry, crps_for_ensemble(entry.tas, truth.tas, "member", preserve_dims="all"))


@contender("xskillscore + dask", "grid-netcdf grid-zarr")
def grid_xskillscore(form: str, folder: Path) -> Values:
    import xskillscore

    truth, entry = _cubes(form, folder, {"time": 1})
    entry = entry.chunk(member=-1)
    return _grid_values(truth, entry, xskillscore.crps_ensemble(truth.tas, entry.tas, dim=[]))


def _grid_values(truth: Any, entry: Any, crps: Any) -> Values:
    """Means weighted by cos(latitude); ranked probability scores over the thirds whose edges the truth carries."""
    import dask

    y, f, edges = truth.tas, entry.tas, truth.edges
    weights = np.cos(np.deg2rad(truth.lat))
    below = (y < edges).astype(float)
    squares = (f.mean("member", dtype=float) - y) ** 2
    rps = (((f < edges).mean("member") - below) ** 2).sum("edge")
    thirds = (((edges.edge + 1) / 3 - below) ** 2).sum("edge")
    means = dask.compute(*(field.astype(float).weighted(weights).mean() for field in (crps, squares, rps, thirds)))
    crps, mse, rps, base = map(float, means)
    return {"crps": crps, "rmse": mse**0.5, "rps": rps, "rpss": 1 - rps / base}


def shown(values: Values) -> Iterator[tuple[str, float]]:
    """Values as plain numbers."""
    return ((name, float(value)) for name, value in values.items())
