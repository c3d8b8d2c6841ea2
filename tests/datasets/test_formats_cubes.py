"""Reading n-d files past their libraries: the quick pass takes what is right and gives what the careful one gives."""

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numcodecs
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import canonical, threads
from datasets.canonical import Canonical, CanonicalWriter
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.formats import cube
from datasets.formats.cube_values import Values
from datasets.formats.grid import read_grid
from datasets.formats.hdf5_chunks import DirectChunks
from datasets.recheck import recheck

DIMS = ("member", "time", "lat", "lon")
ENTRY = Expectation("grid", "entry", ("netcdf", "zarr-zip"), 1 << 30, variable="tp", member="member")
TRUTH = Expectation("grid", "truth", ("netcdf", "zarr-zip"), 1 << 30, variable="tp")


def values(dtype: str = "f4", seed: int = 0, shape: tuple[int, ...] = (5, 3, 7, 11)) -> np.ndarray:
    return np.random.default_rng(seed).normal(50, 9, shape).round(2).astype(dtype)


def cube_of(data: np.ndarray) -> xarray.Dataset:
    dims = DIMS[-data.ndim :]
    coords = {dim: np.arange(size) for dim, size in zip(dims, data.shape, strict=True)}
    return xarray.DataArray(data, dims=dims, coords=coords).to_dataset(name="tp")


def write_netcdf(path: Path, data: np.ndarray, **how: Any) -> Path:
    cube_of(data).to_netcdf(path, engine="h5netcdf", encoding={"tp": {"_FillValue": None, **how}})
    return path


def write_zarr(path: Path, data: np.ndarray, version: int = 3, **how: Any) -> Path:
    store = zarr.storage.ZipStore(path, mode="w")
    encoding = {"tp": how}
    cube_of(data).to_zarr(store, zarr_format=version, consolidated=False, encoding=encoding)  # type: ignore[call-overload]
    store.close()
    return path


def read(path: Path, out: Path, expect: Expectation = ENTRY) -> Canonical:
    read_grid(path, "netcdf" if path.suffix == ".nc" else "zarr-zip", expect, out)
    found = Canonical.read(out)
    recheck(found, expect)
    return found


