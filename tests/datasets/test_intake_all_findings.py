"""A file with faults of several classes is told all of them at once, each in its place, and nothing that follows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import xarray
from pyproj import CRS

from datasets.errors import Rejected
from datasets.expect import Axis, Expectation
from datasets.intake import intake, remains
from tests.datasets import controls

RANGED = Expectation.loose(controls.spec("table", 'id = ["id"]\ntarget = "y"', 'prediction = "p"\nrange = [0.0, 1.0]'))
CLASSES = Expectation.loose(
    controls.spec(
        "table",
        'id = ["id"]\ntarget = "y"\nclasses = ["a", "b"]',
        'probabilities = {a = "pa", b = "pb"}',
        metric="log_loss",
    )
)
LABELS = Expectation.loose(
    controls.spec("table", 'id = ["id"]\ntarget = "y"\nclasses = ["a", "b"]', 'prediction = "p"', metric="accuracy")
)
Told = set[tuple[str, Any]]


def told(path: Path, form: str, expect: Expectation, out: Path) -> Told:
    """Code and place (row, feature, pixel, cell, else column or dimension, else None) of every finding."""
    with pytest.raises(Rejected) as caught:
        intake(path, format=form, expect=expect, out=out)
    places = [(finding.code, _place(dict(finding.where))) for finding in caught.value.findings]
    assert len(set(places)) == len(places), "nothing is told twice"
    return set(places)


def _place(where: dict[str, Any]) -> Any:
    for key in ("row", "feature", "column", "dim"):
        if key in where:
            return where[key]
    if "pixel" in where:
        return tuple(where["pixel"])
    return tuple(where["cell"].values()) if "cell" in where else None


def text(folder: Path, content: str) -> Path:
    path = folder / "upload"
    path.write_text(content, encoding="utf-8")
    return path


def columns(folder: Path, **values: pa.Array) -> Path:
    path = folder / "upload"
    pq.write_table(pa.table(values), path)
    return path


def test_csv_numbers(tmp_path: Path) -> None:
    rows = ["a,0.1", "b,", "c,nan", "d,x", "a,0.2", "e,7", "f,0.3,9", ",0.4", "f,-1", ",0.5", "c,0.6"]
    expected = {
        ("missing-value", 2),
        ("not-finite", 3),
        ("not-a-number", 4),
        ("duplicate-id", 5),
        ("out-of-range", 6),
        ("wrong-row", 7),
        ("missing-value", 8),
        ("out-of-range", 9),
        ("missing-value", 10),
        ("duplicate-id", 11),
    }
    assert told(text(tmp_path, "id,p\n" + "\n".join(rows)), "csv", RANGED, tmp_path / "out") == expected
    rest = remains(tmp_path / "out", RANGED)
    assert rest is not None
    assert rest.arrays["row"].tolist() == [0, 1, 2, 3, 4, 5, 8, 10]


def test_rows_keep_their_numbers_across_blocks(tmp_path: Path) -> None:
    rows = [f"{i:09d},0.5" for i in range(700_000)]
    rows[400_000], rows[600_000], rows[650_000] = "x", "1,2,3", "y,x"
    rows[690_000] = rows[5]
    expected = {("wrong-row", 400_001), ("wrong-row", 600_001), ("not-a-number", 650_001), ("duplicate-id", 690_001)}
    path = text(tmp_path, "id,p\n" + "\n".join(rows))
    assert path.stat().st_size > 2 * 4 << 20, "more than two blocks of the reader"
    assert told(path, "csv", RANGED, tmp_path / "out") == expected


def test_parquet_numbers(tmp_path: Path) -> None:
    path = columns(
        tmp_path,
        id=pa.array(["a", "b", None, "a", "d", None]),
        p=pa.array([0.1, None, 0.2, 0.3, 7.0, float("inf")]),
    )
    expected = {
        ("missing-value", 2),
        ("missing-value", 3),
        ("duplicate-id", 4),
        ("out-of-range", 5),
        ("missing-value", 6),
        ("not-finite", 6),
    }
    assert told(path, "parquet", RANGED, tmp_path / "out") == expected
    rest = remains(tmp_path / "out", RANGED)
    assert rest is not None
    assert rest.arrays["row"].tolist() == [0, 1, 3, 4]


def test_parquet_numbers_as_texts(tmp_path: Path) -> None:
    path = columns(tmp_path, id=pa.array([1, 2, 2, 4]), p=pa.array(["0.1", None, "x", "7"]))
    expected = {("missing-value", 2), ("duplicate-id", 3), ("not-a-number", 3), ("out-of-range", 4)}
    assert told(path, "parquet", RANGED, tmp_path / "out") == expected


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_probabilities(tmp_path: Path, form: str) -> None:
    frame = pd.DataFrame({"id": [1, 2, 3, 4, 1], "pa": [0.5, 0.5, 1.5, None, 0.5], "pb": [0.5, 0.6, 0.5, 0.5, 0.5]})
    path = tmp_path / "upload"
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path, index=False)
    expected = {
        ("probabilities-do-not-sum", 2),
        ("probability-out-of-range", 3),
        ("missing-value", 4),
        ("duplicate-id", 5),
    }
    assert told(path, form, CLASSES, tmp_path / "out") == expected


def test_classes(tmp_path: Path) -> None:
    path = text(tmp_path, "id,p\n1,a\n2,zinc\n3,\n1,b\n5,b,b\n")
    expected = {("unknown-class", 2), ("missing-value", 3), ("duplicate-id", 4), ("wrong-row", 5)}
    assert told(path, "csv", LABELS, tmp_path / "out") == expected


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_missing_column_hides_no_faults_of_others(tmp_path: Path, form: str) -> None:
    frame = pd.DataFrame({"id": [1, 2, 1], "pb": [0.5, 2.0, 0.5]})
    path = tmp_path / "upload"
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path, index=False)
    expected = {("missing-column", "pa"), ("probability-out-of-range", 2), ("duplicate-id", 3)}
    assert told(path, form, CLASSES, tmp_path / "out") == expected


def test_without_all_id_columns_nothing_is_said_of_ids(tmp_path: Path) -> None:
    two = Expectation.loose(controls.spec("table", 'id = ["well", "depth"]\ntarget = "y"', 'prediction = "p"'))
    path = text(tmp_path, "well,p\na,1\na,x\n")
    assert told(path, "csv", two, tmp_path / "out") == {("missing-column", "depth"), ("not-a-number", 2)}
    assert remains(tmp_path / "out", two) is None


def points(crs: int = 32633) -> Expectation:
    spec = controls.spec("points", "radius = 50.0", 'confidence = "score"', metric="hits")
    loose = Expectation.loose(spec)
    return replace(loose, crs=CRS.from_epsg(crs).to_wkt(), crs_fixed=True)


def test_points_csv(tmp_path: Path) -> None:
    rows = ["15,45,0.5", "15,245,0.4", "15,45,high", "nan,45,0.3", "15,,", "15,45", "15,-300,0.2"]
    expected = {
        ("outside-crs", 1),
        ("not-a-number", 3),
        ("not-finite", 4),
        ("missing-value", 5),
        ("wrong-row", 6),
        ("outside-crs", 6),
    }
    path = text(tmp_path, "lon,lat,score\n" + "\n".join(rows))
    with pytest.raises(Rejected) as caught:
        intake(path, format="csv", expect=points(), out=tmp_path / "out")
    places = [(finding.code, _place(dict(finding.where))) for finding in caught.value.findings]
    assert set(places) == expected
    assert places.count(("missing-value", 5)) == 2, "both cells of the row"


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def collection(folder: Path, features: list[dict[str, Any]], crs: int | None = None) -> Path:
    name = {} if crs is None else {"crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs}"}}}
    return text(folder, json.dumps({"type": "FeatureCollection", **name, "features": features}))


def test_points_geojson(tmp_path: Path) -> None:
    def at(x: Any, y: Any) -> dict[str, Any]:
        return {"type": "Point", "coordinates": [x, y]}

    features = [
        feature(at(15, 45), score=0.5),
        feature(at(15, 245), score=0.5),
        feature(at(15, "45"), score=0.5),
        feature(at(15, 45), score="high"),
        feature(at(15, 45), score=None),
        feature(None, score=[]),
    ]
    expected = {
        ("outside-crs", 1),
        ("invalid-geometry", 2),
        ("not-a-number", 3),
        ("missing-value", 4),
        ("invalid-geometry", 5),
        ("not-a-number", 5),
    }
    assert told(collection(tmp_path, features), "geojson", points(), tmp_path / "out") == expected


@pytest.mark.parametrize("form", ["geojson", "gpkg", "geoparquet"])
def test_polygons(tmp_path: Path, form: str) -> None:
    data = controls.squares()
    data.loc[1, "label"] = ""
    data.loc[2, "geometry"] = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    data.loc[4, "geometry"] = shapely.Point(0, 0)
    data.loc[5, "geometry"] = None
    data["score"] = [None, *data["score"].tolist()[1:]]
    path = tmp_path / "upload"
    if form == "geoparquet":
        data.to_parquet(path)
    else:
        data.to_file(path, driver={"geojson": "GeoJSON", "gpkg": "GPKG"}[form])
    expected = {
        ("missing-value", 0),
        ("missing-value", 1),
        ("invalid-geometry", 2),
        ("invalid-geometry", 4),
        ("invalid-geometry", 5),
    }
    assert told(path, form, Expectation.loose(controls.POLYGONS), tmp_path / "out") == expected


def test_raster(tmp_path: Path) -> None:
    values = np.full(controls.SHAPE, 5.0, dtype=np.float32)
    good = controls.tif(tmp_path / "good.tif", values)
    tight = Expectation.tight(
        controls.RASTER, intake(good, format="geotiff", expect=Expectation.loose(controls.RASTER), out=tmp_path / "t")
    )
    values[1, 2], values[3, 4], values[5, 6] = np.nan, 500.0, -1.0
    cells = {("not-finite", (1, 2)), ("out-of-range", (3, 4)), ("out-of-range", (5, 6))}
    assert told(controls.tif(tmp_path / "v.tif", values), "geotiff", tight, tmp_path / "v") == cells
    rest = remains(tmp_path / "v", tight)
    assert rest is not None
    assert np.isfinite(rest.arrays["band"]).all()
    odd = controls.tif(tmp_path / "o.tif", values[:-1], crs="EPSG:32634")
    assert told(odd, "geotiff", tight, tmp_path / "o") == cells | {("wrong-shape", None), ("wrong-crs", None)}
    assert remains(tmp_path / "o", tight) is None


def test_grid(tmp_path: Path) -> None:
    spec = controls.spec("grid", 'variable = "tp"', "range = [0.0, 10.0]")
    axes = (Axis("lat", "number", (1.0, 2.0, 3.0)), Axis("lon", "number", (5.0, 6.0)))
    expect = replace(Expectation.loose(spec), axes=axes)
    data = np.ones((3, 3))
    data[0, 1], data[2, 0] = np.nan, 11.0
    coords = {"lat": [1.0, 2.0, 9.0], "lon": [5.0, 6.0, 6.0]}
    path = tmp_path / "upload"
    xarray.Dataset({"tp": (("lat", "lon"), data)}, coords=coords).to_netcdf(path, engine="h5netcdf")
    expected = {
        ("wrong-shape", "lon"),
        ("duplicate-label", "lon"),
        ("wrong-labels", "lat"),
        ("not-finite", (0, 1)),
        ("out-of-range", (2, 0)),
    }
    assert told(path, "netcdf", expect, tmp_path / "out") == expected
