"""Fast readers against careful ones on hostile files: the same arrays or the same findings, and no byte beyond."""

import ctypes
import json
import mmap
import random
import shutil
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from numcodecs import lz4

from datasets import threads
from datasets.canonical import Canonical
from datasets.errors import Rejected
from datasets.expect import Column, Expectation
from datasets.findings import Findings
from datasets.formats import codecs, columns, delimited, geojson, geojson_plain, plain, raster, straight, table
from datasets.formats import plain_loops as loops
from datasets.formats.hdf5_chunks import DirectChunks
from datasets.formats.raster import read_raster
from datasets.formats.sheet import Spot
from datasets.formats.table import read_table
from datasets.formats.tiff import Tiles
from datasets.formats.vector import read_vector
from tests.datasets import controls
from tests.datasets.test_intake_mutations import mutate

Read = Callable[[Path, str, Expectation, Path], None]
TABLE = Expectation(
    "table",
    "entry",
    ("csv",),
    1 << 30,
    columns=(
        Column("id", "id.0", "auto"),
        Column("well", "id.1", "text"),
        Column("p", "value.p", "probability"),
        Column("q", "value.q", "float"),
        Column("c", "value.c", "class"),
    ),
    classes=("1", "2", "clay"),
    classes_open=True,
)
HEAD = "q,id,skip,well,p,c"
NUMBERS = [
    *("0", "-0", "1.5", "+.5", "5.", "1e5", "1E-5", "007", "9007199254740993", "1e22", "1e23", "1e308", "9" * 19),
    *("7.2057594037927933e16", "123456789012345678e-30", "0." + "0" * 20 + "12345", "2.2250738585072014e-308"),
]
ODD = [
    *("4.9e-324", "1.7976931348623159e308", "2.2250738585072011e-308", "0." + "0" * 400 + "1", "9" * 20, "1" * 400),
    *("", "nan", "-inf", "Infinity", "1e400", "0x1p3", "1_0", " 1", "1 ", "\t", "--1", "+-1", "1e", ".", "-", "1.2.3"),
    *("\u0661", "\uff11", "\ufeff", "\x00", "\x0b", "\r", '"1"', '"', '"a,b"', "é", "x" * 15, "x" * 16, "y" * 5000),
    *("1e00005", "1e99999", "0e400", "-012", "18446744073709551616", "true", "1;2", "1\u00a0", "\x7f"),
]
SCORED = controls.spec("polygons", 'label = "label"', 'confidence = "score"\nlabel = "label"', metric="f1_iou50")
POLYGONS = Expectation.loose(SCORED)
RASTER = Expectation("raster", "entry", ("geotiff",), 1 << 30, meaning="continuous")


