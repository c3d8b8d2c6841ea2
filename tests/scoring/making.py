"""Specs and canonical forms in memory, for tests of pairing and scoring."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from benchmarks.heads import head
from datasets.canonical import Canonical, pack_text
from datasets.spec import Spec, parse_spec
from scoring.kinds.pairing import Pairing
from scoring.samples import Sample

TABLE = """
[truth]
file = "hidden/truth.csv"
id = ["well", "depth"]
target = "y"
[submission]
prediction = "y"
[blocks]
by = "well"
public = 0.5
seed = 7
[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "r2", "spearman_r", "median_ae"]
"""


def spec_of(kind: str, sections: str) -> Spec:
    return parse_spec(head(kind) + sections)


def column(name: str, values: Sequence[Any] | np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """A canonical column: text as two arrays, numbers as they are."""
    array = np.asarray(values)
    if array.dtype.kind in "UO":
        return pack_text([str(value) for value in values], name)
    return {name: array}


def table(columns: Mapping[str, Any], classes: Sequence[str] | None = None) -> Canonical:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, values in columns.items():
        arrays.update(column(name, values))
    return Canonical("table", arrays, {"rows": len(next(iter(columns.values()))), "classes": classes})


def points(xy: Any, **more: Any) -> Canonical:
    """Points in rank order."""
    places = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    arrays = {"x": places[:, 0].copy(), "y": places[:, 1].copy(), "order": np.arange(len(places))}
    return Canonical("points", {**arrays, **{name: np.asarray(v, dtype=np.float64) for name, v in more.items()}}, {})


def polygons(shapes: Sequence[Any], **more: Any) -> Canonical:
    """Polygons without holes, or multipolygons."""
    multi = [shapely.multipolygons([shape]) if shape.geom_type == "Polygon" else shape for shape in shapes]
    coords, rings, parts, features = (
        np.empty((0, 2)),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
    )
    if multi:
        _, coords, (rings, parts, features) = shapely.to_ragged_array(np.array(multi, dtype=object))
    arrays = {"coords": coords[:, :2], "rings": rings, "parts": parts, "features": features}
    for name, values in more.items():
        arrays.update(column(name, values))
    return Canonical("polygons", arrays, {})


def raster(band: Any, valid: Any = None, transform: Sequence[float] = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)) -> Canonical:
    arrays = {"band": np.asarray(band)} | ({} if valid is None else {"valid": np.asarray(valid, dtype=bool)})
    return Canonical("raster", arrays, {"crs": None, "transform": list(transform), "nodata": None, "classes": None})


def grid(
    data: Any, coords: Mapping[str, Any], member: str | None = None, types: Mapping[str, str] | None = None
) -> Canonical:
    arrays = {"data": np.asarray(data, dtype=np.float64)}
    for name, labels in coords.items():
        arrays.update(column(f"coord.{name}", labels))
    kinds = {name: "text" if np.asarray(v).dtype.kind in "UO" else "number" for name, v in coords.items()}
    return Canonical("grid", arrays, {"dims": list(coords), "member": member, "axis_types": {**kinds, **(types or {})}})


def gathered(pairing: Pairing) -> dict[tuple[str, str], list[Sample]]:
    """Every sample of a pairing, by block and side, in plan order."""
    found: dict[tuple[str, str], list[Sample]] = {}
    for part in range(pairing.parts):
        for key, side, sample in pairing.samples(part):
            found.setdefault((key, side), []).append(sample)
    return found


def codes(findings: Sequence[Any]) -> list[str]:
    return [finding.code for finding in findings]
