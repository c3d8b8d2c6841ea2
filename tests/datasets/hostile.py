"""Generator of hostile files: each is built to read, reach, cost or fool, and each has to be refused.

A case gets its folder and a ``Bait``: a canary file it may point to and the address of a listener it may call.
"""

import json
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import shapely

from tests.datasets import controls


@dataclass(frozen=True)
class Bait:
    canary: Path
    url: str


Maker = Callable[[Path, Bait], Path]


@dataclass(frozen=True)
class Case:
    name: str
    control: str
    make: Maker


CASES: list[Case] = []


def case(control: str) -> Callable[[Maker], Maker]:
    def note(make: Maker) -> Maker:
        CASES.append(Case(make.__name__, control, make))
        return make

    return note


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / "data"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- GeoTIFF


def vrt(source: str) -> str:
    return (
        '<VRTDataset rasterXSize="30" rasterYSize="40"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000,25,0,4200000,0,-25</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename>'
        f"<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


@case("raster-geotiff")
def vrt_to_canary(folder: Path, bait: Bait) -> Path:
    return written(folder, vrt(str(bait.canary)))


@case("raster-geotiff")
def vrt_to_network(folder: Path, bait: Bait) -> Path:
    return written(folder, vrt(f"/vsicurl/{bait.url}/a.tif"))


@case("raster-geotiff")
def wms_to_network(folder: Path, bait: Bait) -> Path:
    return written(
        folder, f'<GDAL_WMS><Service name="TMS"><ServerUrl>{bait.url}/${{z}}</ServerUrl></Service></GDAL_WMS>'
    )


@case("raster-geotiff")
def mrf_with_cached_source(folder: Path, bait: Bait) -> Path:
    return written(folder, f"<MRF_META><CachedSource><Source>{bait.canary}</Source></CachedSource><Raster/></MRF_META>")


@case("raster-geotiff")
def overview_file_in_metadata(folder: Path, bait: Bait) -> Path:
    path = controls.geotiff(folder)
    with rasterio.open(path, "r+") as target:
        target.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(bait.canary))
    return path


@case("raster-geotiff")
def overview_file_on_the_network(folder: Path, bait: Bait) -> Path:
    path = controls.geotiff(folder)
    with rasterio.open(path, "r+") as target:
        target.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{bait.url}/o.tif")
    return path


def sparse_tif(path: Path, **changes: Any) -> Path:
    profile = {
        "driver": "GTiff",
        "height": 40,
        "width": 30,
        "count": 1,
        "dtype": "float32",
        "crs": 32633,
        "transform": controls.TRANSFORM,
    }
    with rasterio.open(path, "w", **{**profile, "SPARSE_OK": True, **changes}):
        pass
    return path


@case("raster-geotiff")
def one_giant_tile(folder: Path, _: Bait) -> Path:
    return sparse_tif(folder / "data", tiled=True, blockxsize=29984, blockysize=29984, compress="deflate")


@case("raster-geotiff")
def two_million_squared(folder: Path, _: Bait) -> Path:
    return sparse_tif(
        folder / "data",
        height=2_000_000,
        width=2_000_000,
        tiled=True,
        blockxsize=65536,
        blockysize=65536,
        BIGTIFF="YES",
    )


@case("raster-geotiff")
def many_bands(folder: Path, _: Bait) -> Path:
    return sparse_tif(folder / "data", count=2000)


@case("raster-geotiff")
def jpeg_inside(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", np.ones(controls.SHAPE, np.uint8), compress="jpeg", nodata=None)


@case("raster-geotiff")
def complex_cells(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", np.ones(controls.SHAPE, np.complex64), nodata=None)


@case("raster-geotiff")
def a_mask_band(folder: Path, _: Bait) -> Path:
    path = folder / "data"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=40,
            width=30,
            count=1,
            dtype="float32",
            crs=32633,
            transform=controls.TRANSFORM,
        ) as target,
    ):
        target.write(np.ones(controls.SHAPE, np.float32), 1)
        target.write_mask(np.arange(1200).reshape(controls.SHAPE) > 20)
    return path