def outcome(read: Read, path: Path, form: str, expect: Expectation, folder: Path) -> Any:
    """What a reading ends in: the bits of every array, or every finding."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        read(path, form, expect, folder)
    except Rejected as refused:
        return [(item.code, item.message, str(dict(item.where)), item.hint) for item in refused.findings]
    found = Canonical.read(folder)
    arrays = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in found.arrays.items()}
    return arrays, {name: value for name, value in found.attrs.items() if name != "crs"}


def guarded(content: bytes) -> memoryview:
    """A copy that ends where memory may not be read any more."""
    pages = -(-len(content) // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    start = pages * mmap.PAGESIZE - len(content)
    memory[start : start + len(content)] = content
    last = ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory)) + pages * mmap.PAGESIZE
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(last), mmap.PAGESIZE, 0) == 0
    return memoryview(memory)[start : start + len(content)]


def sheet(chance: random.Random) -> bytes:
    """A table of mostly good cells."""
    odds, lines = chance.choice([0.0, 0.0, 0.01, 0.2]), [HEAD]
    for row in range(chance.choice([1, 5, 40])):
        good = [chance.choice(NUMBERS), str(row), "x", f"w{row}", chance.choice(["0", ".5", "1e-3"]), "clay"]
        lines.append(",".join(chance.choice(ODD) if chance.random() < odds else cell for cell in good))
    end = chance.choice(["\n", "\n", "\r\n", "\r"])
    text = end.join(lines).encode() + chance.choice([end, end, "", end + end, " "]).encode()
    return mutate(text, chance) if chance.random() < 0.3 else text


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Arrow reads bad rows as UTF-8
def test_tables_are_read_as_by_the_careful_reader(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, read, fast = random.Random(seed), plain._Room.read, straight.write_straight
    path, taken = tmp_path / "entry.csv", list[bool]()

    def fenced(room: Any, first: int, stop: int) -> int:
        behind = chance.choice([b"0", b"9", b".", b"\n", b"\xff"]) * loops.BACK
        text, room.text = room.text, guarded(bytes(room.text[:stop]) + behind)
        try:
            return read(room, first, stop)
        finally:
            room.text = text

    def noted(*given: Any) -> bool:
        taken.append(fast(*given))
        return taken[-1]

    monkeypatch.setattr(plain._Room, "read", fenced)
    for _ in range(60):
        path.write_bytes(sheet(chance) or b"\n")
        piece, sample = chance.choice([(2 << 20, 1 << 16), (100, 16), (400, 64)])
        monkeypatch.setattr(plain, "PIECE", piece)
        monkeypatch.setattr(plain, "SAMPLE", sample)
        monkeypatch.setattr(table, "write_straight", noted)
        with threads.using(chance.choice([1, 3])):
            found = outcome(read_table, path, "csv", TABLE, tmp_path / "fast")
        with monkeypatch.context() as patch:
            patch.setattr(table, "write_straight", lambda *_: False)
            middle = outcome(read_table, path, "csv", TABLE, tmp_path / "plain")
            patch.setattr(delimited, "read_plain", lambda *_: None)
            slow = outcome(read_table, path, "csv", TABLE, tmp_path / "slow")
        assert found == middle == slow, path.read_bytes()
    assert set(taken) == {True, False}


def test_nobody_waits_for_a_piece_that_never_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "PIECE", 32)
    monkeypatch.setattr(plain, "SAMPLE", 16)
    path = tmp_path / "entry.csv"
    path.write_text("id,p\n" + "1,2\n" * 100 + '"1",2\n' + "1,2\n" * 100, encoding="ascii")
    done: list[Any] = []

    def read() -> None:
        with threads.using(3):
            done.extend(plain.read_plain(path, 2, {0: "int", 1: "float"}) for _ in range(100))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(30)
    assert done == [None] * 100


def test_many_classes_few_of_them_near_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "PIECE", 1 << 10)
    monkeypatch.setattr(plain, "SAMPLE", 1 << 9)
    path = tmp_path / "entry.csv"
    path.write_text("id,c\n" + "".join(f"{row},c{row // 20:03}\n" for row in range(8000)), encoding="ascii")
    found = plain.read_plain(path, 2, {0: "auto", 1: "class"})
    assert found is not None
    assert found[1].type.index_type.bit_width == 8
    codes, known = columns.class_codes(found[1], Spot("c"), Findings(), classes=(), open_end=True)
    assert [known[code] for code in codes[::20]] == [f"c{label:03}" for label in range(400)]


def collection(ring: str, label: str = '"a"', score: str = "1") -> bytes:
    about, shape = f'{{"score":{score},"label":{label}}}', f'{{"type":"Polygon","coordinates":[{ring}]}}'
    feature = f'{{"type":"Feature","properties":{about},"geometry":{shape}}}'
    return f'{{"type":"FeatureCollection","features":[{feature}]}}'.encode()


SQUARE = "[[0,0],[1,0],[1,1],[0,0]]"


def test_polygons_are_read_as_by_the_careful_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, path = random.Random(7), tmp_path / "entry.geojson"
    good = controls.vector(controls.squares, "geojson")(tmp_path).read_bytes()
    compact = json.dumps(json.loads(good), separators=(",", ":")).encode()
    whole = "[[9007199254740993,0],[9007199254740999,0],[9007199254740999,9],[9007199254740992,0]]"
    special = [
        collection(whole),
        *(collection(SQUARE, score=number) for number in (*NUMBERS, *ODD) if "\n" not in number),
    ]
    special += [collection(SQUARE, label) for label in ('"\\ud800"', '"\\u0000"', '""', "5", f'"{"é" * 101}"')]
    mutants = [mutate(chance.choice([good, compact]), chance) for _ in range(250)]
    for text in [good, compact, *special, *mutants]:
        path.write_bytes(text)
        monkeypatch.setattr(geojson_plain, "PIECE", chance.choice([4 << 20, 300]))
        with threads.using(chance.choice([1, 3])):
            found = outcome(read_vector, path, "geojson", POLYGONS, tmp_path / "fast")
            with monkeypatch.context() as patch:
                patch.setattr(geojson, "read_plain", lambda *_: None)
                assert found == outcome(read_vector, path, "geojson", POLYGONS, tmp_path / "slow"), text


def test_a_label_that_no_text_can_hold_is_named(tmp_path: Path) -> None:
    path = tmp_path / "entry.geojson"
    path.write_bytes(collection(SQUARE, '"\\ud800"'))
    assert outcome(read_vector, path, "geojson", POLYGONS, tmp_path / "out")[0][0] == "wrong-type"


def entries(content: bytearray) -> list[int]:
    """Where the tags of a little-endian TIFF stand."""
    start = int(struct.unpack_from("<I", content, 4)[0])
    return [start + 2 + 12 * number for number in range(struct.unpack_from("<H", content, start)[0])]


def retagged(good: bytes, chance: random.Random) -> bytes:
    """A TIFF with the type, the count, the value or the name of a tag changed."""
    content = bytearray(good)
    for _ in range(chance.choice([1, 1, 2])):
        at, numbers = chance.choice(entries(content)), (0, 1, 2, 3, 8, 16, 17, 255, 65535, 1 << 31, (1 << 32) - 1)
        match chance.randrange(5):
            case 0:
                struct.pack_into(
                    "<H", content, at, chance.choice([254, 273, 279, 320, 324, 325, 330, 338, 34264, 42112])
                )
            case 1:
                struct.pack_into("<H", content, at + 2, chance.choice([1, 2, 3, 4, 5, 12, 16]))
            case 2:
                struct.pack_into("<I", content, at + 4, chance.choice(numbers))
            case 3:
                struct.pack_into("<I", content, at + 8, chance.choice(numbers))
            case _:
                content = bytearray(mutate(bytes(content), chance)) if chance.random() < 0.2 else content
        if len(content) < 600 or not 8 <= struct.unpack_from("<I", content, 4)[0] <= len(content) - 300:
            return good
    return bytes(content)


def careful(path: Path, form: str, expect: Expectation, out: Path) -> None:
    """The raster by way of GDAL alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raster, "plain", lambda *_: None)
        patch.setattr(Tiles, "of", lambda *_: None)
        read_raster(path, form, expect, out)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rasters_are_read_as_by_gdal(tmp_path: Path, seed: int) -> None:
    chance, path = random.Random(seed), tmp_path / "entry.tif"
    for number in range(25):
        values = controls.cells()[: chance.choice([1, 7, 40]), : chance.choice([1, 16, 30])]
        profile: dict[str, Any] = {"compress": chance.choice(["zstd", None])}  # libtiff reads on in damaged deflate
        profile |= chance.choice([{}, {"tiled": True, "blockxsize": 16, "blockysize": 16}, {"blockysize": 3}])
        if profile["compress"]:
            profile["predictor"] = chance.choice([1, 2, 3])
        good = controls.tif(tmp_path / f"{number}.tif", values, **profile).read_bytes()
        for _ in range(4):
            path.write_bytes(retagged(good, chance))
            found = outcome(read_raster, path, "geotiff", RASTER, tmp_path / "fast")
            known = outcome(careful, path, "geotiff", RASTER, tmp_path / "slow")
            if isinstance(known, tuple) and 0 < abs(known[1]["transform"][0]) < 1e-200:
                continue  # GDAL takes what a broken tag points to for numbers
            assert found == known


