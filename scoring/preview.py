"""Pictures and tables of one scored entry.

``entry.*`` shows the entry itself and never the truth: a PNG with its bounds beside it, or GeoJSON. ``judge-*`` shows
entry and truth together, for judges alone: an error map, hits and misses, the largest residuals, the scores by block.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer

from datasets.canonical import Array, Canonical
from datasets.preview import MAX_FEATURES, MAX_PIXELS, Preview, preview
from datasets.spec import Spec
from datasets.threads import each
from scoring.contracts import JUDGE_ONLY
from scoring.engine import Outcome, by_block
from scoring.kinds import grid, points, polygons, raster, table
from scoring.kinds.columns import rows_text
from scoring.kinds.pairing import TruthSet, spread
from scoring.samples import Classes, Numbers, Probabilities

MAX_BLOCKS = 5_000
WORST = 200  # rows in the table of residuals
PIECE = 1 << 20  # rows looked through at a time
HORIZONTAL = {"lon": "lat", "longitude": "latitude", "x": "y", "easting": "northing"}
Drawn = dict[str, bytes]


def artifacts(spec: Spec, truth: TruthSet, prediction: Canonical, outcome: Outcome) -> Drawn:
    """Every file worth keeping of a scored entry, by name. The two pictures of a raster are drawn beside each other."""
    drawings: list[Callable[[], Drawn]] = [
        lambda: _files("entry", preview(_map_of(prediction, spec) or prediction)),
        lambda: _judged(spec, truth, prediction),
    ]
    threads = None if spec.challenge.kind == "raster" else 1
    entry, judged = each(lambda draw: draw(), drawings, threads=threads)
    return {**entry, **judged, **_blocks(spec, outcome)}


def _files(name: str, made: Preview | None) -> Drawn:
    """A picture under ``name``; a PNG gets its place on Earth beside it."""
    if made is None:
        return {}
    if made.media_type != "image/png":
        return {f"{name}.geojson": made.data}
    place = {"bounds": list(made.bounds), "local": made.local, "crs": "EPSG:4326"}
    return {f"{name}.png": made.data, f"{name}.json": _json(place)}


def _judged(spec: Spec, truth: TruthSet, prediction: Canonical) -> Drawn:
    kind = spec.challenge.kind
    if kind == "table":
        return {f"{JUDGE_ONLY}residuals.json": _json(_residuals(spec, truth, prediction))}
    if kind == "points":
        return {f"{JUDGE_ONLY}hits.geojson": _collection(_point_hits(spec, truth, prediction))}
    if kind == "polygons":
        return {f"{JUDGE_ONLY}hits.geojson": _collection(_polygon_hits(spec, truth, prediction))}
    if kind == "raster" and truth.grid is not None:
        return {f"{JUDGE_ONLY}points.geojson": _collection(_read_points(truth, prediction))}
    if kind == "raster":
        return _files(f"{JUDGE_ONLY}errors", preview(_raster_errors(spec, truth.truth, prediction)))
    return {}


def _blocks(spec: Spec, outcome: Outcome) -> Drawn:
    rows = [
        {"block": key, "side": side, "scores": scores, "bounds": bounds}
        for (key, side), scores, bounds in by_block(spec, outcome)[:MAX_BLOCKS]
    ]
    blocks = {f"{JUDGE_ONLY}blocks.json": _json({"metrics": list(spec.scoring.metrics), "rows": rows})}
    if outcome.confusion is None:
        return blocks
    return {**blocks, f"{JUDGE_ONLY}confusion.json": outcome.confusion.model_dump_json().encode()}


def _raster_errors(spec: Spec, truth: Canonical, prediction: Canonical) -> Canonical:
    """Prediction minus truth; for classes 1 where they differ. Thinned to what a preview shows."""
    step = max(1, math.ceil(max(truth.arrays["band"].shape) / MAX_PIXELS))
    y, f = (np.asarray(side.arrays["band"][::step, ::step]) for side in (truth, prediction))
    valid = np.isfinite(y) if "valid" not in truth.arrays else truth.arrays["valid"][::step, ::step] & np.isfinite(y)
    error = (y != f).astype(np.uint8) if spec.submission.meaning == "categorical" else f.astype(np.float64) - y
    a, b, c, d, e, g = truth.attrs["transform"]
    place = (a * step, b * step, c, d * step, e * step, g)
    return Canonical("raster", {"band": error, "valid": valid}, {"crs": truth.attrs.get("crs"), "transform": place})


def _map_of(prediction: Canonical, spec: Spec) -> Canonical | None:
    """The first map of a grid with two horizontal dimensions (the mean of its members) as a raster."""
    if prediction.kind != "grid":
        return None
    dims = grid.dims_of(prediction)
    across = next((dim for dim in dims if HORIZONTAL.get(dim.lower()) in {name.lower() for name in dims}), None)
    if across is None:
        return None
    down = next(dim for dim in dims if dim.lower() == HORIZONTAL[across.lower()])
    member = grid.member_of(prediction, spec)
    order = [dims.index(down), dims.index(across)]
    rest = [i for i in range(len(dims)) if i not in order]
    data = np.transpose(prediction.arrays["data"], [*order, *rest])
    index = tuple(slice(None) if dims[i] == member else 0 for i in rest)
    layer = np.asarray(data[(slice(None), slice(None), *index)], dtype=np.float64)
    layer = layer.mean(axis=-1) if layer.ndim > 2 else layer
    return _as_raster(layer, prediction.arrays[f"coord.{across}"], prediction.arrays[f"coord.{down}"], across.lower())


def _as_raster(layer: Array, x: Array, y: Array, name: str) -> Canonical | None:
    if min(layer.shape) < 2 or any(not np.allclose(np.diff(axis), axis[1] - axis[0], rtol=1e-3) for axis in (x, y)):
        return None
    dx, dy = float(x[1] - x[0]), float(y[1] - y[0])
    if dx < 0:
        layer, x, dx = layer[:, ::-1], x[::-1], -dx
    if dy > 0:
        layer, y, dy = layer[::-1], y[::-1], -dy
    place = (dx, 0.0, float(x[0]) - dx / 2, 0.0, dy, float(y[0]) - dy / 2)
    crs = CRS.from_epsg(4326).to_wkt() if name in {"lon", "longitude"} else None
    return Canonical("raster", {"band": layer, "valid": np.isfinite(layer)}, {"crs": crs, "transform": place})


def _residuals(spec: Spec, truth: TruthSet, prediction: Canonical) -> dict[str, Any]:
    """The rows that are furthest off, with their block."""
    aligned = table.align(prediction, truth, spec)
    worst, off = _worst(aligned)
    sample = aligned.cut(worst)
    classes = table.classes_of(prediction, truth.truth, spec) if isinstance(sample, Classes) else ()
    names, blocks = rows_text(table.ids(truth.truth, spec), worst), aligned.placed.codes[worst].tolist()
    rows = [
        {"id": name, "block": aligned.placed.keys[block], **values, "off": distance}
        for name, block, values, distance in zip(names, blocks, _values(sample, classes), off.tolist(), strict=True)
    ]
    return {"id": list(spec.truth.id or ()), "rows": rows}


def _worst(aligned: table.Aligned) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The rows that are furthest off and how far, the worst first, rows that are off alike in their order."""
    rows, off = np.zeros(0, dtype=np.int64), np.zeros(0)
    for start, stop in spread(len(aligned.rows), PIECE):
        here = _distance(aligned.cut(slice(start, stop)))
        least = -np.inf if len(here) <= WORST else np.partition(here, -WORST)[-WORST]
        above, level = np.flatnonzero(here > least), np.flatnonzero(here == least)
        found = np.sort(np.concatenate([above, level[: WORST - len(above)]]))
        rows, off = np.concatenate([rows, start + found]), np.concatenate([off, here[found]])
        order = np.argsort(-off, kind="stable")[:WORST]
        rows, off = rows[order], off[order]
    return rows, off