@case("raster-geotiff")
def scaled_cells(folder: Path, _: Bait) -> Path:
    path = controls.geotiff(folder)
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (2.0,), (1.0,)
    return path


@case("raster-geotiff")
def half_a_cell_away(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", transform=rasterio.transform.from_origin(500012.5, 4200000.0, 25.0, 25.0))


@case("raster-geotiff")
def south_up(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", transform=rasterio.Affine(25, 0, 500000, 0, 25, 4199000))


@case("raster-geotiff")
def other_zone(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", crs=32634)


@case("raster-geotiff")
def no_crs(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", crs=None)


@case("raster-geotiff")
def other_shape(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", np.ones((41, 30), np.float32))


def cells_with(value: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    values = controls.cells().copy()
    values[7, 8] = value
    return values


@case("raster-geotiff")
def nan_cell(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", cells_with(np.nan))


@case("raster-geotiff")
def infinite_cell(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", cells_with(np.inf))


@case("raster-geotiff")
def cell_out_of_range(folder: Path, _: Bait) -> Path:
    return controls.tif(folder / "data", cells_with(1e30))


@case("raster-geotiff")
def png_named_tif(folder: Path, _: Bait) -> Path:
    path = folder / "data"
    with rasterio.open(path, "w", driver="PNG", height=40, width=30, count=1, dtype="uint8") as target:
        target.write(np.ones(controls.SHAPE, np.uint8), 1)
    return path


# --- GeoJSON


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"score": 0.5, "label": "roof", **properties}}


def collection(features: list[Any], **more: Any) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features, **more})


POINT = {"type": "Point", "coordinates": [15.0, 37.9]}


@case("points-geojson")
def crs_by_link(folder: Path, bait: Bait) -> Path:
    return written(
        folder,
        collection([feature(POINT)], crs={"type": "link", "properties": {"href": f"{bait.url}/crs", "type": "proj4"}}),
    )


@case("points-geojson")
def crs_by_url(folder: Path, bait: Bait) -> Path:
    return written(
        folder, collection([feature(POINT)], crs={"type": "name", "properties": {"name": f"{bait.url}/crs"}})
    )


@case("points-geojson")
def crs_of_a_file(folder: Path, bait: Bait) -> Path:
    return written(folder, collection([feature(POINT)], crs={"type": "name", "properties": {"name": str(bait.canary)}}))


for _name, _value in (
    ("nan", "NaN"),
    ("infinity", "Infinity"),
    ("overflow", "1e999"),
    ("long_number", "9" * 100_000),
    ("text", '"15"'),
    ("boolean", "true"),
    ("null", "null"),
):

    def _make(folder: Path, _: Bait, value: str = _value) -> Path:
        return written(folder, collection([feature(POINT)]).replace("37.9", value))

    _make.__name__ = f"coordinate_{_name}"
    case("points-geojson")(_make)


@case("points-geojson")
def deep_json(folder: Path, _: Bait) -> Path:
    return written(folder, '{"type": "FeatureCollection", "features": ' + "[" * 2_000_000)


@case("points-geojson")
def deep_properties(folder: Path, _: Bait) -> Path:
    return written(folder, collection([feature(POINT)]).replace('"roof"', '{"a":' * 50_000 + "1" + "}" * 50_000))


@case("points-geojson")
def duplicate_keys(folder: Path, _: Bait) -> Path:
    return written(folder, collection([feature(POINT)]).replace('"features"', '"features": [], "features"'))


@case("points-geojson")
def no_geometry(folder: Path, _: Bait) -> Path:
    return written(folder, collection([feature(None)]))


@case("points-geojson")
def features_that_are_none(folder: Path, _: Bait) -> Path:
    return written(folder, collection([1, None, [], "x"]))


@case("points-geojson")
def confidence_is_text(folder: Path, _: Bait) -> Path:
    return written(folder, collection([feature(POINT, score="high")]))


@case("points-geojson")
def confidence_is_missing(folder: Path, _: Bait) -> Path:
    return written(folder, collection([{"type": "Feature", "geometry": POINT, "properties": None}]))


@case("points-geojson")
def outside_of_the_world(folder: Path, _: Bait) -> Path:
    return written(folder, collection([feature({"type": "Point", "coordinates": [500000.0, 4200000.0]})]))


def star(count: int) -> dict[str, Any]:
    turn = np.arange(count) * 2 * np.pi * (count // 2) / count
    points = np.column_stack([15 + 0.01 * np.cos(turn), 38 + 0.01 * np.sin(turn)])
    return {"type": "Polygon", "coordinates": [[*points.tolist(), points[0].tolist()]]}


@case("polygons-geojson")
def star_of_20001(folder: Path, _: Bait) -> Path:
    return written(folder, collection([feature(star(20001))]))


@case("polygons-geojson")
def bow_tie(folder: Path, _: Bait) -> Path:
    return written(
        folder, collection([feature({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]})])
    )


@case("polygons-geojson")
def open_ring(folder: Path, _: Bait) -> Path:
    return written(
        folder, collection([feature({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]})])
    )


@case("polygons-geojson")
def line_for_polygon(folder: Path, _: Bait) -> Path:
    return written(folder, collection([feature({"type": "LineString", "coordinates": [[0, 0], [1, 1]]})]))


@case("polygons-geojson")
def empty_polygons(folder: Path, _: Bait) -> Path:
    return written(
        folder,
        collection(
            [feature({"type": "Polygon", "coordinates": []}), feature({"type": "MultiPolygon", "coordinates": [[]]})]
        ),
    )


# --- GeoPackage


def package(folder: Path, *statements: str) -> Path:
    path = controls.vector(controls.places, "gpkg")(folder)
    with sqlite3.connect(path) as base:
        for name in ("IsEmpty", "MinX", "MaxX", "MinY", "MaxY"):  # the layer's own triggers ask for these
            base.create_function(f"ST_{name}", 1, lambda _: 1)
        for statement in statements:
            base.execute(statement)
    base.close()
    return path


def gpkg(name: str, *statements: str) -> None:
    def make(folder: Path, bait: Bait) -> Path:
        return package(folder, *(statement.replace("CANARY", str(bait.canary)) for statement in statements))

    make.__name__ = f"gpkg_{name}"
    case("points-gpkg")(make)


gpkg(
    "view_shadows_the_layer",
    "ALTER TABLE good RENAME TO hidden",
    "CREATE VIEW good AS SELECT fid, geom, abs(random()) / 9e18 AS score FROM hidden",
)
gpkg("view_beside", "CREATE VIEW other AS SELECT load_extension('CANARY')")
gpkg(
    "zeroblob_view",
    "ALTER TABLE good RENAME TO hidden",
    "CREATE VIEW good AS SELECT fid, geom, hex(zeroblob(400000000)) AS score FROM hidden",
)
gpkg(
    "endless_view",
    "ALTER TABLE good RENAME TO hidden",
    "CREATE VIEW good AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    "SELECT x AS fid, NULL AS geom, x AS score FROM c",
)
gpkg("foreign_trigger", "CREATE TRIGGER mine AFTER INSERT ON good BEGIN SELECT 1; END")
gpkg("virtual_table", "CREATE VIRTUAL TABLE notes USING fts5(body)")
gpkg("generated_column", "ALTER TABLE good ADD COLUMN late AS (hex(zeroblob(100000000))) VIRTUAL")
gpkg(
    "two_layers",
    "CREATE TABLE more (fid INTEGER PRIMARY KEY, geom BLOB)",
    "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES ('more', 'features', 'more', 32633)",
)
gpkg("no_layer", "DELETE FROM gpkg_contents")
gpkg("unknown_crs", "UPDATE gpkg_geometry_columns SET srs_id = 77")
gpkg("crs_of_nothing", "UPDATE gpkg_spatial_ref_sys SET organization = 'NONE', definition = 'undefined'")
gpkg("undefined_crs", "UPDATE gpkg_geometry_columns SET srs_id = 0")
gpkg("damaged_geometry", "UPDATE good SET geom = substr(geom, 1, 20) WHERE fid = 5")
gpkg("no_geometry", "UPDATE good SET geom = NULL WHERE fid = 5")
gpkg("text_for_number", "UPDATE good SET score = 'high' WHERE fid = 5")
gpkg("infinite_number", "UPDATE good SET score = 9e999 WHERE fid = 5")


@case("points-gpkg")
def gpkg_is_any_database(folder: Path, _: Bait) -> Path:
    with sqlite3.connect(folder / "data") as base:
        base.execute("CREATE TABLE t (a)")
    base.close()
    return folder / "data"


# --- GeoParquet and Parquet


def geo(folder: Path, change: Callable[[dict[str, Any]], None], table: pa.Table | None = None) -> Path:
    path = controls.vector(controls.places, "geoparquet")(folder)
    old = pq.read_table(path)
    meta = json.loads(old.schema.metadata[b"geo"])
    change(meta)
    pq.write_table((table or old).replace_schema_metadata({b"geo": json.dumps(meta).encode()}), path)
    return path


@case("points-geoparquet")
def geoparquet_without_geo(folder: Path, _: Bait) -> Path:
    pq.write_table(pa.table({"geometry": [shapely.Point(1, 1).wkb], "score": [1.0]}), folder / "data")
    return folder / "data"


@case("points-geoparquet")
def crs_with_grid_file(folder: Path, bait: Bait) -> Path:
    crs = {
        "type": "BoundCRS",
        "source_crs": {},
        "target_crs": {},
        "transformation": {"parameters": [{"name": "file", "value": str(bait.canary)}]},
    }
    return geo(folder, lambda meta: meta["columns"]["geometry"].update(crs=crs))


@case("points-geoparquet")
def crs_as_text(folder: Path, bait: Bait) -> Path:
    return geo(folder, lambda meta: meta["columns"]["geometry"].update(crs=str(bait.canary)))


@case("points-geoparquet")
def other_encoding(folder: Path, _: Bait) -> Path:
    return geo(folder, lambda meta: meta["columns"]["geometry"].update(encoding="point"))


@case("points-geoparquet")
def damaged_wkb(folder: Path, _: Bait) -> Path:
    return geo(
        folder, lambda _: None, pa.table({"geometry": [b"\x01\x06\x00\x00\x00\xff\xff\xff\x7f"], "score": [1.0]})
    )


@case("table-parquet")
def dictionary_bomb(folder: Path, _: Bait) -> Path:
    ids = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), pa.array(["x" * (8 << 20)]))
    pq.write_table(pa.table({"id": ids, "p": np.zeros(1000)}), folder / "data", compression="zstd")
    return folder / "data"


@case("table-parquet")
def twenty_million_rows(folder: Path, _: Bait) -> Path:
    zeros = pa.array(np.zeros(20_000_000, np.int8))
    pq.write_table(pa.table({"id": zeros.cast(pa.int8()), "p": zeros}), folder / "data", compression="zstd")
    return folder / "data"


@case("table-parquet")
def many_columns(folder: Path, _: Bait) -> Path:
    pq.write_table(pa.table({f"c{i}": [1.0] for i in range(5000)}), folder / "data")
    return folder / "data"


@case("table-parquet")
def nested_columns(folder: Path, _: Bait) -> Path:
    pq.write_table(pa.table({"id": [{"id": "a"}], "p": [{"p": 1.0}]}), folder / "data")
    return folder / "data"


@case("table-parquet")
def python_extension_type(folder: Path, _: Bait) -> Path:
    field = pa.field(
        "p",
        pa.binary(),
        metadata={
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": b"cos\nsystem\n(S'true'\ntR.",
        },
    )
    pq.write_table(
        pa.table({"id": ["a"], "p": [b"x"]}, schema=pa.schema([pa.field("id", pa.string()), field])), folder / "data"
    )
    return folder / "data"


# --- CSV


@case("table-csv")
def gzip_named_csv(folder: Path, _: Bait) -> Path:
    return written(folder, zlib.compress(b"id,p\na,1\n" + b"\x00" * 10_000_000))


@case("table-csv")
def field_of_32_megabytes(folder: Path, _: Bait) -> Path:
    return written(folder, b'id,p\na,"' + b"9" * (32 << 20) + b'"\n')


@case("table-csv")
def quote_without_end(folder: Path, _: Bait) -> Path:
    return written(folder, 'id,p\na,"1\n' + "b,1\n" * 2_000_000)


@case("table-csv")
def nul_bytes(folder: Path, _: Bait) -> Path:
    return written(folder, b"id,p\na,1\x00\n")


# --- NetCDF


def nc(folder: Path, change: Callable[[h5py.File], object]) -> Path:
    path = controls.netcdf(folder)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replaced(file: h5py.File, **options: Any) -> h5py.Dataset:
    """``tp`` made again with other storage, its dimensions kept."""
    old = file["tp"]
    values, scales = old[()], [file[name] for name in ("member", "time", "lat")]
    for scale, axis in zip(scales, range(3), strict=True):
        old.dims[axis].detach_scale(scale)
    del file["tp"]
    data = None if options.pop("empty", False) or "external" in options else values
    new = file.create_dataset("tp", shape=values.shape, dtype="f4", data=data, **options)
    for scale, axis in zip(scales, range(3), strict=True):
        new.dims[axis].attach_scale(scale)
    return new


@case("grid-netcdf")
def external_storage(folder: Path, bait: Bait) -> Path:
    return nc(folder, lambda file: replaced(file, external=[(str(bait.canary), 0, 240)]))


@case("grid-netcdf")
def virtual_dataset(folder: Path, bait: Bait) -> Path:
    def change(file: h5py.File) -> None:
        del file["tp"]
        layout = h5py.VirtualLayout((3, 4, 5), "f4")
        layout[...] = h5py.VirtualSource(str(bait.canary), "tp", (3, 4, 5))
        file.create_virtual_dataset("tp", layout)

    return nc(folder, change)


def linked(link: Callable[[Bait], Any]) -> Maker:
    def make(folder: Path, bait: Bait) -> Path:
        def change(file: h5py.File) -> None:
            file.move("tp", "elsewhere")
            file["tp"] = link(bait)

        return nc(folder, change)

    return make


CASES.append(Case("external_link", "grid-netcdf", linked(lambda bait: h5py.ExternalLink(str(bait.canary), "tp"))))
CASES.append(Case("soft_link", "grid-netcdf", linked(lambda _: h5py.SoftLink("/elsewhere"))))


@case("grid-netcdf")
def linked_coordinate(folder: Path, bait: Bait) -> Path:
    def change(file: h5py.File) -> None:
        file.move("lat", "elsewhere")
        file["lat"] = h5py.ExternalLink(str(bait.canary), "lat")

    return nc(folder, change)


@case("grid-netcdf")
def giant_chunk(folder: Path, _: Bait) -> Path:
    return nc(
        folder,
        lambda file: replaced(
            file, empty=True, maxshape=(None, None, None), chunks=(1000, 1000, 1000), compression="gzip"
        ),
    )


@case("grid-netcdf")
def sparse_8_gib(folder: Path, _: Bait) -> Path:
    def change(file: h5py.File) -> None:
        del file["tp"]
        file.create_dataset("tp", shape=(1 << 11, 1 << 10, 1 << 10), dtype="f4", chunks=(1, 1 << 10, 1 << 10))

    return nc(folder, change)


@case("grid-netcdf")
def unwritten_chunks(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: replaced(file, empty=True, chunks=(1, 4, 5)))


@case("grid-netcdf")
def unwritten_contiguous(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: replaced(file, empty=True))


@case("grid-netcdf")
def other_filter(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: replaced(file, chunks=(1, 4, 5), compression="lzf"))


@case("grid-netcdf")
def deflate_bomb_in_a_chunk(folder: Path, _: Bait) -> Path:
    packer = zlib.compressobj(1)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(48)) + packer.flush()

    def change(file: h5py.File) -> None:
        made = replaced(file, chunks=(1, 4, 5), compression="gzip")
        made.id.write_direct_chunk((0, 0, 0), bomb)

    return nc(folder, change)


@case("grid-netcdf")
def nan_value(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: file["tp"].__setitem__((1, 2, 3), np.nan))


@case("grid-netcdf")
def fill_value(folder: Path, _: Bait) -> Path:
    def change(file: h5py.File) -> None:
        file["tp"].attrs["_FillValue"] = np.array([7.0], np.float32)
        file["tp"][1, 2, 3] = 7.0

    return nc(folder, change)


@case("grid-netcdf")
def packed_by_nan(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: file["tp"].attrs.__setitem__("scale_factor", np.nan))


@case("grid-netcdf")
def labels_twice(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: file["lat"].__setitem__(0, file["lat"][1]))


@case("grid-netcdf")
def other_labels(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: file["lat"].__setitem__(0, 51.0))


@case("grid-netcdf")
def other_times(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: file["time"].attrs.__setitem__("units", "days since 2021-01-01"))


@case("grid-netcdf")
def units_that_are_none(folder: Path, _: Bait) -> Path:
    return nc(folder, lambda file: file["time"].attrs.__setitem__("units", "fortnights since the flood"))


@case("grid-netcdf")
def no_dimensions(folder: Path, _: Bait) -> Path:
    def change(file: h5py.File) -> None:
        values = file["tp"][()]
        del file["tp"]
        file["tp"] = values

    return nc(folder, change)


@case("grid-netcdf")
def compound_values(folder: Path, _: Bait) -> Path:
    def change(file: h5py.File) -> None:
        del file["tp"]
        file["tp"] = np.zeros((3, 4, 5), dtype=[("a", "f4"), ("b", "f4")])

    return nc(folder, change)


@case("grid-netcdf")
def classic_netcdf(folder: Path, _: Bait) -> Path:
    controls.cube().to_netcdf(folder / "data", engine="scipy", format="NETCDF3_CLASSIC")
    return folder / "data"


# --- Zarr in a zip


def rezip(
    folder: Path, change: Callable[[dict[str, bytes]], object], *, version: int = 3, kind: int = zipfile.ZIP_STORED
) -> Path:
    source = controls.zarr_zip(version)(folder)
    with zipfile.ZipFile(source) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    path = folder / "data"
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def meta(entries: dict[str, bytes], name: str, **changes: Any) -> None:
    entries[name] = json.dumps({**json.loads(entries[name]), **changes}).encode()


def zarr_meta(name: str, version: int, **changes: Any) -> None:
    entry = "tp/zarr.json" if version == 3 else "tp/.zarray"

    def make(folder: Path, _: Bait) -> Path:
        return rezip(folder, lambda entries: meta(entries, entry, **changes), version=version)

    make.__name__ = f"zarr_{name}"
    case(f"grid-zarr-v{version}")(make)


zarr_meta("giant_chunk", 3, chunk_grid={"name": "regular", "configuration": {"chunk_shape": [1000, 2000, 2000]}})
zarr_meta("giant_shape", 3, shape=[1 << 39, 1 << 39, 5])
zarr_meta("many_chunks", 2, chunks=[1, 1, 1], shape=[1000, 1000, 1000])
zarr_meta("negative_shape", 2, shape=[-1, 4, 5])
zarr_meta("pickle_filter", 2, filters=[{"id": "pickle"}])
zarr_meta("object_type", 2, dtype="|O")
zarr_meta("pickle_compressor", 2, compressor={"id": "pickle"})
zarr_meta(
    "sharding", 3, codecs=[{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 4, 5], "codecs": []}}]
)
zarr_meta("no_dimension_names", 3, dimension_names=None)
zarr_meta("two_compressors", 3, codecs=[{"name": "bytes"}, {"name": "zstd"}, {"name": "zstd"}])
zarr_meta("wrong_chunk_size", 3, chunk_grid={"name": "regular", "configuration": {"chunk_shape": [1, 4, 4]}})
zarr_meta("complex_type", 2, dtype="<c8")