def strip(stream: bytes) -> bytes:
    """A TIFF of 16 × 16 bytes in one deflated strip."""
    tags = [(256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 230), (277, 3, 1), (278, 3, 16)]
    tags += [(279, 4, len(stream))]
    body = b"II*\x00" + struct.pack("<IH", 8, len(tags) + 2)
    for tag, kind, value in tags:
        body += struct.pack("<HHII", tag, kind, 1, value)
    body += struct.pack("<HHIIHHIII", 33550, 12, 3, 150, 33922, 12, 6, 174, 0)
    body = body.ljust(150, b"\x00") + struct.pack("<9d", 25, 25, 0, 0, 0, 0, 5e5, 42e5, 0)
    return body.ljust(230, b"\x00") + stream


def test_a_strip_that_unpacks_to_more_shows_no_memory(tmp_path: Path) -> None:
    path, cells = tmp_path / "entry.tif", bytes(range(200)) + b"A" * 56
    path.write_bytes(strip(zlib.compress(cells + b"A" * 300)))
    arrays, _ = outcome(read_raster, path, "geotiff", RASTER, tmp_path / "long")
    assert arrays["band"][2] == cells
    path.write_bytes(strip(zlib.compress(cells[:100])))
    assert outcome(read_raster, path, "geotiff", RASTER, tmp_path / "short")[0][0] == "unreadable"


