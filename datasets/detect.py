"""What a sponsor's own data files are: kind, ids, columns, CRS and dimensions, read on the sponsor's machine.

Each detector looks at the truth file and returns a ``Detected``: the values for challenge.toml, notes about guesses,
and a way to write a sample that holds nothing of the truth but one average, most frequent class or the map's extent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
import xarray as xr

MAX_CLASSES = 30
MAX_ID_COLUMNS = 3
VALUE_NAMES = ("ounces", "value", "grade", "tonnes", "amount")
WEIGHT_NAMES = ("weight", "w")
Values = dict[str, Any]


@dataclass(frozen=True)
class Detected:
    """Sections of challenge.toml as plain values; ``notes`` say what was guessed and where to change it."""

    kind: str
    truth: Values
    submission: Values
    scoring: Values
    blocks: Values = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sample_name: str = ""
    write_sample: Callable[[Path], None] | None = None


def detect(truth: Path, public: Sequence[Path]) -> Detected | None:
    """What the truth file says about its challenge; None when its format is not known.

    Args:
        truth: the hidden answer.
        public: the files experts will hold; they show which columns are ids.
    """
    suffix = truth.suffix.lower()
    if suffix == ".csv" or (suffix == ".parquet" and not _is_geoparquet(truth)):
        return _table(truth, public)
    if suffix in {".geojson", ".gpkg", ".parquet"}:
        return _vector(truth, public)
    if suffix in {".tif", ".tiff"}:
        return _raster(truth)
    if suffix == ".nc" or truth.name.lower().endswith(".zip"):
        return _grid(truth)
    return None


# table ------------------------------------------------------------------------------------------------------------


def _table(path: Path, public: Sequence[Path]) -> Detected:
    truth = _rows(path)
    others = [set(_columns(file)) for file in public if file.suffix.lower() in {".csv", ".parquet"}]
    ids = _ids(truth, others)
    weight = next((name for name in truth.columns if name.lower() in WEIGHT_NAMES and name not in ids), None)
    target, *rivals = _targets(truth, [*ids, *([weight] if weight else [])], others)
    notes = [f"id = {ids} was taken as what names a row; see [truth].", f"target = {target!r} was taken as the answer."]
    if rivals:
        notes.append(f"It could also be {', '.join(rivals)}: then change target, prediction and the sample.")
    classes = _classes(truth[target])
    answer = truth[target].mode().iloc[0] if classes else float(truth[target].mean())
    values: Values = {"id": ids, "target": target}
    if classes:
        values["classes"] = classes
        notes.append(f"{target!r} has {len(classes)} different values and is scored as classes.")
    if weight:
        values["weight"] = weight
    group = next((name for name in ids if truth[name].nunique() < len(truth) and not _is_float(truth[name])), None)
    sample = truth[ids].assign(**{target: answer})
    return Detected(
        kind="table",
        truth=values,
        submission={"prediction": target, "formats": ["csv", "parquet"]},
        scoring=_scoring("f1_macro accuracy" if classes else "rmse mae r2"),
        blocks={"by": group, "public": 0.5, "seed": 1} if group else {},
        notes=tuple(notes),
        sample_name="sample.csv",
        write_sample=partial(sample.to_csv, index=False),
    )


def _rows(path: Path) -> pd.DataFrame:
    return (
        pd.read_parquet(path)
        if path.suffix.lower() == ".parquet"
        else pd.read_csv(path, keep_default_na=False, na_values=[""])
    )


def _columns(path: Path) -> list[str]:
    if path.suffix.lower() == ".parquet":
        return [str(name) for name in pd.read_parquet(path).columns]
    return [str(name) for name in pd.read_csv(path, nrows=0).columns]


def _ids(truth: pd.DataFrame, others: Sequence[set[str]]) -> list[str]:
    """The fewest columns that tell all rows apart, best those that public tables have too; else the first column."""
    shared = [name for name in truth.columns if any(name in columns for columns in others)]
    ordered = sorted(
        truth.columns, key=lambda name: (name not in shared, _is_float(truth[name]), "id" not in name.lower())
    )
    candidates = [name for name in ordered if name in shared] or ordered[:-1] or ordered
    for pool in (candidates, ordered):
        for size in range(1, MAX_ID_COLUMNS + 1):
            for names in combinations(pool, size):
                if not truth.duplicated(list(names)).any():
                    return [name for name in truth.columns if name in names]
    return [str(truth.columns[0])]


def _targets(truth: pd.DataFrame, used: Sequence[str], others: Sequence[set[str]]) -> list[str]:
    """Columns that may be the answer, the likeliest first: those that public tables with the ids lack come first."""
    left = [str(name) for name in truth.columns if name not in used]
    fit = (
        [name for name in left if _is_number(truth[name]) or _classes(truth[name])] or left or [str(truth.columns[-1])]
    )
    tests = [columns for columns in others if set(used) & columns]
    return sorted(fit, key=lambda name: not any(name not in columns for columns in tests))


def _classes(column: "pd.Series[Any]") -> list[str] | None:
    """The labels of a column of few different whole numbers or texts, sorted; None for anything else."""
    if _is_float(column):
        return None
    levels = column.drop_duplicates().sort_values()
    few = 2 <= len(levels) <= MAX_CLASSES and 2 * len(levels) <= len(column)
    return [str(level) for level in levels] if few else None


def _is_number(column: Any) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column)) and not pd.api.types.is_bool_dtype(column)


def _is_float(column: Any) -> bool:
    return bool(pd.api.types.is_float_dtype(column))


# points and polygons ----------------------------------------------------------------------------------------------


def _vector(path: Path, public: Sequence[Path]) -> Detected | None:
    truth = _features(path)
    shapes = set(truth.geometry.geom_type)
    grid = next(
        (file for file in public if file.stem.lower() in {"grid", "template"} and file.suffix.lower() == ".tif"), None
    )
    if shapes == {"Point"}:
        return _read_at_points(grid) if grid else _points(truth)
    if shapes and shapes <= {"Polygon", "MultiPolygon"}:
        return _polygons(truth)
    return None


def _points(truth: gpd.GeoDataFrame) -> Detected:
    numbers = [name for name in truth.columns if pd.api.types.is_numeric_dtype(truth[name])]
    value = next((name for name in numbers if name.lower() in VALUE_NAMES), None)
    radius = _round_down(_extent(truth) / 50)
    notes = [f"radius = {radius} CRS units was guessed from the map's extent; choose what counts as a hit."]
    if truth.crs is None or truth.crs.is_geographic:
        notes.append("The truth has no projected CRS: save it in one (UTM, say), because distances are measured.")
    measures = "captured_value hits precision recall" if value else "f1 hits precision recall"
    return Detected(
        kind="points",
        truth={**({"value": value} if value else {}), "radius": radius},
        submission={"confidence": "score", "max_features": 200, "formats": ["gpkg", "geojson", "geoparquet", "csv"]},
        scoring=_scoring(measures),
        blocks={"size": _block_edge(truth), "public": 0.5, "seed": 1},
        notes=tuple(notes),
        sample_name="sample.gpkg",
        write_sample=partial(_write_targets, shapely.points(*_lattice(truth)), truth.crs, {}),
    )


def _polygons(truth: gpd.GeoDataFrame) -> Detected:
    texts = [name for name in truth.columns if name != truth.geometry.name and truth[name].dtype.kind in "OT"]
    label = next((name for name in texts if 2 <= truth[name].nunique() <= MAX_CLASSES), None)
    x, y = _lattice(truth)
    half = _extent(truth) / 100
    squares = shapely.box(x - half, y - half, x + half, y + half)
    columns = {label: truth[label].mode().iloc[0]} if label else {}
    return Detected(
        kind="polygons",
        truth={"label": label} if label else {},
        submission={
            "confidence": "score",
            **({"label": label} if label else {}),
            "formats": ["geojson", "gpkg", "geoparquet"],
        },
        scoring=_scoring("f1_iou50 precision recall"),
        blocks={"size": _block_edge(truth), "public": 0.5, "seed": 1},
        notes=(f"label = {label!r} was taken as the class of a footprint.",) if label else (),
        sample_name="sample.gpkg",
        write_sample=partial(_write_targets, squares, truth.crs, columns),
    )


def _features(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_parquet(path) if path.suffix.lower() == ".parquet" else gpd.read_file(path)


def _is_geoparquet(path: Path) -> bool:
    try:
        gpd.read_parquet(path)
    except ValueError:
        return False
    return True


def _extent(truth: gpd.GeoDataFrame) -> float:
    west, south, east, north = truth.total_bounds
    return float(max(east - west, north - south, 1e-6))


def _lattice(truth: gpd.GeoDataFrame) -> tuple[Any, Any]:
    """A regular five by five lattice over the map: a sample that knows only in which block tiles the truth lies."""
    edge = _block_edge(truth)
    west, south, east, north = (np.floor(truth.total_bounds / edge) + np.array([0, 0, 1, 1])) * edge
    steps = (np.arange(5) + 0.5) / 5
    x, y = np.meshgrid(west + steps * (east - west), south + steps * (north - south))
    return x.ravel(), y.ravel()


def _block_edge(truth: gpd.GeoDataFrame) -> float:
    return _round_down(_extent(truth) / 8)


def _write_targets(geometry: Any, crs: Any, columns: Values, path: Path) -> None:
    frame = gpd.GeoDataFrame(
        {"score": np.linspace(1.0, 0.04, len(geometry)), **columns}, geometry=list(geometry), crs=crs
    )
    frame.to_file(path, driver="GPKG", layer="targets")


def _round_down(value: float) -> float:
    """One significant digit: 743.2 → 700.0."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(np.floor(value / power) * power)