def _distance(sample: Numbers | Classes | Probabilities) -> npt.NDArray[np.float64]:
    """How far off each row is: |f − y|, 1 for a wrong class, 1 minus the probability of what was true."""
    if isinstance(sample, Probabilities):
        p = np.asarray(sample.p, dtype=np.float64)
        given = np.where(sample.y == 1, p, 1 - p) if p.ndim == 1 else np.take_along_axis(p, sample.y[:, None], 1)[:, 0]
        return np.asarray(1 - given, dtype=np.float64)
    if isinstance(sample, Classes):
        return np.asarray(sample.y != sample.f, dtype=np.float64)
    off: npt.NDArray[np.float64] = np.abs(np.asarray(sample.f, dtype=np.float64) - sample.y)
    return off


def _values(sample: Numbers | Classes | Probabilities, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """What was true and what was said, row by row."""
    said = sample.p if isinstance(sample, Probabilities) else sample.f
    pairs = zip(np.asarray(sample.y).tolist(), np.asarray(said).tolist(), strict=True)
    if isinstance(sample, Classes):
        return [{"truth": classes[truth], "prediction": classes[given]} for truth, given in pairs]
    return [{"truth": truth, "prediction": given} for truth, given in pairs]


Feature = tuple[Any, dict[str, Any]]


def _point_hits(spec: Spec, truth: TruthSet, prediction: Canonical) -> Iterator[Feature]:
    """Targets with hit or miss, best first, then the deposits, found or not."""
    targets, deposits = points.places(prediction), points.places(truth.truth)
    rank = points.ranks(prediction)
    found = points.match(targets, rank, deposits, float(spec.truth.radius or 0))
    to_degrees = _degrees(truth.truth)
    for place in np.argsort(rank, kind="stable")[:MAX_FEATURES].tolist():
        about: dict[str, Any] = {"what": "target", "rank": int(rank[place]) + 1, "hit": bool(found.taken[place] >= 0)}
        yield _point(to_degrees, targets[place]), {**about, "distance": round(float(found.distance[place]), 3)}
    taken = set(found.taken.tolist())
    value = truth.truth.arrays.get("value")
    for place in range(min(len(deposits), MAX_FEATURES)):
        worth = {} if value is None else {"value": float(value[place])}
        yield _point(to_degrees, deposits[place]), {"what": "deposit", "found": place in taken, **worth}


def _polygon_hits(spec: Spec, truth: TruthSet, prediction: Canonical) -> Iterator[Feature]:
    found = polygons.match(prediction, truth.truth, spec, truth.prepared)
    to_degrees = _degrees(truth.truth)
    for place, shape in enumerate(polygons.geometries(prediction)[:MAX_FEATURES]):
        about = {"what": "footprint", "hit": bool(found.hit[place, 0]), "iou": round(float(found.iou[place]), 4)}
        yield _shape(to_degrees, shape), about
    taken = set(found.taken[found.hit[:, 0]].tolist())
    for place, shape in enumerate(polygons.geometries(truth.truth)[:MAX_FEATURES]):
        yield _shape(to_degrees, shape), {"what": "truth", "found": place in taken}


def _read_points(truth: TruthSet, prediction: Canonical) -> Iterator[Feature]:
    """The true points with what the raster says there."""
    places, to_degrees = points.places(truth.truth)[:MAX_FEATURES], _degrees(truth.truth)
    row, col, inside = raster.frame(prediction).cells(places[:, 0], places[:, 1])
    for place in np.flatnonzero(inside).tolist():
        value = float(prediction.arrays["band"][row[place], col[place]])
        yield (
            _point(to_degrees, places[place]),
            {"what": "deposit", "predicted": value if math.isfinite(value) else None},
        )


def _degrees(canonical: Canonical) -> Transformer:
    """From the challenge's CRS to degrees; local units are taken as metres around 0, 0."""
    return Transformer.from_crs(CRS.from_user_input(canonical.attrs.get("crs") or "EPSG:3857"), 4326, always_xy=True)


def _point(to_degrees: Transformer, place: Array) -> dict[str, Any]:
    x, y = to_degrees.transform(float(place[0]), float(place[1]))
    return {"type": "Point", "coordinates": [round(x, 7), round(y, 7)]}


def _shape(to_degrees: Transformer, shape: Any) -> dict[str, Any]:
    moved = shapely.transform(shape, lambda xy: np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1])).round(7))
    return dict(shapely.geometry.mapping(moved))


def _collection(features: Iterator[Feature]) -> bytes:
    made = [{"type": "Feature", "geometry": shape, "properties": about} for shape, about in features]
    return _json({"type": "FeatureCollection", "features": made})


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