def test_a_second_band_is_not_the_first(tmp_path: Path) -> None:
    path = controls.tif(tmp_path / "entry.tif", compress="zstd")
    expect = Expectation("raster", "entry", ("geotiff",), 1 << 30, meaning="continuous", band=2)
    assert outcome(read_raster, path, "geotiff", expect, tmp_path / "out")[0][0] == "missing-variable"


@pytest.mark.parametrize("compress", ["lzw", "zstd"])
def test_web_maps_are_read_however_they_are_packed(tmp_path: Path, compress: str) -> None:
    path = controls.tif(tmp_path / "entry.tif", compress=compress, crs=3857)
    read_raster(path, "geotiff", RASTER, tmp_path / "out")
    with rasterio.open(path) as dataset:
        assert Canonical.read(tmp_path / "out").arrays["band"].shape == dataset.shape


def test_a_short_lz4_chunk_shows_no_memory() -> None:
    packed = bytes(lz4.compress(b"a" * 1000))
    assert codecs.unpack("lz4", packed, 1000) == b"a" * 1000
    for size in (4000, 1001, 999):
        for head in (packed[:4], struct.pack("<I", size)):
            with pytest.raises(Rejected):
                codecs.unpack("lz4", head + packed[4:], size)


@pytest.mark.parametrize("odd", [False, True])
def test_numbers_of_an_unusual_make_are_left_to_hdf5(tmp_path: Path, odd: bool) -> None:
    kind = h5py.h5t.STD_I32LE.copy()
    if odd:
        kind.set_precision(24)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((3,))
    plan.set_deflate(4)
    path = tmp_path / "entry.nc"
    with h5py.File(path, "w") as file:
        h5py.h5d.create(file.id, b"tp", kind, h5py.h5s.create_simple((6,)), plan)
        for start in (0, 3):
            file["tp"].id.write_direct_chunk((start,), zlib.compress(bytes(range(1, 13))))
    with h5py.File(path) as file, path.open("rb") as source:
        direct = DirectChunks.of(file["tp"], source.fileno())
        assert (direct is None) == odd
        found = np.zeros(6, dtype=np.int32)
        if direct is not None:
            direct.load((slice(0, 6),), found)
            assert found.tolist() == file["tp"][()].tolist()
