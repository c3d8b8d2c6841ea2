"""Truth and prediction files of a chosen size, a function of size and kind alone.

`DIR/KIND/` gets ``truth.*`` and ``pred.*``, written as pyarrow, GDAL and xarray write them. The formats of a kind hold
the same numbers, so the values of a metric must agree between them too. ``benchmarks.specs`` says what is scored.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import rasterio
import shapely
import xarray as xr
from rasterio.transform import from_origin

Rng = np.random.Generator
Size = Mapping[str, Any]
CRS = "EPSG:32615"
ORIGIN = np.array([400_000.0, 5_700_000.0])
CLASSES = 5
MEMBERS, EDGES = ("member", "time", "lat", "lon"), ("edge", "lat", "lon")
SIZES: Mapping[str, Size] = {
    "tiny": {"rows": 4000, "targets": 600, "deposits": 60, "polygons": 150, "side": 256, "grid": (6, 3, 19, 36)},
    "small": {
        "rows": 100_000, "targets": 10_000, "deposits": 500, "polygons": 2000, "side": 1024, "grid": (10, 4, 61, 120),
    },
    "medium": {
        "rows": 1_000_000, "targets": 100_000, "deposits": 2000, "polygons": 20_000, "side": 4096,
        "grid": (50, 8, 121, 240),
    },
    "large": {
        "rows": 10_000_000, "targets": 1_000_000, "deposits": 10_000, "polygons": 200_000, "side": 8192,
        "grid": (50, 20, 361, 720),
    },
}  # fmt: skip


def _columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """One table as CSV and as Parquet."""
    made = pa.table(dict(columns))
    pa.csv.write_csv(made, path.with_suffix(".csv"), pa.csv.WriteOptions(quoting_style="none"))
    pa.parquet.write_table(made, path.with_suffix(".parquet"), row_group_size=1 << 20)


def table(size: Size, folder: Path, rng: Rng) -> None:
    """A number, an event and one of five classes by a sparse 40-bit id; the prediction's rows are shuffled."""
    n = size["rows"]
    ids = (np.arange(1, n + 1, dtype=np.int64) * 668_265_263_273) % (1 << 40)  # an odd factor: no two are the same
    hidden = rng.standard_normal(n)
    logits = np.sin(hidden[:, None] * np.arange(1, CLASSES + 1))
    label = (hidden + 0.7 * rng.standard_normal(n) > 1).astype(np.int8)
    cls = (logits + 0.5 * rng.gumbel(size=logits.shape)).argmax(1).astype(np.int8)
    _columns(folder / "truth", {"id": ids, "y": np.round(3 * hidden + 10, 4), "label": label, "cls": cls})
    guess = hidden + 0.4 * rng.standard_normal(n)
    share = np.exp(2 * np.sin(guess[:, None] * np.arange(1, CLASSES + 1)))
    share = np.round(share / share.sum(1, keepdims=True), 6)
    share[:, -1] = np.round(1 - share[:, :-1].sum(1), 6)
    prob = np.round(np.clip(1 / (1 + np.exp(2 - 2 * guess)), 1e-6, 1 - 1e-6), 6)
    order = rng.permutation(n)
    columns = {"id": ids, "y": np.round(3 * guess + 10, 4), "prob": prob}
    columns |= {f"p{k}": share[:, k] for k in range(CLASSES)}
    _columns(folder / "pred", {name: values[order] for name, values in columns.items()})


