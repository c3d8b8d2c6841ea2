"""The header of a plain GeoTIFF, read without GDAL, says what GDAL says; of anything unusual it says nothing."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS

from datasets.canonical import Canonical
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.formats import crs, geotiff, raster
from datasets.formats.geotiff import Header, plain
from datasets.formats.raster import read_raster

UTM = CRS.from_epsg(32633).to_wkt()
QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def expectation(**more: Any) -> Expectation:
    base = {"kind": "raster", "role": "entry", "formats": ("geotiff",), "max_bytes": 1 << 30, "meaning": "continuous"}
    return Expectation(**{**base, "crs": UTM, "crs_fixed": True, **more})


LOOSE = expectation(role="truth", crs=None, crs_fixed=False)


def write(path: Path, band: Any, **profile: Any) -> Path:
    height, width = band.shape
    place = {"crs": "EPSG:32633", "transform": Affine(25.0, 0.0, 5e5, 0.0, -25.0, 42e5)}
    options = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": band.dtype.name, **place}
    tags = profile.pop("tags", {})
    with rasterio.open(path, "w", **{**options, **profile}) as target:
        for number in target.indexes:
            target.write(band, number)
        target.update_tags(**tags)
    return path


def header(path: Path, expect: Expectation) -> Header | None:
    with path.open("rb") as file:
        found = plain(file.fileno(), expect)
    return None if found is None else found[0]


def gdal(path: Path) -> Header:
    with rasterio.open(path) as dataset:
        return Header.of(dataset, 1)


def agrees(own: Header, theirs: Header) -> bool:
    """Whether all that is asked of a header is the same; NaN as nodata equals itself."""
    assert crs.same(own.crs(), theirs.crs())
    same = repr(own.nodata if own.nodata is None else float(own.nodata)) == repr(theirs.nodata)
    return same and replace(own, epsg=None, nodata=0) == replace(theirs, wkt=None, nodata=0)


@settings(max_examples=30, **QUIET)
@given(
    dtype=st.sampled_from(sorted(geotiff.TYPES.values())),
    packing=st.sampled_from(("zstd", "deflate", None)),
    tile=st.sampled_from((None, (16, 16), (32, 48))),
    nodata=st.sampled_from((None, 0.0, 255.0, -9999.0, 0.1, -1e30, 1e-7, float("nan"), 3.4028234663852886e38)),
    place=st.tuples(st.floats(1e-3, 1e4), st.floats(-1e7, 1e7), st.floats(1e-3, 1e4), st.floats(-1e7, 1e7)),
    big=st.booleans(),
    zone=st.sampled_from((32633, 32715, 3035, 25832, 3857, 5070, 28992, 2056, *geotiff.GEOGRAPHIC)),
)
def test_a_plain_header_says_what_gdal_says(tmp_path, dtype, packing, tile, nodata, place, big, zone):
    whole = not dtype.startswith("float")
    if nodata is not None and whole:
        info = np.iinfo(dtype)
        nodata = nodata if np.isfinite(nodata) and nodata == int(nodata) and info.min <= nodata <= info.max else None
    profile: dict[str, Any] = {"compress": packing, "BIGTIFF": "YES" if big else "NO", "nodata": nodata}
    profile |= {"crs": f"EPSG:{zone}", "transform": Affine(place[0], 0.0, place[1], 0.0, -place[2], place[3])}
    if tile:
        profile |= {"tiled": True, "blockysize": tile[0], "blockxsize": tile[1]}
    path = write(tmp_path / "a.tif", np.zeros((40, 50), dtype), **profile)
    found = header(path, expectation(crs=CRS.from_epsg(zone).to_wkt()))
    usual = (packing or tile) and (nodata is None or not abs(nodata) > 1e38)
    if dtype == "float32" and nodata is not None and np.isfinite(nodata):
        usual = usual and float(np.float32(nodata)) == nodata
    assert (found is not None) == bool(usual)
    assert found is None or agrees(found, gdal(path))
    assert repr(header(path, LOOSE)) == repr(found)


def test_a_file_is_read_without_gdal_when_it_is_plain(tmp_path, monkeypatch):
    band = np.arange(2500, dtype="float32").reshape(50, 50)
    path = write(tmp_path / "a.tif", band, compress="zstd", nodata=7.0)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("GDAL was asked")

    monkeypatch.setattr(raster.rasterio, "open", refuse)
    read_raster(path, "geotiff", expectation(), tmp_path / "out")
    found = Canonical.read(tmp_path / "out")
    assert np.array_equal(found.arrays["band"], band)
    assert np.count_nonzero(~found.arrays["valid"]) == 1
    assert found.attrs["crs"] == UTM
    assert found.attrs["nodata"] == 7.0


UNUSUAL: dict[str, dict[str, Any]] = {
    "Paris": {"crs": "EPSG:4807"},
    "three axes": {"crs": "EPSG:4979"},
    "another ellipsoid": {"crs": "EPSG:4267"},
    "feet": {"crs": "EPSG:2263"},
    "no CRS": {"crs": None},
    "own CRS": {"crs": "+proj=utm +zone=33 +ellps=intl +units=m"},
    "south up": {"transform": Affine(25.0, 0.0, 5e5, 0.0, 25.0, 42e5)},
    "rotated": {"transform": Affine(25.0, 1.0, 5e5, 1.0, -25.0, 42e5)},
    "metadata": {"tags": {"OFFSET": "1"}},
    "points": {"tags": {"AREA_OR_POINT": "Point"}},
    "two bands": {"count": 2},
    "big-endian": {"ENDIANNESS": "BIG"},
    "packed otherwise": {"compress": "lzw"},
    "palette": {"dtype": "uint8", "photometric": "palette"},
    "one bit": {"dtype": "uint8", "NBITS": 1},
    "alpha": {"count": 2, "ALPHA": "YES"},
    "bytes with a sign": {"dtype": "int8"},
    "nodata out of range": {"dtype": "float64", "nodata": -1.7e308},
}


@pytest.mark.parametrize("name", sorted(UNUSUAL))
def test_what_is_unusual_is_left_to_gdal(tmp_path, name):
    profile = {"compress": "zstd", **UNUSUAL[name]}
    path = write(tmp_path / "a.tif", np.zeros((40, 50), profile.get("dtype", "float32")), **profile)
    assert header(path, expectation()) is None
    assert header(path, LOOSE) is None


@pytest.mark.parametrize(("code", "left"), [(32633, False), (3785, True), (2263, True), (4979, True), (32767, True)])
def test_a_code_is_taken_only_if_it_says_all_about_the_crs(tmp_path, code, left):
    """3785 is deprecated, so GDAL replaces it; 2263 is in feet and the file in metres; 4979 is no projection."""
    path = write(tmp_path / "a.tif", np.zeros((40, 50), "float32"), compress="zstd")
    content = path.read_bytes()
    key = struct.pack("<4H", 3072, 0, 1, 32633)
    assert key in content
    path.write_bytes(content.replace(key, struct.pack("<4H", 3072, 0, 1, code)))
    assert (header(path, LOOSE) is None) == left
    assert (header(path, expectation()) is None) == (code != 32633)


@pytest.mark.parametrize("code", sorted(geotiff.GEOGRAPHIC))
def test_degrees_are_plain_when_the_file_says_what_the_code_means(tmp_path, code):
    path = write(tmp_path / "a.tif", np.zeros((40, 50), "float32"), compress="zstd", crs=f"EPSG:{code}")
    expect = expectation(crs=CRS.from_epsg(code).to_wkt())
    found = header(path, expect)
    assert found is not None
    assert agrees(found, gdal(path))
    assert header(path, expectation()) is None
    content = path.read_bytes()
    for number, other in ((struct.pack("<d", 6378137.0), 6378136.0), (struct.pack("<H", 9102), 9101)):
        assert number in content
        path.write_bytes(
            content.replace(number, struct.pack("<d", other) if len(number) == 8 else struct.pack("<H", other))
        )
        assert header(path, expect) is None
        assert header(path, LOOSE) is None


@pytest.mark.parametrize("change", ["overviews", "mask", "scale"])
def test_what_is_added_later_is_left_to_gdal(tmp_path, change):
    path = write(tmp_path / "a.tif", np.zeros((64, 64), "float32"), compress="zstd")
    assert header(path, expectation()) is not None
    with rasterio.open(path, "r+") as target:
        if change == "overviews":
            target.build_overviews([2])
        elif change == "mask":
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                target.write_mask(np.zeros((64, 64), bool))
        else:
            target.scales = (2.0,)
    assert header(path, expectation()) is None


def outcome(path: Path, out: Path, expect: Expectation) -> Any:
    try:
        read_raster(path, "geotiff", expect, out)
    except Rejected as refused:
        return [(f.code, f.message, dict(f.where), f.hint) for f in refused.findings]
    found = Canonical.read(out)
    return {name: array.tobytes() for name, array in found.arrays.items()}, dict(found.attrs)


ASKED: dict[str, dict[str, Any]] = {
    "as it is": {"shape": (40, 50), "transform": (25.0, 0.0, 5e5, 0.0, -25.0, 42e5)},
    "shifted": {"shape": (40, 50), "transform": (25.0, 0.0, 5e5, 0.0, -25.0, 42e5 + 1)},
    "larger": {"shape": (41, 50), "transform": (25.0, 0.0, 5e5, 0.0, -25.0, 42e5)},
    "band 2": {"band": 2},
    "truth": {"role": "truth", "crs": None, "crs_fixed": False},
    "local": {"crs": None},
    "range": {"low": 3.0, "high": 900.0},
    "classes": {"meaning": "categorical", "classes": ("1", "2"), "classes_open": False},
}


@pytest.mark.parametrize("asked", sorted(ASKED))
@pytest.mark.parametrize("bad", [False, True])
def test_findings_and_canonical_form_do_not_depend_on_who_reads_the_header(tmp_path, monkeypatch, asked, bad):
    band = np.arange(2000, dtype="float32").reshape(40, 50)
    if bad:
        band[7, 9] = np.nan
    path = write(tmp_path / "a.tif", band, compress="deflate", nodata=5.0)
    expect = expectation(**ASKED[asked])
    one = outcome(path, tmp_path / "one", expect)
    monkeypatch.setattr(raster, "plain", lambda *_: None)
    assert outcome(path, tmp_path / "two", expect) == one


@settings(max_examples=100, **QUIET)
@given(at=st.integers(0, 400), value=st.integers(0, 255), data=st.data())
def test_a_changed_header_never_says_what_gdal_does_not(tmp_path, at, value, data):
    path = tmp_path / "a.tif"
    if not path.exists():
        write(path, np.zeros((20, 30), "float32"), compress="zstd", nodata=-1.0)
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    if data.draw(st.booleans()):
        struct.pack_into("<H", content, data.draw(st.integers(8, 400)), data.draw(st.sampled_from((0, 1, 2, 4, 3072))))
    changed = tmp_path / "b.tif"
    changed.write_bytes(content)
    try:
        found = header(changed, expectation())
        theirs = gdal(changed)
    except (rasterio.errors.RasterioError, Rejected):
        return
    assert found is None or agrees(found, theirs)
