"""The reader's own decoding of TIFF tiles agrees with GDAL bit for bit; what is not plain is left to GDAL."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from datasets import threads
from datasets.canonical import Canonical
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.formats import bands
from datasets.formats.raster import read_raster
from datasets.formats.tiff import NotPlain, Tiles

TYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def expectation(**more: Any) -> Expectation:
    base = {"kind": "raster", "role": "entry", "formats": ("geotiff",), "max_bytes": 1 << 30, "meaning": "continuous"}
    return Expectation(**{**base, **more})


def write(path: Path, band: Any, **profile: Any) -> Path:
    height, width = band.shape
    place = {"crs": "EPSG:32633", "transform": from_origin(5e5, 42e5, 25, 25)}
    options = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": band.dtype.name, **place}
    with rasterio.open(path, "w", **{**options, **profile}) as target:
        target.write(band, 1)
    return path


def decoded(path: Path, band: int = 1) -> Any:
    """The band by ``Tiles`` alone, or None when the file is not plain."""
    with rasterio.open(path) as dataset, path.open("rb") as file:
        tiles = Tiles.of(file.fileno(), dataset, band)
        if tiles is None:
            return None
        out = np.empty(dataset.shape, dataset.dtypes[0])
        high, wide = tiles.tile
        for row in range(0, dataset.height, high):
            for col in range(0, dataset.width, wide):
                tiles.decode(row // high, col // wide, out[row : row + high], col)
        return out


def noise(dtype: str, shape: tuple[int, int], seed: int, smooth: bool) -> Any:
    rng = np.random.default_rng(seed)
    if dtype.startswith("float") and smooth:
        return np.cumsum(rng.standard_normal(shape), axis=1).round(2).astype(dtype)
    raw = rng.integers(0, 256, (shape[0], shape[1] * np.dtype(dtype).itemsize), dtype=np.uint8)
    return raw.view(dtype)  # any bits at all: NaN with payloads, infinities, subnormals


@settings(max_examples=60, **QUIET)
@given(
    dtype=st.sampled_from(TYPES),
    packing=st.sampled_from(("zstd", "deflate", None)),
    predictor=st.sampled_from((1, 2, 3)),
    tile=st.sampled_from((None, (16, 16), (32, 48), (64, 16))),
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    big=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_every_packing_gives_the_bits_gdal_gives(tmp_path, dtype, packing, predictor, tile, shape, big, seed):
    profile: dict[str, Any] = {"compress": packing, "BIGTIFF": "YES" if big else "NO"}
    if packing and (predictor < 3 or dtype.startswith("float")):
        profile["predictor"] = predictor
    if tile:
        profile |= {"tiled": True, "blockysize": tile[0], "blockxsize": tile[1]}
    path = write(tmp_path / "a.tif", noise(dtype, shape, seed, smooth=bool(seed % 2)), **profile)
    found = decoded(path)
    with rasterio.open(path) as dataset:
        wanted, strips = dataset.read(1), not tile
    assert found is not None or (packing is None and strips)  # GDAL shows a single raw strip as lines
    if found is not None:
        assert found.tobytes() == wanted.tobytes()


@settings(max_examples=80, **QUIET)
@given(
    dtype=st.sampled_from((*TYPES, "int8", "int64")),
    packing=st.sampled_from(("zstd", "deflate")),
    predictor=st.sampled_from((1, 2, 3)),
    tile=st.sampled_from((None, (16, 16), (32, 48))),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    count=st.integers(1, 4),
    layout=st.tuples(st.sampled_from(("pixel", "band")), st.sampled_from(("LITTLE", "BIG")), st.booleans()),
)
def test_every_band_and_order_of_bytes_gives_the_bits_gdal_gives(
    tmp_path, dtype, packing, predictor, tile, shape, count, layout
):
    interleave, order, big = layout
    seed = 61 * shape[0] + shape[1] + predictor
    profile: dict[str, Any] = {"compress": packing, "count": count, "interleave": interleave, "ENDIANNESS": order}
    profile |= {"BIGTIFF": "YES" if big else "NO"}
    if count == 4:
        profile["photometric"] = "minisblack"  # GDAL would make the fourth a mask
    if predictor < 3 or dtype.startswith("float"):
        profile["predictor"] = predictor
    if tile:
        profile |= {"tiled": True, "blockysize": tile[0], "blockxsize": tile[1]}
    bands_ = [noise(dtype, shape, seed + band, smooth=bool(seed % 2)) for band in range(count)]
    path = write(tmp_path / "a.tif", bands_[0], **profile)
    with rasterio.open(path, "r+") as target:
        for band, values in enumerate(bands_):
            target.write(values, band + 1)
    for band, values in enumerate(bands_):
        found = decoded(path, band + 1)
        assert found is not None
        assert found.tobytes() == values.tobytes()
    assert decoded(path, count + 1) is None


def repacked(path: Path, content: bytes) -> None:
    """Put other deflated bytes in the place of the only block of a classic little-endian TIFF."""
    data = bytearray(path.read_bytes())
    packed = zlib.compress(content, 9)
    start = struct.unpack_from("<I", data, 4)[0]
    for entry in range(struct.unpack_from("<H", data, start)[0]):
        at = start + 2 + 12 * entry
        if struct.unpack_from("<H", data, at)[0] in {273, 279}:
            place = len(data) if struct.unpack_from("<H", data, at)[0] == 273 else len(packed)
            struct.pack_into("<HII", data, at + 2, 4, 1, place)
    path.write_bytes(bytes(data) + packed)


def only_gdal_reads(path: Path) -> Path:
    """A file of half bytes in one strip: no layout of ``Tiles``."""
    return write(path, np.arange(120, dtype="uint8").reshape(10, 12) % 16, compress="deflate", NBITS=4)


@pytest.mark.parametrize(("size", "good"), [(60, True), (59, False), (61, False), (5000, False)])
def test_gdal_gets_no_block_of_another_length_than_it_expects(tmp_path, size, good):
    path = only_gdal_reads(tmp_path / "a.tif")
    repacked(path, bytes([0x12] * size))
    assert decoded(path) is None
    found = copied(path, tmp_path / "out")
    if good:
        assert found[0] == bytes([1, 2] * 60)
    else:
        assert [finding[0] for finding in found] == ["unreadable"]


def test_a_file_that_only_gdal_reads_is_read_in_all_its_blocks(tmp_path):
    band = np.random.default_rng(1).integers(0, 16, (70, 50), dtype=np.uint8)
    layouts = ({}, {"tiled": True, "blockysize": 16, "blockxsize": 32}, {"count": 3}, {"blockysize": 70})
    for number, profile in enumerate(layouts):
        path = write(tmp_path / f"{number}.tif", band, compress="deflate", NBITS=4, **profile)
        assert decoded(path) is None
        assert copied(path, tmp_path / str(number))[0] == band.tobytes()


def test_a_single_strip_that_gdal_takes_line_by_line_is_read(tmp_path):
    band = np.random.default_rng(1).integers(0, 2, (2100, 9), dtype=np.uint8)
    path = write(tmp_path / "a.tif", band, compress="deflate", NBITS=1, blockysize=2100)
    with rasterio.open(path) as dataset:
        assert dataset.block_shapes == [(1, 9)]
    assert decoded(path) is None
    assert copied(path, tmp_path / "out")[0] == band.tobytes()


@pytest.mark.parametrize("count", [1, 3])
def test_a_strip_of_too_many_bytes_gives_its_beginning(tmp_path, count):
    path = write(tmp_path / "a.tif", np.zeros((10, 12), "uint8"), compress="deflate", count=count, interleave="pixel")
    content = np.random.default_rng(2).integers(0, 256, 3 * 10 * 12 * count, dtype=np.uint8)
    with path.open("rb") as file, rasterio.open(path) as dataset:
        assert len(Tiles.of(file.fileno(), dataset).offsets) == 1
    repacked(path, content.tobytes())
    wanted = content[: 120 * count].reshape(10, 12, count)[:, :, 0]
    assert decoded(path).tobytes() == wanted.tobytes()
    assert copied(path, tmp_path / "out")[0] == wanted.tobytes()


def copied(path: Path, out: Path, count: int = 1, **more: Any) -> tuple[Any, ...]:
    """What reading gives: the canonical arrays, or the findings."""
    threads.allow(count)
    try:
        read_raster(path, "geotiff", expectation(**more), out)
    except Rejected as refused:
        return tuple((f.code, f.message, dict(f.where)) for f in refused.findings)
    finally:
        threads.allow(1)
    canonical = Canonical.read(out)
    valid = canonical.arrays.get("valid")
    return (
        canonical.arrays["band"].tobytes(),
        None if valid is None else valid.tobytes(),
        canonical.attrs["classes"],
    )


VALUES = {
    "whole": lambda rng, shape: rng.integers(0, 5, shape),
    "share": lambda rng, shape: rng.random(shape),
    "mixed": lambda rng, shape: rng.choice(
        [0.0, 1.0, 2.5, -3.0, np.nan, np.inf, 7.0], shape, p=[0.5, 0.43, *[0.014] * 5]
    ),
    "rare": lambda rng, shape: np.where(rng.random(shape) < 0.002, 9, rng.integers(0, 2, shape)),
}
ASKED = {
    "continuous": {},
    "range": {"low": -0.5, "high": 4.5},
    "probability": {"meaning": "probability"},
    "truth": {"meaning": "probability", "role": "truth"},
    "solid": {"meaning": "categorical", "classes": ("0", "1", "2", "3", "4"), "classes_open": False},
    "gaps": {"meaning": "categorical", "classes": ("0", "1", "4"), "classes_open": False},
    "open": {"meaning": "categorical"},
}


@settings(max_examples=60, **QUIET)
@given(
    dtype=st.sampled_from((*TYPES, "int8", "uint32")),
    values=st.sampled_from(sorted(VALUES)),
    asked=st.sampled_from(sorted(ASKED)),
    nodata=st.sampled_from((None, 1.0, 2.0, float("nan"), 250.0)),
    seed=st.integers(0, 1 << 30),
)
def test_the_quick_look_changes_nothing(tmp_path_factory, monkeypatch, dtype, values, asked, nodata, seed):
    folder = tmp_path_factory.mktemp("quick")
    if not dtype.startswith("f") and ((nodata == 250.0 and dtype == "int8") or str(nodata) == "nan"):
        nodata = None
    with np.errstate(invalid="ignore"):
        band = (
            np.nan_to_num(VALUES[values](np.random.default_rng(seed), (70, 50)), posinf=3)
            if dtype[0] != "f"
            else (VALUES[values](np.random.default_rng(seed), (70, 50)))
        )
    path = write(
        folder / "a.tif",
        np.clip(band, 0 if dtype[0] == "u" else -9, 99).astype(dtype) if dtype[0] != "f" else band.astype(dtype),
        nodata=nodata,
        tiled=True,
        blockysize=16,
        blockxsize=16,
        compress="zstd",
    )
    with monkeypatch.context() as small:
        small.setattr(bands, "STRIP", 3000)
        small.setattr(bands, "WINDOW", 1500)
        one = copied(path, folder / "one", **ASKED[asked])
        assert copied(path, folder / "two", 2, **ASKED[asked]) == one
        small.setattr(bands.Quick, "of", classmethod(lambda *_: None))
        assert copied(path, folder / "slow", **ASKED[asked]) == one


def patched(path: Path, tag: int, value: int) -> None:
    """Change the single short or long of a tag of a classic TIFF in place."""
    data = bytearray(path.read_bytes())
    start = struct.unpack_from("<I", data, 4)[0]
    for entry in range(struct.unpack_from("<H", data, start)[0]):
        at = start + 2 + 12 * entry
        if struct.unpack_from("<H", data, at)[0] == tag:
            struct.pack_into("<I", data, at + 8, value)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("tag", "value"),
    [(324, 1 << 30), (324, 0), (325, 1), (325, 0), (325, 1 << 30), (323, 17), (262, 0), (259, 5)],
)
def test_a_tag_that_does_not_fit_is_left_to_gdal(tmp_path, tag, value):
    path = write(
        tmp_path / "a.tif", np.ones((10, 10), "float32"), tiled=True, blockysize=16, blockxsize=16, compress="zstd"
    )
    assert decoded(path) is not None
    patched(path, tag, value)
    try:
        assert decoded(path) is None
    except (NotPlain, rasterio.errors.RasterioError):
        pass
    else:
        return


def test_a_damaged_or_overlong_tile_is_not_plain(tmp_path):
    path = write(
        tmp_path / "a.tif",
        noise("float32", (64, 64), 1, smooth=True),
        tiled=True,
        blockysize=64,
        blockxsize=64,
        compress="zstd",
        predictor=3,
    )
    with rasterio.open(path) as dataset, path.open("rb") as file:
        tiles = Tiles.of(file.fileno(), dataset)
        at, count = int(tiles.offsets[0]), int(tiles.counts[0])
    good = path.read_bytes()
    path.write_bytes(good[:at] + b"\x00" * 4 + good[at + 4 :])
    assert copied(path, tmp_path / "magic")[0][0] == "unreadable"
    path.write_bytes(good[: at + count - 1])  # the tile lies last
    assert copied(path, tmp_path / "cut")[0][0] == "unreadable"


def test_other_layouts_are_left_to_gdal(tmp_path):
    band = noise("float32", (40, 40), 3, smooth=True)
    others = ({"compress": "lzw"}, {"compress": "lerc"}, {"compress": "zstd", "count": 2, "ALPHA": "YES"})
    for number, profile in enumerate(others[:2]):
        path = write(tmp_path / f"{number}.tif", band, tiled=True, blockysize=16, blockxsize=16, **profile)
        assert decoded(path) is None
        assert copied(path, tmp_path / str(number))[0] == band.tobytes()
    path = write(tmp_path / "alpha.tif", band, tiled=True, blockysize=16, blockxsize=16, **others[2])
    assert decoded(path) is None
    assert copied(path, tmp_path / "alpha")[0] == band.tobytes()


@pytest.mark.parametrize("place", [(1 << 64) - 1, 1 << 63, (1 << 63) - 1])
def test_a_strip_beyond_all_files_is_damage(tmp_path, place):
    path = write(tmp_path / "a.tif", np.zeros((64, 20), np.uint8), compress="deflate", BIGTIFF="YES", blockysize=16)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<Q", data, 8)
    (count,) = struct.unpack_from("<Q", data, start)
    entries = range(start + 8, start + 8 + 20 * count, 20)
    offsets = next(at for at in entries if struct.unpack_from("<H", data, at)[0] == 273)
    struct.pack_into("<HHQQ", data, offsets, 273, 16, 4, len(data))
    path.write_bytes(data + struct.pack("<4Q", *[place] * 4))
    assert copied(path, tmp_path / "out")[0][0] == "unreadable"