# raster -----------------------------------------------------------------------------------------------------------


def _raster(path: Path) -> Detected:
    with rasterio.open(path, driver="GTiff") as source:
        band = source.read(1, masked=True)
        profile, edge = source.profile, 16 * abs(source.transform.a)
    seen = band.compressed()
    levels = np.unique(seen) if band.dtype.kind in "iu" else np.array([])
    if set(levels.tolist()) <= {0, 1} and len(levels):
        meaning, answer, dtype, measures = "probability", float(seen.mean()), "float32", "roc_auc average_precision"
    elif 2 <= len(levels) <= MAX_CLASSES:
        meaning, answer, dtype, measures = "categorical", _most_frequent(seen), str(band.dtype), "f1_macro accuracy"
    else:
        meaning, answer, dtype, measures = "continuous", float(seen.mean()), "float32", "rmse mae r2"
    classes = {"classes": [str(level) for level in levels]} if meaning == "categorical" else {}
    shape = {key: profile[key] for key in ("crs", "transform", "width", "height")}
    return Detected(
        kind="raster",
        truth={"band": 1, **classes},
        submission={"band": 1, "meaning": meaning, **_unit_range(meaning), "formats": ["geotiff"]},
        scoring=_scoring(measures),
        blocks={"size": edge, "public": 0.5, "seed": 1},
        notes=(f'meaning = "{meaning}" was taken from the values of the truth.',),
        sample_name="sample.tif",
        write_sample=partial(_write_constant, shape, answer, dtype),
    )


