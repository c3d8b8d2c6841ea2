"""Previews of public files lie where the data lie, are small, and need no trust in the file."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from datasets.canonical import Canonical, pack_text
from datasets.catalog import catalog_of, csv_header, layers_of
from datasets.manifest import FileEntry
from datasets.preview import MAX_FEATURES, MAX_PIXELS, Preview, preview
from datasets.release import Layer
from datasets.spec import load_spec
from datasets.store import LocalStore
from tests.challenges import BUILDERS, CELL, CRS, EAST, NORTH, write_raster, write_vector

WKT = rasterio.crs.CRS.from_string(CRS).to_wkt()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def _layers(tmp_path: Path, store: LocalStore, *files: Path) -> tuple[Layer, ...]:
    return layers_of({f"public/{file.name}": file for file in files}, tmp_path / "work", store=store)


def _read_png(data: bytes, tmp_path: Path) -> np.ndarray:
    (tmp_path / "p.png").write_bytes(data)
    with rasterio.open(tmp_path / "p.png", driver="PNG") as source:
        table = source.colormap(1)
        colours = np.array([table[place] for place in range(len(table))], dtype=np.uint8)
        return np.moveaxis(colours[source.read(1)], -1, 0)


def _map(band: np.ndarray, *, crs: str | None = WKT, cell: float = CELL, **more: np.ndarray) -> Canonical:
    transform = from_origin(EAST if crs else 0.0, NORTH if crs else 100.0, cell, cell)
    return Canonical("raster", {"band": band, **more}, {"crs": crs, "transform": list(transform)[:6]})


def _drawn(canonical: Canonical) -> Preview:
    picture = preview(canonical)
    assert picture is not None
    return picture


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_is_drawn_where_it_lies_with_its_holes(tmp_path: Path) -> None:
    band = np.arange(48 * 64, dtype=np.float32).reshape(48, 64)
    valid = np.ones(band.shape, dtype=bool)
    valid[:24] = False
    picture = _drawn(_map(band, valid=valid))
    west, south, east, north = picture.bounds
    assert 14.999 < west < east < 15.01
    assert 45.145 < south < north < 45.156
    image = _read_png(picture.data, tmp_path)
    assert image.shape[0] == 4
    assert image[3, 2 : image.shape[1] // 2 - 2].max() == 0
    assert image[3, -image.shape[1] // 3, image.shape[2] // 2] == 255
    assert not picture.local


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("crs", [WKT, None])
def test_a_large_raster_becomes_a_small_picture(tmp_path: Path, crs: str | None) -> None:
    picture = _drawn(_map(np.random.default_rng(1).random((10, 5000)), crs=crs, cell=1.0))
    image = _read_png(picture.data, tmp_path)
    assert max(image.shape[1:]) <= MAX_PIXELS


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_local_coordinates_lie_near_the_origin_at_a_metre_each(tmp_path: Path) -> None:
    picture = _drawn(_map(np.array([[1, 2], [2, 1]], dtype=np.uint8), crs=None, cell=50.0))
    assert picture.local
    assert picture.bounds == pytest.approx((0, 0, 100 / 111319.49, 100 / 111319.49), rel=1e-4)
    image = _read_png(picture.data, tmp_path)
    assert image[:, 0, 0].tolist() == image[:, 1, 1].tolist() != image[:, 0, 1].tolist()


def test_nothing_to_draw_is_no_picture() -> None:
    assert preview(_map(np.full((3, 3), np.nan))) is None
    assert preview(Canonical("table", {}, {})) is None
    assert preview(Canonical("points", {"x": np.zeros(0), "y": np.zeros(0)}, {"crs": WKT})) is None


def test_points_are_drawn_best_first_and_capped() -> None:
    count = MAX_FEATURES + 10
    order = np.arange(count)[::-1].copy()
    arrays = {
        "x": EAST + np.arange(count),
        "y": np.full(count, NORTH),
        "order": order,
        "confidence": np.arange(count) / count,
    }
    points = Canonical("points", arrays, {"crs": WKT})
    unranked = preview(points, ranked=False)
    assert unranked is not None
    assert b"rank" not in unranked.data
    picture = _drawn(points)
    features = json.loads(picture.data)["features"]
    assert len(features) == MAX_FEATURES
    assert [feature["properties"]["rank"] for feature in features[:3]] == [1, 2, 3]
    assert features[0]["properties"]["confidence"] == (count - 1) / count
    x, y = features[0]["geometry"]["coordinates"]
    assert (15 < x < 15.1, 45.1 < y < 45.2) == (True, True)
    assert picture.bounds[0] <= x <= picture.bounds[2]


def test_a_polygon_keeps_its_parts_holes_and_label() -> None:
    outer, hole, other = (
        np.array(shapely.box(*box).exterior.coords) for box in [(0, 0, 9, 9), (2, 2, 4, 4), (20, 0, 29, 9)]
    )
    arrays = {
        "coords": np.concatenate([outer, hole, other]),
        "rings": np.array([0, 5, 10, 15]),
        "parts": np.array([0, 2, 3]),
        "features": np.array([0, 2]),
        **pack_text(["shed ü"], "label"),
    }
    (feature,) = json.loads(_drawn(Canonical("polygons", arrays, {"crs": None})).data)["features"]
    assert [[len(ring) for ring in part] for part in feature["geometry"]["coordinates"]] == [[5, 5], [5]]
    assert feature["properties"] == {"label": "shed ü"}
    assert feature["geometry"]["coordinates"][1][0][0][0] == pytest.approx(29 / 111319.49, rel=1e-3)


def test_public_files_of_every_format_become_layers(tmp_path: Path, store: LocalStore) -> None:
    files = [
        tmp_path / name
        for name in ("map.tif", "spots.geojson", "spots.gpkg", "spots.parquet", "areas.gpkg", "wells.csv")
    ]
    write_raster(files[0], np.ones((8, 8), dtype="uint8"))
    spots = shapely.points([EAST, EAST + 100], [NORTH, NORTH])
    for file in files[1:4]:
        write_vector(file, spots, {"name": ["a", "b"]})
    write_vector(files[4], [shapely.box(EAST, NORTH, EAST + 10, NORTH + 10)], {"name": ["a"]})
    pd.DataFrame({"well": ["a", "b"], "lon": [15.0, 15.1], "lat": [45.0, 45.1]}).to_csv(files[5], index=False)
    layers = _layers(tmp_path, store, *files)
    assert [(layer.path, layer.kind) for layer in layers] == [
        (f"public/{file.name}", "raster" if file.suffix == ".tif" else "vector") for file in files
    ]
    for layer in layers:
        store.verify(layer.artifact)
        west, south, east, north = layer.bounds
        assert 14.9 < west <= east < 15.2
        assert 44.9 < south <= north < 45.2


def test_what_cannot_be_drawn_is_left_out(tmp_path: Path, store: LocalStore) -> None:
    files = {
        "notes.txt": "x",
        "logs.csv": "well,depth\na,1\n",
        "broken.tif": "no tiff",
        "broken.geojson": '{"type": "Feature',
    }
    files["vrt.tif"] = f"<VRTDataset><SourceFilename>{tmp_path / 'truth.tif'}</SourceFilename></VRTDataset>"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert _layers(tmp_path, store, *(tmp_path / name for name in files)) == ()
    assert list(store.digests()) == []


def test_local_layers_are_drawn_only_among_themselves(tmp_path: Path, store: LocalStore) -> None:
    write_raster(tmp_path / "a.tif", np.ones((8, 8), dtype="uint8"), crs=None)
    (tmp_path / "b.csv").write_text("x,y\n1,2\n3,4\n")
    assert [layer.local for layer in _layers(tmp_path, store, tmp_path / "a.tif", tmp_path / "b.csv")] == [True, True]
    write_raster(tmp_path / "c.tif", np.ones((8, 8), dtype="uint8"))
    layers = _layers(tmp_path, store, *(tmp_path / name for name in ("a.tif", "b.csv", "c.tif")))
    assert [layer.name for layer in layers] == ["c"]


def test_only_public_files_are_drawn(tmp_path: Path, store: LocalStore) -> None:
    write_raster(tmp_path / "a.tif", np.ones((8, 8), dtype="uint8"))
    assert layers_of({"sample/a.tif": tmp_path / "a.tif"}, tmp_path / "work", store=store) == ()


@pytest.mark.parametrize(
    ("text", "names"), [("a,b\n1,2\n", ["a", "b"]), ('\ufeff"x y",z\r\n', ["x y", "z"]), ("", []), ("one", ["one"])]
)
def test_the_header_of_a_csv_is_read_alone(tmp_path: Path, text: str, names: list[str]) -> None:
    (tmp_path / "a.csv").write_text(text, newline="")
    assert csv_header(tmp_path / "a.csv") == names


def test_the_catalog_lists_every_file_with_its_digest(tmp_path: Path) -> None:
    spec = load_spec(BUILDERS["table-numbers"](tmp_path / "c").folder)
    files = [FileEntry("public/b.tif", 5, "1" * 64), FileEntry("public/a.csv", 3, "0" * 64)]
    layer = Layer(
        name="b",
        path="public/b.tif",
        kind="raster",
        artifact="2" * 64,
        media_type="image/png",
        bounds=(1.0, 2.0, 3.0, 4.0),
    )
    document = json.loads(json.dumps(catalog_of(spec, files, [layer])))
    assert document["name"] == "table-numbers"
    assert [item["path"] for item in document["resources"]] == ["public/a.csv", "public/b.tif"]
    assert document["resources"][0]["hash"] == "sha256:" + "0" * 64
    assert document["resources"][1]["spatial"] == {"bounds": [1.0, 2.0, 3.0, 4.0], "local": False}