@case("grid-zarr-v3")
def zarr_missing_chunk(folder: Path, _: Bait) -> Path:
    return rezip(folder, lambda entries: entries.pop("tp/c/1/0/0"))


@case("grid-zarr-v2")
def zarr_zlib_bomb(folder: Path, _: Bait) -> Path:
    def change(entries: dict[str, bytes]) -> None:
        meta(entries, "tp/.zarray", compressor={"id": "zlib", "level": 1})
        for i in range(3):
            entries[f"tp/{i}.0.0"] = zlib.compress(bytes(1 << 20), 9)[:2000]

    return rezip(folder, change, version=2)


@case("grid-zarr-v2")
def zarr_blosc_that_lies(folder: Path, _: Bait) -> Path:
    def change(entries: dict[str, bytes]) -> None:
        chunk = bytearray(entries["tp/0.0.0"])
        struct.pack_into("<I", chunk, 4, 1 << 30)
        entries["tp/0.0.0"] = bytes(chunk)

    return rezip(folder, change, version=2)


@case("grid-zarr-v3")
def zarr_deep_metadata(folder: Path, _: Bait) -> Path:
    return rezip(folder, lambda entries: entries.update({"tp/zarr.json": b'{"a":' * 200_000}))


@case("grid-zarr-v3")
def zip_bomb(folder: Path, _: Bait) -> Path:
    return rezip(folder, lambda entries: entries.update({"tp/c/0/0/0": bytes(200 << 20)}), kind=zipfile.ZIP_DEFLATED)