def _read_at_points(grid: Path) -> Detected:
    with rasterio.open(grid, driver="GTiff") as source:
        shape = {key: source.profile[key] for key in ("crs", "transform", "width", "height")}
        edge = 16 * abs(source.transform.a)
    return Detected(
        kind="raster",
        truth={"grid": f"public/{grid.name}"},
        submission={"meaning": "probability", **_unit_range("probability"), "formats": ["geotiff"]},
        scoring=_scoring("roc_auc average_precision capture_auc"),
        blocks={"size": edge, "public": 0.5, "seed": 1},
        notes=(f"Points and {grid.name}: entries are maps on that grid, read at the hidden points.",),
        sample_name="sample.tif",
        write_sample=partial(_write_constant, shape, 0.5, "float32"),
    )


def _unit_range(meaning: str) -> Values:
    return {"range": [0.0, 1.0]} if meaning == "probability" else {}


def _most_frequent(values: Any) -> Any:
    levels, counts = np.unique(values, return_counts=True)
    return levels[counts.argmax()].item()


def _write_constant(shape: Mapping[str, Any], value: Any, dtype: str, path: Path) -> None:
    layout = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype=dtype, **shape, **layout) as target:
        target.write(np.full((shape["height"], shape["width"]), value, dtype=dtype), 1)


# grid -------------------------------------------------------------------------------------------------------------


def _grid(path: Path) -> Detected | None:
    netcdf = path.suffix.lower() == ".nc"
    data = (
        xr.open_dataset(path, engine="h5netcdf", decode_times=False)
        if netcdf
        else xr.open_zarr(path, decode_times=False)
    )
    with data:
        names = [str(name) for name, array in data.data_vars.items() if array.dtype.kind == "f" and array.ndim]
        if not names:
            return None
        name = names[0]
        array = data[name].load()
    sample = array.copy(data=np.full(array.shape, float(array.mean()))).to_dataset(name=name)
    by = "time" if "time" in array.dims else str(array.dims[0])
    return Detected(
        kind="grid",
        truth={"variable": name},
        submission={"variable": name, "formats": ["netcdf", "zarr-zip"]},
        scoring=_scoring("rmse mae bias"),
        blocks={"by": by, "public": 0.5, "seed": 1},
        notes=(f"variable = {name!r} with dimensions {', '.join(map(str, array.dims))} was taken as the answer.",),
        sample_name="sample.nc",
        write_sample=partial(sample.to_netcdf, engine="h5netcdf", encoding={name: {"_FillValue": None}}),
    )


def _scoring(names: str) -> Values:
    metrics = names.split()
    return {"primary": metrics[0], "metrics": metrics}
