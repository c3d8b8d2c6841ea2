"""GeoParquet straight out of its pages: the same arrays and findings as through pyarrow and GEOS."""

import random
import shutil
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets import threads
from datasets.canonical import Canonical
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.formats import geoparquet, parquet, wkb
from datasets.formats.vector import read_vector
from tests.datasets import controls

ENTRY = Expectation.loose(
    controls.spec("polygons", 'label = "label"', 'confidence = "score"\nlabel = "label"', metric="f1_iou50")
)
WAYS = st.fixed_dictionaries(
    {
        "compression": st.sampled_from(["snappy", "snappy", "zstd", "none", "gzip"]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "data_page_size": st.sampled_from([1, 200, 1 << 20]),
        "write_batch_size": st.sampled_from([1, 3, 1024]),
        "dictionary_pagesize_limit": st.sampled_from([150, 1 << 20]),
        "row_group_size": st.sampled_from([2, 1000]),
        "write_page_index": st.booleans(),
    }
)


def footprints(count: int, dice: random.Random) -> list[Any]:
    found = []
    for i in range(count):
        x, y = 30.0 * i + dice.random(), dice.random()
        solid = shapely.box(x, y, x + 9, y + 7)
        holed = solid.difference(shapely.box(x + 1, y + 1, x + 2, y + 2))
        both = shapely.multipolygons([holed, shapely.box(x, y + 20, x + 1, y + 21)])
        found.append(dice.choice([solid, solid, solid, holed, both]))
    return [dice.choice(found) if dice.random() < 0.4 else shape for shape in found]


def write(path: Path, shapes: list[Any], ways: dict[str, Any], *, nullable: bool = True) -> None:
    frame = geopandas.GeoDataFrame(
        {"score": np.linspace(1, 0, len(shapes)), "label": [f"söil {i % 3}" for i in range(len(shapes))]},
        geometry=shapes,
        crs=32633,
    )
    frame.to_parquet(path, index=False)
    table = pq.read_table(path, arrow_extensions_enabled=False)
    if not nullable:
        table = table.cast(pa.schema([field.with_nullable(False) for field in table.schema], table.schema.metadata))
    pq.write_table(table, path, **ways)


def outcome(path: Path, folder: Path) -> Any:
    """What a reading ends in: the bits of every array, or every finding."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        read_vector(path, "geoparquet", ENTRY, folder)
    except Rejected as refused:
        return [(item.code, item.message, dict(item.where), item.hint) for item in refused.findings]
    except (OSError, ValueError, pa.ArrowException) as error:
        return type(error).__name__
    read = Canonical.read(folder)
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in read.arrays.items()}, read.attrs


def both(path: Path, tmp_path: Path) -> tuple[Any, Any]:
    fast = outcome(path, tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geoparquet, "from_pages", lambda *_: None)
        patch.setattr(geoparquet, "from_wkb", lambda *_: None)
        return fast, outcome(path, tmp_path / "out")


def pages(path: Path) -> Any:
    return wkb.from_pages(path, parquet.open_parquet(path), "geometry", 1000)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=30,
)
@given(ways=WAYS, nullable=st.booleans(), count=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_pages_hold_what_pyarrow_reads(
    ways: dict[str, Any], nullable: bool, count: int, seed: int, tmp_path: Path
) -> None:
    path = tmp_path / "upload.parquet"
    write(path, footprints(count, random.Random(seed)), ways, nullable=nullable)
    fast, slow = both(path, tmp_path)
    assert fast == slow
    assert isinstance(fast, tuple)
    assert (pages(path) is None) == (ways["compression"] == "gzip")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=40,
)
@given(ways=WAYS, seed=st.integers(0, 2**32), strikes=st.integers(1, 3))
def test_damage_is_told_alike(ways: dict[str, Any], seed: int, strikes: int, tmp_path: Path) -> None:
    dice, path = random.Random(seed), tmp_path / "upload.parquet"
    write(path, footprints(5, dice), ways)
    data = bytearray(path.read_bytes())
    end = pq.read_metadata(path).row_group(0).column(2).data_page_offset + 400
    for _ in range(strikes):
        data[dice.randrange(min(end, len(data)))] = dice.choice([0, 1, 2, 127, 128, 255, dice.randrange(256)])
    path.write_bytes(data)
    fast, slow = both(path, tmp_path)
    assert fast == slow


def test_threads_and_small_pages_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "upload.parquet"
    write(path, footprints(60, random.Random(1)), {"data_page_size": 300, "write_batch_size": 2, "row_group_size": 17})
    whole = pages(path)
    monkeypatch.setattr(threads, "allowed", lambda: 3)
    assert whole is not None
    for read in (pages(path), pages(path)):
        for name in ("coords", "rings", "parts", "features"):
            assert np.array_equal(getattr(read, name), getattr(whole, name))


@pytest.mark.parametrize("odd", [None, shapely.Point(0, 0), shapely.force_3d(shapely.box(0, 0, 1, 1))])
def test_what_is_odd_in_one_page_is_left_alone(odd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, shapes = tmp_path / "upload.parquet", footprints(40, random.Random(2))
    shapes[20] = odd
    write(path, shapes, {"data_page_size": 100, "write_batch_size": 1})
    monkeypatch.setattr(threads, "allowed", lambda: 3)
    assert pages(path) is None
    fast, slow = both(path, tmp_path)
    assert fast == slow


def test_empty_parts_and_rings_are_a_finding(tmp_path: Path) -> None:
    path, box = tmp_path / "upload.parquet", shapely.to_wkb(shapely.box(0, 0, 1, 1))
    empty, several = b"\x01\x03\0\0\0\0\0\0\0", b"\x01\x06\0\0\0\x02\0\0\0"
    holed = box[:5] + b"\x02" + box[6:] + b"\0\0\0\0"
    write(path, footprints(4, random.Random(3)), {})
    table = pq.read_table(path, arrow_extensions_enabled=False)
    texts = [several + box + empty, box, several + empty + box, holed]
    pq.write_table(table.set_column(2, "geometry", pa.array(texts, pa.binary())), path)
    fast, slow = both(path, tmp_path)
    assert fast == slow
    assert [(code, where["feature"]) for code, _, where, _ in fast] == [("invalid-geometry", i) for i in (0, 2, 3)]


def test_too_many_vertices_and_repeats_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "upload.parquet"
    disc = shapely.Point(0, 0).buffer(1, quad_segs=25)
    write(path, [disc] * 50, {})
    assert wkb.from_pages(path, parquet.open_parquet(path), "geometry", 50 * 101) is not None
    assert wkb.from_pages(path, parquet.open_parquet(path), "geometry", 50 * 101 - 1) is None
    write(path, [disc] * 2000, {})  # one text of the dictionary, far more vertices than the pages have bytes for
    assert wkb.from_pages(path, parquet.open_parquet(path), "geometry", 50_000_000) is None
