"""What a user would pick today for the same files, to the same metric values."""

from collections.abc import Callable, Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import properscoring
import rasterio
import xarray as xr
from scipy.spatial import cKDTree
from sklearn import metrics

Values = dict[str, float]


def table(folder: Path) -> Values:
    """pandas merge and scikit-learn, as the metric scripts of contest sites do."""
    truth, entry = pd.read_csv(folder / "hidden/truth.csv"), pd.read_csv(folder / "entry.csv")
    both = truth.merge(entry, on="id", suffixes=("", "_f"), validate="one_to_one")
    return {
        "rmse": float(metrics.root_mean_squared_error(both.y, both.y_f)),
        "mae": float(metrics.mean_absolute_error(both.y, both.y_f)),
        "r2": float(metrics.r2_score(both.y, both.y_f)),
    }


def points(folder: Path) -> Values:
    """geopandas, a KD-tree and a loop over ranked candidates."""
    truth, entry = gpd.read_file(folder / "hidden/truth.geojson"), pd.read_csv(folder / "entry.csv")
    deposits, xy = np.stack([truth.geometry.x, truth.geometry.y], 1), entry[["x", "y"]].to_numpy()
    near = cKDTree(deposits).query_ball_point(xy, 250.0, workers=-1)
    taken, hits, precision = np.zeros(len(deposits), bool), 0, 0.0
    for rank, i in enumerate(np.argsort(-entry.confidence.to_numpy(), kind="stable"), 1):
        free = [j for j in near[i] if not taken[j]]
        if free:
            taken[min(free, key=lambda j: ((deposits[j] - xy[i]) ** 2).sum())] = True
            hits += 1
            precision += hits / rank
    return {"average_precision": precision / len(deposits), "hits": float(hits)}


def polygons(folder: Path) -> Values:
    """geopandas sjoin, vectorised IoU and a greedy loop."""
    truth, entry = gpd.read_file(folder / "hidden/truth.geojson"), gpd.read_parquet(folder / "entry.parquet")
    pairs = entry[["geometry"]].sjoin(truth[["geometry"]], predicate="intersects")
    i, j = pairs.index.to_numpy(), pairs["index_right"].to_numpy()
    a, b = entry.geometry.values[i], truth.geometry.values[j]
    shared = a.intersection(b).area
    iou = shared / (a.area + b.area - shared)
    rank = np.empty(len(entry), int)
    rank[np.argsort(-entry.confidence.to_numpy(), kind="stable")] = np.arange(len(entry))
    taken, used = set(), set()
    for k in np.lexsort((-iou, rank[i])):
        if iou[k] >= 0.5 and j[k] not in taken and i[k] not in used:
            taken.add(j[k])
            used.add(i[k])
    hits = len(taken)
    return {
        "f1_iou50": 2 * hits / (len(entry) + len(truth)),
        "precision": hits / len(entry),
        "recall": hits / len(truth),
    }


def raster(folder: Path) -> Values:
    """rasterio and scikit-learn."""
    with rasterio.open(folder / "hidden/truth.tif") as a, rasterio.open(folder / "entry.tif") as b:
        truth, guess = a.read(1), b.read(1)
    inside = truth != -9999.0
    y, f = truth[inside].astype(float), guess[inside].astype(float)
    return {
        "rmse": float(metrics.root_mean_squared_error(y, f)),
        "mae": float(metrics.mean_absolute_error(y, f)),
        "r2": float(metrics.r2_score(y, f)),
        "bias": float(np.mean(f - y)),
    }


def grid(folder: Path) -> Values:
    """xarray and properscoring."""
    with xr.open_dataset(folder / "hidden/truth.nc") as truth, xr.open_dataset(folder / "entry.nc") as entry:
        observed = truth.tas.values.astype(float)
        members = entry.tas.transpose("time", "lat", "lon", "member").values.astype(float)
    return {"crps": float(properscoring.crps_ensemble(observed, members).mean())}


PEERS: Mapping[str, Callable[[Path], Values]] = {
    "table": table,
    "points": points,
    "polygons": polygons,
    "raster": raster,
    "grid": grid,
}
