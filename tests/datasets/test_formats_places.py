"""Rasters, grids and vectors in the less common forms that have to be read right or refused for the right reason."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray
from rasterio import Affine

from datasets.canonical import Canonical, unpack_text
from datasets.errors import Rejected
from datasets.expect import Axis, Expectation
from datasets.formats.grid import decode_time
from datasets.intake import intake
from tests.datasets import controls

WGS = {"type": "FeatureCollection", "features": []}


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def read(self, path: Path, form: str, expect: Expectation) -> Canonical:
        self.count += 1
        return intake(path, format=form, expect=expect, out=self.folder / f"out-{self.count}")

    def codes(self, path: Path, form: str, expect: Expectation) -> set[str]:
        with pytest.raises(Rejected) as caught:
            self.read(path, form, expect)
        return {finding.code for finding in caught.value.findings}

    def tif(self, values: Any, **changes: Any) -> Path:
        return controls.tif(self.folder / f"r{self.count}.tif", values, **changes)

    def text(self, content: str) -> Path:
        path = self.folder / f"t{self.count}"
        path.write_text(content, encoding="utf-8")
        return path

    def cube(self, data: xarray.Dataset, **options: Any) -> Path:
        path = self.folder / f"c{self.count}.nc"
        data.to_netcdf(path, engine="h5netcdf", **options)
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def raster(meaning: str, truth: str = "band = 1") -> Any:
    return controls.spec("raster", truth, f'meaning = "{meaning}"', metric="accuracy")


def test_categorical_raster_names_its_classes(desk: Desk) -> None:
    spec = raster("categorical")
    truth = desk.read(
        desk.tif(np.array([[1, 2], [5, 255]], np.uint8), nodata=255), "geotiff", Expectation.loose(spec, "truth")
    )
    assert truth.attrs["classes"] == ["1", "2", "5"]
    tight = Expectation.tight(spec, truth)
    entry = desk.read(desk.tif(np.array([[1, 7], [5, 1]], np.float32), nodata=None), "geotiff", tight)
    assert entry.attrs["classes"] == ["1", "2", "5", "7"]
    assert "valid" not in entry.arrays
    assert desk.codes(desk.tif(np.array([[1.5, 1], [5, 1]], np.float32)), "geotiff", tight) == {"wrong-type"}


@pytest.mark.parametrize(("classes", "good"), [('["3", "7"]', [[3, 7]]), ('["sand", "clay"]', [[0, 1]])])
def test_fixed_raster_classes_are_closed(desk: Desk, classes: str, good: list[list[int]]) -> None:
    expect = Expectation.loose(raster("categorical", f"band = 1\nclasses = {classes}"))
    values = np.array(good, np.int16)
    assert desk.read(desk.tif(values, nodata=None), "geotiff", expect).arrays["band"].tolist() == good
    assert desk.codes(desk.tif(values + 1, nodata=None), "geotiff", expect) == {"unknown-class"}


def test_probability_raster(desk: Desk) -> None:
    expect = Expectation.loose(raster("probability"))
    values = np.array([[0.0, 1.0], [0.5, np.nan]])
    read = desk.read(desk.tif(values, nodata=np.nan), "geotiff", expect)
    assert read.arrays["valid"].tolist() == [[True, True], [True, False]]
    assert read.attrs["nodata"] is None
    assert desk.codes(desk.tif(values, nodata=-1.0), "geotiff", expect) == {"not-finite"}
    assert desk.codes(desk.tif(values * 100, nodata=np.nan), "geotiff", expect) == {"probability-out-of-range"}


def test_truth_raster_may_hold_nan(desk: Desk) -> None:
    spec = raster("continuous")
    values = np.array([[0.0, np.nan]])
    truth = desk.read(desk.tif(values, nodata=None), "geotiff", Expectation.loose(spec, "truth"))
    assert truth.arrays["valid"].tolist() == [[True, False]]
    assert desk.codes(desk.tif(values - np.inf), "geotiff", Expectation.loose(spec, "truth")) == {"not-finite"}
    assert desk.codes(desk.tif(values * np.inf), "geotiff", Expectation.loose(spec, "truth")) == {"empty-file"}


def test_pixels_are_named(desk: Desk) -> None:
    values = np.zeros((600, 500), np.float32)
    values[417, 33] = np.inf
    with pytest.raises(Rejected) as caught:
        desk.read(
            desk.tif(values, tiled=True, blockxsize=64, blockysize=64),
            "geotiff",
            Expectation.loose(raster("continuous")),
        )
    assert [finding.where for finding in caught.value.findings] == [{"pixel": [417, 33]}]


def test_second_band_and_resample(desk: Desk) -> None:
    spec = controls.spec("raster", "band = 1", 'meaning = "continuous"\nband = 2')
    assert desk.codes(desk.tif(np.zeros((2, 2))), "geotiff", Expectation.loose(spec)) == {"missing-variable"}
    other = replace(Expectation.loose(spec), resample="nearest", band=1)
    assert desk.codes(desk.tif(np.zeros((2, 2))), "geotiff", other) == {"resample-unsupported"}


def test_local_rasters_match_and_tiny_shifts_pass(desk: Desk) -> None:
    spec, values = raster("continuous"), np.zeros((3, 4))
    local = {"crs": None, "transform": Affine(1, 0, 0.5, 0, -1, 3.5)}
    truth = desk.read(desk.tif(values, **local), "geotiff", Expectation.loose(spec, "truth"))
    tight = Expectation.tight(spec, truth)
    assert tight.crs is None
    desk.read(desk.tif(values, **{**local, "transform": Affine(1, 0, 0.5 + 1e-8, 0, -1, 3.5)}), "geotiff", tight)
    assert desk.codes(desk.tif(values, **{**local, "transform": Affine(1, 0, 0.51, 0, -1, 3.5)}), "geotiff", tight) == {
        "wrong-transform"
    }
    assert desk.codes(desk.tif(values, crs=32633, transform=local["transform"]), "geotiff", tight) == {"wrong-crs"}


def test_raster_against_points_takes_their_crs_from_the_grid(desk: Desk) -> None:
    spec = controls.spec("raster", 'grid = "public/grid.tif"', 'meaning = "probability"', metric="roc_auc")
    grid = desk.read(controls.geotiff(desk.folder), "geotiff", Expectation.loose(spec, "grid"))
    place = controls.places().to_crs(4326).geometry
    path = desk.text(pd.DataFrame({"Lon": place.x, "LAT": place.y}).to_csv(index=False))
    points = desk.read(path, "csv", Expectation.tight(spec, grid, "truth"))
    assert points.kind == "points"
    assert np.allclose(points.arrays["x"], controls.places().geometry.x, rtol=0, atol=1e-3)


def test_geographic_truth_is_refused_where_distances_count(desk: Desk) -> None:
    path = desk.folder / "wgs.geojson"
    controls.places().to_crs(4326).to_file(path, driver="GeoJSON")
    assert desk.codes(path, "geojson", Expectation.loose(controls.POINTS, "truth")) == {"geographic-crs"}


def test_local_points(desk: Desk) -> None:
    truth = desk.read(desk.text("x,y\n1,2\n3,4\n"), "csv", Expectation.loose(controls.POINTS, "truth"))
    assert truth.attrs["crs"] is None
    tight = Expectation.tight(controls.POINTS, truth)
    local = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [5, 6, 7]}, "properties": {"score": 1}}
    entry = desk.read(desk.text(json.dumps({**WGS, "features": [local]})), "geojson", tight)
    assert (entry.arrays["x"].tolist(), entry.arrays["y"].tolist()) == ([5.0], [6.0])
    assert desk.codes(controls.vector(controls.places, "gpkg")(desk.folder), "gpkg", tight) == {"wrong-crs"}
    assert desk.codes(desk.text("lon,lat,score\n1,2,3\n"), "csv", tight) == {"wrong-crs"}


def test_rank_orders_and_ties_keep_file_order(desk: Desk) -> None:
    spec = controls.spec("points", "radius = 5.0", 'rank = "rank"\nmax_features = 4', metric="hits")
    points = desk.read(desk.text("rank,x,y\n3,0,0\n1,1,1\n2,2,2\n1,3,3\n"), "csv", Expectation.loose(spec))
    assert points.arrays["feature"].tolist() == [1, 3, 2, 0]
    assert desk.codes(desk.text("rank,x,y\n" + "1,1,1\n" * 5), "csv", Expectation.loose(spec)) == {"too-many-features"}
    assert desk.codes(desk.text("rank,a,b\n1,1,1\n"), "csv", Expectation.loose(spec)) == {"missing-column"}
    assert desk.codes(desk.text("order,x,y\n1,1,1\n"), "csv", Expectation.loose(spec)) == {"missing-column"}


def test_truth_points_carry_value_and_weight(desk: Desk) -> None:
    spec = controls.spec("points", 'radius = 5.0\nvalue = "ounces"', metric="hits")
    expect = replace(Expectation.loose(spec, "truth"), weight="w")
    truth = desk.read(desk.text("x,y,ounces,w\n1,1,10.5,1\n2,2,0,2\n"), "csv", expect)
    assert truth.arrays["value"].tolist() == [10.5, 0.0]
    assert desk.codes(desk.text("x,y,ounces,w\n1,1,10.5,-1\n"), "csv", expect) == {"out-of-range"}


def test_grid_axes_may_come_in_any_order(desk: Desk) -> None:
    truth_spec = controls.spec("grid", 'variable = "tp"', 'member = "member"', metric="crps")
    truth = desk.read(
        desk.cube(controls.cube().isel(member=0, drop=True)), "netcdf", Expectation.loose(truth_spec, "truth")
    )
    tight = Expectation.tight(truth_spec, truth)
    assert [axis.name for axis in tight.axes] == ["time", "lat"]
    turned = controls.cube().transpose("lat", "member", "time").isel(lat=[4, 2, 0, 1, 3])
    turned["lat"] = turned["lat"].astype(np.float32) + np.float32(1e-6)
    entry = desk.read(desk.cube(turned), "netcdf", tight)
    assert entry.attrs["dims"] == ["lat", "member", "time"]
    assert entry.arrays["coord.lat"].tolist() == [49.5, 50.0, 50.5, 50.25, 49.75]
    assert np.array_equal(entry.arrays["data"], turned["tp"].values)
    assert desk.codes(desk.cube(turned.rename(member="number")), "netcdf", tight) == {"wrong-shape"}
    assert desk.codes(desk.cube(turned.isel(lat=slice(3))), "netcdf", tight) == {"wrong-shape"}
    assert desk.codes(desk.cube(turned.isel(time=0, drop=True)), "netcdf", tight) == {"missing-variable"}


def test_packed_integers_and_missing_truth(desk: Desk) -> None:
    values = xarray.DataArray([[1.5, np.nan], [2.5, 3.5]], dims=("a", "b"), name="tp")
    packed = {"tp": {"dtype": "int16", "scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -1}}
    path = desk.cube(values.to_dataset(), encoding=packed)
    truth = desk.read(path, "netcdf", Expectation.loose(controls.GRID, "truth"))
    assert np.array_equal(truth.arrays["data"], values.values, equal_nan=True)
    assert truth.arrays["coord.a"].tolist() == [0.0, 1.0]
    with pytest.raises(Rejected) as caught:
        desk.read(path, "netcdf", Expectation.loose(controls.GRID))
    assert [finding.where for finding in caught.value.findings] == [{"cell": {"a": 0, "b": 1}}]


def test_text_labels_in_any_order(desk: Desk) -> None:
    data = xarray.Dataset({"tp": ("place", [1.0, 2.0, 3.0])}, coords={"place": ["b", "ä", "NA"]})
    truth = desk.read(desk.cube(data), "netcdf", Expectation.loose(controls.GRID, "truth"))
    assert unpack_text(truth.arrays, "coord.place") == ["b", "ä", "NA"]
    tight = Expectation.tight(controls.GRID, truth)
    assert tight.axes == (Axis("place", "text", ("b", "ä", "NA")),)
    entry = desk.read(desk.cube(data.isel(place=[2, 0, 1])), "netcdf", tight)
    assert unpack_text(entry.arrays, "coord.place") == ["NA", "b", "ä"]
    data["place"] = ["b", "a", "NA"]
    assert desk.codes(desk.cube(data), "netcdf", tight) == {"wrong-labels"}


def test_a_hard_link_cycle_is_harmless(desk: Desk) -> None:
    path = controls.netcdf(desk.folder)
    with h5py.File(path, "r+") as file:
        group = file.create_group("group")
        group["back"] = file["/"]
        group["self"] = group
    assert desk.read(path, "netcdf", Expectation.loose(controls.GRID)).kind == "grid"


@pytest.mark.parametrize(
    ("value", "units", "wanted"),
    [
        (0, "days since 1970-01-01", "1970-01-01T00:00:00"),
        (1.5, "days since 2020-02-28 12:00:00", "2020-03-01T00:00:00"),
        (-1, "hours since 2020-01-01T00:00:00Z", "2019-12-31T23:00:00"),
        (90, "seconds since 2020-1-1 0:0:0".replace("0:0:0", "00:00:00"), "2020-01-01T00:01:30"),
        (1500, "milliseconds since 2020-01-01", "2020-01-01T00:00:01.500"),
        (2, "weeks since 2020-01-01", "2020-01-15T00:00:00"),
    ],
)
def test_times(value: float, units: str, wanted: str) -> None:
    (stamp,) = decode_time(np.array([value]), units, "time").tolist()
    assert stamp == np.datetime64(wanted, "ns").astype(np.int64)


@pytest.mark.parametrize(
    ("value", "units"),
    [
        (0, "days since"),
        (0, "moons since 2020-01-01"),
        (1e9, "days since 2020-01-01"),
        (np.nan, "days since 2020-01-01"),
        (0, "days since 2020-13-41"),
    ],
)
def test_times_that_are_none(value: float, units: str) -> None:
    with pytest.raises(Rejected):
        decode_time(np.array([value]), units, "time")


def test_real_files_are_read(desk: Desk, shared_data: Path) -> None:
    folder = shared_data / "flusight_nd" / "demo_2x53x4"
    spec = controls.spec("grid", 'variable = "hosp"\nmember = "sample"', metric="crps")
    truth = desk.read(folder / "truth.nc", "netcdf", Expectation.loose(spec, "truth"))
    tight = Expectation.tight(spec, truth)
    whole = desk.read(folder / "submissions" / "PSI-DICE_samples.nc", "netcdf", tight)
    assert whole.arrays["data"].shape == (2, 53, 4, 100)
    assert desk.codes(folder / "submissions" / "Flusight-baseline_quantiles.nc", "netcdf", tight) == {"wrong-shape"}
    table = controls.spec("table", 'id = ["Molecule ID"]\ntarget = "logP mean"', 'prediction = "logP"')
    answers = desk.read(shared_data / "sampl6_logp" / "truth.csv", "csv", Expectation.loose(table, "truth"))
    for path in sorted((shared_data / "sampl6_logp" / "submissions").glob("*.csv")):
        assert desk.read(path, "csv", Expectation.tight(table, answers)).attrs["rows"] == 11