@case("grid-zarr-v3")
def zip_of_many_entries(folder: Path, _: Bait) -> Path:
    return rezip(folder, lambda entries: entries.update({f"x/{i}": b"" for i in range(10_001)}))


@case("grid-zarr-v3")
def zip_slip(folder: Path, _: Bait) -> Path:
    return rezip(folder, lambda entries: entries.update({"../../outside": b"x"}))


def _patched(folder: Path, change: Callable[[bytearray, int, int], None]) -> Path:
    """A good archive whose first local header (at 0) and first directory entry are changed."""
    path = rezip(folder, lambda entries: None)
    content = bytearray(path.read_bytes())
    change(content, 0, content.index(b"PK\x01\x02"))
    path.write_bytes(content)
    return path


@case("grid-zarr-v3")
def zip_that_lies_about_size(folder: Path, _: Bait) -> Path:
    path = rezip(folder, lambda entries: entries.update({"tp/c/0/0/0": bytes(64 << 20)}), kind=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    place = 0
    while (place := content.find(b"PK\x01\x02", place)) >= 0:
        (length,) = struct.unpack_from("<H", content, place + 28)
        if content[place + 46 : place + 46 + length] == b"tp/c/0/0/0":
            struct.pack_into("<I", content, place + 24, 80)
        place += 4
    path.write_bytes(content)
    return path


@case("grid-zarr-v3")
def zip_symlink(folder: Path, bait: Bait) -> Path:
    path = rezip(folder, lambda entries: entries.pop("tp/c/0/0/0"))
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("tp/c/0/0/0")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, str(bait.canary))
    return path