def points(size: Size, folder: Path, rng: Rng) -> None:
    """Ranked targets, some near a deposit, on 100 km × 100 km; deposits lie in clusters and have values."""
    n, m, extent = size["targets"], size["deposits"], 100_000.0
    camps = rng.uniform(0, extent, (m // 20 + 1, 2))
    deposits = np.round(np.clip(camps[rng.integers(0, len(camps), m)] + rng.normal(0, 3000, (m, 2)), 0, extent), 2)
    value = np.round(rng.lognormal(0, 1.5, m), 3)
    _columns(folder / "truth", {"x": deposits[:, 0], "y": deposits[:, 1], "value": value})
    informed = rng.random(n) < 0.15
    near = deposits[rng.integers(0, m, n)] + rng.normal(0, 220, (n, 2))
    xy = np.round(np.where(informed[:, None], near, rng.uniform(0, extent, (n, 2))), 2)
    confidence = _distinct(informed * 1.2 + rng.standard_normal(n))
    _columns(folder / "pred", {"x": xy[:, 0], "y": xy[:, 1], "confidence": confidence})


def _distinct(scores: np.ndarray) -> np.ndarray:
    """Confidences between 0 and 1 in the order of ``scores``, no two the same."""
    found = np.empty(len(scores))
    found[np.argsort(scores, kind="stable")] = (np.arange(len(scores)) + 0.5) / len(scores)
    return found


OUTLINES = (
    np.array([[-1, -0.6], [1, -0.6], [1, 0.6], [-1, 0.6]]),
    np.array([[-1, -1], [1, -1], [1, 0], [0, 0], [0, 1], [-1, 1]]),
    np.array([[-1, -1], [1, -1], [1, 1], [0.5, 1], [0.5, -0.3], [-0.5, -0.3], [-0.5, 1], [-1, 1]]),
    np.array([[np.cos(a), np.sin(a)] for a in np.arange(14) * np.pi / 7]),
)


def _footprints(shape: np.ndarray, centre: np.ndarray, half: np.ndarray, turn: np.ndarray, rng: Rng) -> np.ndarray:
    """Outlines scaled, with corners moved a little, turned and put in place, to the millimetre."""
    corners = np.array([len(outline) for outline in OUTLINES])[shape]
    owner = np.repeat(np.arange(len(shape)), corners)
    xy = np.concatenate([OUTLINES[k] for k in shape]) * half[owner, None]
    xy += rng.uniform(-0.2, 0.2, xy.shape)
    sine, cosine = np.sin(turn[owner]), np.cos(turn[owner])
    turned = np.stack([xy[:, 0] * cosine - xy[:, 1] * sine, xy[:, 0] * sine + xy[:, 1] * cosine], 1)
    return shapely.polygons(shapely.linearrings(np.round(turned + centre[owner] + ORIGIN, 3), indices=owner))


def polygons(size: Size, folder: Path, rng: Rng) -> None:
    """Buildings on plots; predicted are most of them, shifted, a tenth twice, and alarms where nothing stands."""
    n, pitch = size["polygons"], 32.5
    side = int(np.ceil(np.sqrt(n / 0.9)))
    plots = rng.permutation(side * side)
    centres = (np.stack(np.divmod(plots, side), 1) + 0.5) * pitch
    shape, half, turn = rng.integers(0, len(OUTLINES), n), rng.uniform(4, 8.5, n), rng.uniform(0, np.pi, n)
    where = centres[:n] + rng.uniform(-1.5, 1.5, (n, 2))
    truth = _footprints(shape, where, half, turn, rng)
    seen = rng.permutation(n)[: int(0.8 * n)]
    seen = np.concatenate([seen, seen[: n // 10]])
    shift = rng.normal(0, 1, (len(seen), 2)) * rng.choice([0.4, 1.2, 3.0], (len(seen), 1))
    sizes, angles = half[seen] * rng.uniform(0.85, 1.15, len(seen)), turn[seen] + rng.normal(0, 0.05, len(seen))
    hits = _footprints(shape[seen], where[seen] + shift, sizes, angles, rng)
    alarms = n - len(seen)
    at = centres[rng.integers(0, len(centres), alarms)] + rng.uniform(-2, 2, (alarms, 2))
    kinds, angles = rng.integers(0, len(OUTLINES), alarms), rng.uniform(0, np.pi, alarms)
    guessed = np.concatenate([hits, _footprints(kinds, at, rng.uniform(3, 8, alarms), angles, rng)])
    confidence = _distinct(np.concatenate([rng.beta(5, 2, len(seen)), rng.beta(2, 4, alarms)]))
    order = rng.permutation(n)
    frames = {
        "truth": gpd.GeoDataFrame({"plot": plots[:n]}, geometry=truth, crs=CRS),
        "pred": gpd.GeoDataFrame({"confidence": confidence[order]}, geometry=guessed[order], crs=CRS),
    }
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
        frame.to_file(folder / f"{name}.geojson", driver="GeoJSON", COORDINATE_PRECISION=3)


def _terrain(shape: tuple[int, int], octaves: Mapping[int, float], rng: Rng) -> np.ndarray:
    """White noise on coarser and coarser nets, enlarged bilinearly and added up."""
    field = np.zeros(shape, np.float32)
    for cells, height in octaves.items():
        rows, columns = (_stretch(length, min(cells, length)) for length in shape)
        noise = rng.standard_normal((rows.shape[1], columns.shape[1]), np.float32)
        field += np.float32(height) * (rows @ noise @ columns.T)
    return field


def _stretch(length: int, cells: int) -> np.ndarray:
    """The matrix that draws ``cells`` values out to ``length`` by linear interpolation."""
    at = np.linspace(0, cells - 1, length)
    low = np.minimum(at.astype(int), max(cells - 2, 0))
    made = np.zeros((length, cells), np.float32)
    made[np.arange(length), low] = 1 - (at - low)
    made[np.arange(length), np.minimum(low + 1, cells - 1)] += at - low
    return made


def raster(size: Size, folder: Path, rng: Rng) -> None:
    """Tiled ZSTD GeoTIFFs: a quantity, an event with probabilities, ten classes; a tenth of the truth is nodata."""
    shape, octaves = (size["side"], size["side"]), {64: 1.0, 256: 0.5, 1024: 0.25}
    truth = _terrain(shape, octaves, rng)
    guess = truth + 0.5 * _terrain(shape, octaves, rng)
    void = _terrain(shape, {8: 1.0}, rng)
    void = void < np.quantile(void[::16, ::16], 0.1)
    edges = np.quantile(truth[::16, ::16], np.linspace(0, 1, 11)[1:-1])
    classes = [np.digitize(field, edges).astype(np.uint8) for field in (truth, guess)]
    layers: dict[str, tuple[np.ndarray, float]] = {
        "truth_cont": (np.where(void, np.float32(-9999), np.round(truth, 3)), -9999.0),
        "pred_cont": (np.round(guess, 3), -9999.0),
        "truth_prob": (np.where(void, 255, truth > 1).astype(np.uint8), 255),
        "pred_prob": ((1 / (1 + np.exp(2 - 2 * guess))).astype(np.float32), -9999.0),
        "truth_cat": (np.where(void, 255, classes[0]).astype(np.uint8), 255),
        "pred_cat": (classes[1], 255),
    }
    for name, (band, nodata) in layers.items():
        form = {
            "driver": "GTiff", "height": shape[0], "width": shape[1], "count": 1, "dtype": band.dtype.name,
            "nodata": nodata, "crs": CRS, "transform": from_origin(4e5, 5.7e6, 10, 10), "tiled": True,
            "blockxsize": 512, "blockysize": 512, "compress": "zstd", "predictor": 3 if band.dtype.kind == "f" else 2,
        }  # fmt: skip
        with rasterio.open(folder / f"{name}.tif", "w", **form) as target:
            target.write(band, 1)


def _rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """float32 with that many bits of mantissa, as archives round before they compress."""
    drop = 23 - bits
    raw = values.astype(np.float32).view(np.uint32) + np.uint32(1 << (drop - 1))
    return (raw & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32)


def grid(size: Size, folder: Path, rng: Rng) -> None:
    """An ensemble member × time × lat × lon and what came true, with the edges of the climate's thirds."""
    members, times, height, width = size["grid"]
    octaves, plane = {6: 2.0, 24: 1.0}, (height, width)
    truth = np.empty((times, *plane), np.float32)
    forecast = np.empty((members, times, *plane), np.float32)
    for time in range(times):
        base = 280 + 4 * _terrain(plane, octaves, rng)
        truth[time] = base + _terrain(plane, octaves, rng)
        for member in range(members):
            noise = 0.05 * rng.standard_normal(plane, np.float32)
            forecast[member, time] = base + 0.9 * _terrain(plane, octaves, rng) + noise
    edges = np.array([278, 282], np.float32)[:, None, None] + _terrain(plane, {6: 0.5}, rng)
    coords = {"time": np.arange(times), "lat": np.linspace(90, -90, height), "lon": np.arange(width) * 360 / width}
    arrays = {"tas": (MEMBERS[1:], _rounded(truth, 14)), "edges": (EDGES, _rounded(edges, 10))}
    half = ((height + 1) // 2, (width + 1) // 2)
    _cube(folder / "truth", xr.Dataset(arrays, coords | {"edge": [0, 1]}), {"tas": (1, *half), "edges": (2, *half)})
    arrays = {"tas": (MEMBERS, _rounded(forecast, 14))}
    chunks = {"tas": (min(10, members), 1, *half)}
    _cube(folder / "pred", xr.Dataset(arrays, coords | {"member": np.arange(members)}), chunks)


def _cube(path: Path, data: xr.Dataset, chunks: Mapping[str, tuple[int, ...]]) -> None:
    """One cube as Zarr with its default codec and as NetCDF-4 with zlib and shuffle."""
    encoding = {name: {"chunks": shape} for name, shape in chunks.items()}
    data.to_zarr(path.with_suffix(".zarr"), mode="w", consolidated=False, encoding=encoding)
    packing = {"zlib": True, "complevel": 1, "shuffle": True}
    encoding = {name: {"chunksizes": shape, **packing} for name, shape in chunks.items()}
    data.to_netcdf(path.with_suffix(".nc"), engine="h5netcdf", encoding=encoding)


KINDS: Mapping[str, Callable[[Size, Path, Rng], None]] = {
    "table": table, "points": points, "polygons": polygons, "raster": raster, "grid": grid,
}  # fmt: skip


def make(kind: str, size: str, folder: Path) -> Path:
    """The folder ``folder``/``size``/``kind`` with its files, made if it is not there yet."""
    target, wanted = folder / size / kind, json.dumps([kind, SIZES[size]])
    ready = target / "made.json"
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        target.mkdir(parents=True, exist_ok=True)
        KINDS[kind](SIZES[size], target, np.random.default_rng(list(KINDS).index(kind)))
        ready.write_text(wanted, encoding="utf-8")
    return target