def reason(path: Path, out: Path, expect: Expectation = ENTRY) -> list[str]:
    with pytest.raises(Rejected) as refused:
        read(path, out, expect)
    return [finding.code for finding in refused.value.findings]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the quick pass said of every variable that was read."""
    said: list[bool] = []
    plain = Values._quickly

    def watched(self: Values, *args: Any) -> bool:
        said.append(plain(self, *args))
        return said[-1]

    monkeypatch.setattr(Values, "_quickly", watched)
    return said


@settings(max_examples=12, deadline=None)
@given(
    dtype=st.sampled_from(["f4", "f8", "i2", "i4", "u8"]),
    chunks=st.tuples(*(st.integers(size // 3 + 1, size + 1) for size in (5, 3, 7, 11))),
    packing=st.sampled_from(
        [{}, {"zlib": True}, {"zlib": True, "shuffle": False}, {"fletcher32": True}, {"shuffle": True}]
    ),
    block=st.sampled_from([64, 1000, cube.BLOCK]),
    count=st.integers(1, 3),
)
def test_netcdf_is_read_the_same_both_ways(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, chunks: tuple[int, ...], packing: Any, block: int, count: int
) -> None:
    data, folder = values(dtype), tmp_path_factory.mktemp("netcdf")
    size = tuple(min(chunk, length) for chunk, length in zip(chunks, data.shape, strict=True))
    path = write_netcdf(folder / "a.nc", data, chunksizes=size, **packing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cube, "BLOCK", block)
        patch.setattr(threads, "allowed", lambda: count)
        fast = read(path, folder / "fast")
        patch.setattr(Values, "_quickly", lambda *_: False)
        slow = read(path, folder / "slow")
    assert np.array_equal(fast.arrays["data"], data)
    assert fast.arrays["data"].tobytes() == slow.arrays["data"].tobytes()
    assert (fast.attrs, fast.arrays["data"].dtype) == (slow.attrs, slow.arrays["data"].dtype)


PACKERS: dict[tuple[int, str], Any] = {
    (2, "none"): {"compressors": None},
    (2, "zstd"): {"compressors": numcodecs.Zstd()},
    (2, "gzip"): {"compressors": numcodecs.GZip()},
    (2, "blosc"): {"compressors": numcodecs.Blosc()},
    (3, "none"): {"compressors": None},
    (3, "zstd"): {"compressors": [zarr.codecs.ZstdCodec()]},
    (3, "gzip"): {"compressors": [zarr.codecs.GzipCodec()]},
    (3, "blosc"): {"compressors": [zarr.codecs.BloscCodec()]},
}


@settings(max_examples=12, deadline=None)
@given(
    dtype=st.sampled_from(["<f4", "<f8", ">f4", "<i2"]),
    chunks=st.tuples(*(st.integers(size // 3 + 1, size) for size in (5, 3, 7, 11))),
    packing=st.sampled_from(sorted(PACKERS)),
    count=st.integers(1, 3),
)
def test_zarr_is_read_the_same_both_ways(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, chunks: tuple[int, ...], packing: tuple[int, str], count: int
) -> None:
    data, folder = values(dtype), tmp_path_factory.mktemp("zarr")
    path = write_zarr(folder / "a.zip", data, packing[0], chunks=chunks, **PACKERS[packing])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "allowed", lambda: count)
        fast = read(path, folder / "fast")
        patch.setattr(Values, "_quickly", lambda *_: False)
        slow = read(path, folder / "slow")
    assert np.array_equal(fast.arrays["data"], data)
    assert fast.arrays["data"].tobytes() == slow.arrays["data"].tobytes()


def test_ordinary_files_take_the_quick_way(tmp_path: Path, quick: list[bool]) -> None:
    read(write_netcdf(tmp_path / "a.nc", values(), zlib=True, chunksizes=(2, 1, 4, 11)), tmp_path / "1")
    read(write_netcdf(tmp_path / "b.nc", values("f8")), tmp_path / "2")
    read(write_zarr(tmp_path / "c.zip", values(), chunks=(5, 1, 4, 11)), tmp_path / "3")
    assert quick == [True, True, True]


def test_a_cell_without_value_is_named_as_ever(tmp_path: Path, quick: list[bool]) -> None:
    data = values()
    data[1, 2, 3, 4] = np.nan
    path = write_netcdf(tmp_path / "a.nc", data, zlib=True, chunksizes=(2, 1, 4, 11))
    with pytest.raises(Rejected) as refused:
        read(path, tmp_path / "out")
    (finding,) = refused.value.findings
    assert (finding.code, finding.where) == ("not-finite", {"cell": {"member": 1, "time": 2, "lat": 3, "lon": 4}})
    assert quick == [False]


@pytest.mark.parametrize("fill", [-99.0, 9.969209968386869e36])
def test_missing_cells_of_a_truth_are_nan_and_of_an_entry_a_fault(
    tmp_path: Path, quick: list[bool], fill: float
) -> None:
    data = values("f4", shape=(3, 7, 11))
    path = write_netcdf(tmp_path / "a.nc", data, zlib=True, chunksizes=(1, 4, 11))
    with h5py.File(path, "r+") as file:
        file["tp"].attrs["missing_value"] = np.float32(-99)
        file["tp"][1, 2, 3] = fill
    found = read(path, tmp_path / "truth", TRUTH)
    assert np.isnan(found.arrays["data"][1, 2, 3])
    assert np.isfinite(found.arrays["data"]).sum() == data.size - 1
    assert (quick, found.attrs["finite"]) == ([True], False)
    assert reason(path, tmp_path / "entry") == ["not-finite"]


def test_the_range_is_watched(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", values(), zlib=True)
    low, high = float(values().min()), float(values().max())
    expect = Expectation("grid", "entry", ("netcdf",), 1 << 30, low=low, high=high, variable="tp", member="member")
    read(path, tmp_path / "fine", expect)
    for name, narrow in (("low", {"low": low + 0.01}), ("high", {"high": high - 0.01})):
        assert set(reason(path, tmp_path / name, replace(expect, **narrow))) == {"out-of-range"}


def direct(path: Path) -> DirectChunks | None:
    with path.open("rb") as plain, h5py.File(path, "r") as file:
        return DirectChunks.of(file["tp"], plain.fileno())


def spoilt(path: Path, change: Callable[[h5py.Dataset, Any], None]) -> Path:
    with h5py.File(path, "r+") as file:
        found: list[Any] = []
        file["tp"].id.chunk_iter(found.append)
        change(file["tp"], found[1])
    return path


def test_a_chunk_that_skipped_a_filter_is_left_to_the_library(tmp_path: Path, quick: list[bool]) -> None:
    path = write_netcdf(tmp_path / "a.nc", values(), zlib=True, chunksizes=(1, 3, 7, 11))
    assert direct(path) is not None
    raw = np.ascontiguousarray(values()[1]).tobytes()
    spoilt(path, lambda data, chunk: data.id.write_direct_chunk(chunk.chunk_offset, raw, filter_mask=3))
    assert direct(path) is None
    assert np.array_equal(read(path, tmp_path / "out").arrays["data"], values())
    assert quick == [True]


ROOM = 3 * 7 * 11 * 4  # bytes of a chunk of one member


@pytest.mark.parametrize(
    "stored",
    [
        b"\x78\x9c",
        b"no stream at all" * 9,
        zlib.compress(bytes(ROOM - 4)),
        zlib.compress(bytes(ROOM))[:-9],
        zlib.compress(bytes(2 << 20), 9),
    ],
    ids=["empty", "no-stream", "short", "cut", "bomb"],
)
def test_a_damaged_chunk_is_refused(tmp_path: Path, stored: bytes) -> None:
    path = write_netcdf(tmp_path / "a.nc", values(), zlib=True, chunksizes=(1, 3, 7, 11))
    spoilt(path, lambda data, chunk: data.id.write_direct_chunk(chunk.chunk_offset, stored))
    assert direct(path) is not None
    assert reason(path, tmp_path / "out") == ["unreadable"]


def test_a_chunk_that_is_listed_but_not_found_is_refused(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", values(), zlib=True, chunksizes=(1, 3, 7, 11))
    text = bytearray(path.read_bytes())
    key = text.index(b"TREE\x01\x00") + 24 + (8 + 5 * 8) + 8  # the second chunk's: size, mask, offsets along five axes
    assert struct.unpack_from("<5Q", text, key + 8) == (1, 0, 0, 0, 0)
    struct.pack_into("<Q", text, key + 8 + 4 * 8, 1 << 40)  # of the bytes in a value: always 0
    path.write_bytes(text)
    assert direct(path) is not None
    assert reason(path, tmp_path / "out") == ["unreadable"]


def test_a_stored_chunk_longer_than_any_is_left_to_the_library(tmp_path: Path) -> None:
    stored = zlib.compress(values()[1].tobytes()) + bytes(10_000)
    path = write_netcdf(tmp_path / "a.nc", values(), zlib=True, shuffle=False, chunksizes=(1, 3, 7, 11))
    spoilt(path, lambda data, chunk: data.id.write_direct_chunk(chunk.chunk_offset, stored))
    assert direct(path) is None


def test_an_index_that_leads_out_of_the_file_is_not_followed(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "a.nc", values(), zlib=True, chunksizes=(1, 3, 7, 11))
    with h5py.File(path) as file:
        found: list[Any] = []
        file["tp"].id.chunk_iter(found.append)
    data = path.read_bytes()
    away = data.replace(struct.pack("<Q", found[-1].byte_offset), struct.pack("<Q", len(data) + 4096))
    assert away != data
    path.write_bytes(away)
    assert direct(path) is None
    assert reason(path, tmp_path / "out") == ["unreadable"]


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_members_are_checked_by_their_sum(tmp_path: Path, how: int, quick: list[bool]) -> None:
    folder = tmp_path / "folder.zip"
    write_zarr(folder, values(), chunks=(5, 3, 7, 11), compressors=None)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(folder) as source, zipfile.ZipFile(path, "w", how) as target:
        for name in dict.fromkeys(source.namelist()):
            target.writestr(name, source.read(name))
    assert np.array_equal(read(path, tmp_path / "out").arrays["data"], values())
    assert quick == [True]
    if how == zipfile.ZIP_STORED:
        raw, data = values().tobytes(), path.read_bytes()
        place = data.index(raw) + 100
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert reason(path, tmp_path / "again") == ["unreadable"]


def test_a_zip_member_of_a_kind_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zarr(path, values(), chunks=(5, 3, 7, 11), compressors=None)
    data = bytearray(path.read_bytes())
    chunk = data.rindex(b"tp/c/0/0/0/0")  # its entry in the central directory: the name behind 46 bytes
    data[chunk - 46 + 8] |= 0x20  # flags: patched data
    path.write_bytes(data)
    assert reason(path, tmp_path / "out") == ["unreadable"]


def test_edges_between_categories_come_with_the_truth(tmp_path: Path) -> None:
    expect = Expectation("grid", "truth", ("netcdf",), 1 << 30, variable="tp", edges="terciles")
    low = values(shape=(7, 11))

    def truth(name: str, edges: np.ndarray, dims: tuple[str, ...] = ("edge", "lat", "lon")) -> Path:
        made = xarray.Dataset({"tp": (DIMS[1:], values(shape=(3, 7, 11))), "terciles": (dims, edges)})
        made.to_netcdf(tmp_path / name, engine="h5netcdf")
        return tmp_path / name

    found = read(truth("a.nc", np.stack([low, low + 1])), tmp_path / "a", expect)
    assert np.array_equal(found.arrays["edges"], np.stack([low, low + 1]))
    assert found.attrs["edges_dims"] == ["edge", "lat", "lon"]
    assert reason(truth("b.nc", np.stack([low + 1, low])), tmp_path / "b", expect) == ["out-of-range"]
    assert reason(truth("c.nc", np.stack([low, low * np.nan])), tmp_path / "c", expect)[0] == "not-finite"
    assert reason(truth("d.nc", np.stack([low, low]), ("edge", "lat", "x")), tmp_path / "d", expect) == ["wrong-shape"]
    assert reason(write_netcdf(tmp_path / "e.nc", values(shape=(3, 7, 11))), tmp_path / "e", expect) == [
        "missing-variable"
    ]


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    step=st.integers(1, 3),
    short=st.sampled_from([0, 512]),
    seed=st.integers(0, 9),
)
def test_windows_make_the_whole_array(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], step: int, short: int, seed: int
) -> None:
    folder, data = tmp_path_factory.mktemp("windows"), values("f8", seed, shape)
    cuts = list(cube.pieces(shape, (step,) * len(shape), 1 << 24))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "SHORT", short)
        writer = CanonicalWriter(folder, "grid")
        with writer.placed("data", "f8", shape) as target:
            for place in np.random.default_rng(seed).permutation(len(cuts)).tolist():
                target.put_window([part.start for part in cuts[place]], data[cuts[place]])
        writer.finish({})
    assert np.array_equal(Canonical.read(folder).arrays["data"], data)


def test_a_window_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    with CanonicalWriter(tmp_path, "grid").placed("data", "f8", (3, 4)) as target:
        target.void()
        for starts, shape in (([2, 0], (2, 4)), ([0, -1], (1, 2)), ([0, 3], (1, 2))):
            with pytest.raises(IndexError):
                target.put_window(starts, np.zeros(shape))


def test_an_array_with_a_hole_is_an_error(tmp_path: Path) -> None:
    def unfinished() -> None:
        with CanonicalWriter(tmp_path, "grid").placed("data", "f8", (3, 4)) as target:
            target.put_window([0, 0], np.zeros((3, 3)))

    with pytest.raises(ValueError, match="got 72 bytes, not 96"):
        unfinished()