@case("grid-zarr-v3")
def zip_encrypted(folder: Path, _: Bait) -> Path:
    def change(content: bytearray, local: int, entry: int) -> None:
        content[local + 6] |= 1
        content[entry + 8] |= 1

    return _patched(folder, change)


@case("grid-zarr-v3")
def zip_overlap(folder: Path, _: Bait) -> Path:
    path = rezip(folder, lambda entries: None)
    content = bytearray(path.read_bytes())
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    struct.pack_into("<I", content, second + 42, 0)
    path.write_bytes(content)
    return path


@case("grid-zarr-v3")
def zip_chunk_twice(folder: Path, _: Bait) -> Path:
    path = rezip(folder, lambda entries: None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tp/c/0/0/0", archive.read("tp/c/1/0/0"))
    return path


@case("grid-zarr-v3")
def zip_metadata_twice(folder: Path, _: Bait) -> Path:
    path = rezip(folder, lambda entries: None)
    with zipfile.ZipFile(path, "a") as archive:
        changed = {**json.loads(archive.read("tp/zarr.json")), "shape": [3, 4, 4]}
        archive.writestr("tp/zarr.json", json.dumps(changed))
    return path


@case("grid-zarr-v2")
def zarr_nan(folder: Path, _: Bait) -> Path:
    def change(entries: dict[str, bytes]) -> None:
        meta(entries, "tp/.zarray", compressor=None)
        for i in range(3):
            entries[f"tp/{i}.0.0"] = np.full(20, np.nan, "<f4").tobytes()

    return rezip(folder, change, version=2)
