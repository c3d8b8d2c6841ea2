"""Polygons as offset arrays: validity as GEOS has it, WKB as GEOS reads it."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import threads
from datasets.canonical import Canonical
from datasets.expect import Expectation
from datasets.formats import ragged
from datasets.formats import wkb as wkb_texts
from datasets.formats.ragged import Ragged
from datasets.formats.ring_loops import prove_valid
from datasets.recheck import recheck
from tests.datasets import controls

SMALL = st.integers(0, 5)
RING = st.lists(st.tuples(SMALL, SMALL), min_size=3, max_size=8)
WIDE = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=6)
PLACES = st.sampled_from([(1.0, 0.0), (0.1, 4e5), (1e-3, 5.7e6), (1e-9, 1.0), (1e-200, 0.0), (1e200, 0.0)])


def made(rings: list[Any]) -> Ragged:
    """A feature of one part for each list of rings."""
    flat = [[*ring, ring[0]] for feature in rings for ring in feature]
    ends = np.cumsum([0, *map(len, flat)])
    parts = np.cumsum([0, *map(len, rings)])
    return Ragged(np.concatenate(flat).astype(np.float64), ends, parts, np.arange(len(rings) + 1))


def star(count: int, turn: float) -> list[tuple[float, float]]:
    angle, reach = np.linspace(0, 2 * np.pi, count, endpoint=False) + turn, np.where(np.arange(count) % 2, 1.0, 2.0)
    return list(zip((reach * np.cos(angle)).tolist(), (reach * np.sin(angle)).tolist(), strict=True))


@settings(deadline=None, max_examples=150)
@given(rings=st.lists(st.one_of(RING, WIDE), min_size=1, max_size=6), place=PLACES)
def test_valid_is_what_geos_says(rings: list[Any], place: tuple[float, float]) -> None:
    polygons = made([[np.array(ring) * place[0] + place[1]] for ring in rings])
    assert ragged.valid(polygons).tolist() == shapely.is_valid(polygons.shapes()).tolist()
    sure = np.zeros(len(polygons), dtype=np.bool_)
    prove_valid(polygons.coords, polygons.rings, polygons.parts, polygons.features, 0, len(polygons), sure)
    assert not (sure & ~shapely.is_valid(polygons.shapes())).any()


def test_plain_shapes_need_no_geos(monkeypatch: pytest.MonkeyPatch) -> None:
    right = [(0, 0), (2, 0), (4, 0), (4, 3), (2, 3), (2, 1), (0, 1)]
    polygons = made([[[(0, 0), (1, 0), (0, 1)]], [right], [right[::-1]], [star(40, 0.1)], [star(200, 0.3)]])
    monkeypatch.setattr(shapely, "is_valid", lambda shapes: np.zeros(len(shapes), dtype=np.bool_))
    assert ragged.valid(polygons).all()
    for bad in ([(0, 0), (1, 1), (1, 0), (0, 1)], [(0, 0), (2, 0), (1, 0)], [(0, 0), (4, 0), (4, 4), (2, 0)]):
        assert not ragged.valid(made([[bad]])).any()


def test_turning_to_one_side_more_than_once_around_is_not_convex(monkeypatch: pytest.MonkeyPatch) -> None:
    angle = 4 * np.pi / 5 * np.arange(5)
    pentagram = list(zip(np.cos(angle).tolist(), np.sin(angle).tolist(), strict=True))
    twice = [(0, 0), (4, 0), (4, 4), (0, 4), (0.5, 0.5), (3, 0.5), (3, 3), (0.2, 3)]
    shapes = made([[pentagram], [pentagram[::-1]], [twice], [[(0, 0), (4, 0), (4, 4), (0, 4)]]])
    monkeypatch.setattr(shapely, "is_valid", lambda shapes: np.zeros(len(shapes), dtype=np.bool_))
    assert ragged.valid(shapes).tolist() == [False, False, False, True]


def test_holes_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    hole = [(1, 1), (2, 2), (2, 1)]
    rows = [[star(8, i)] if i % 3 else [[(0, 0), (5, 0), (5, 5), (0, 5)], hole] for i in range(50)]
    polygons = made([*rows, [[(0, 0), (5, 0), (5, 5)], [(9, 9), (9, 8), (8, 8)]]])
    monkeypatch.setattr(threads, "allowed", lambda: 3)
    monkeypatch.setattr(ragged, "_STEP", 7)
    assert ragged.valid(polygons).tolist() == [True] * 50 + [False]
    assert shapely.equals_exact(polygons.shapes(np.array([4, 0])), polygons.shapes()[[4, 0]]).all()


def wkb(shapes: list[Any], repeat: list[int] | None = None) -> tuple[Any, Any, Any]:
    texts = [shape if isinstance(shape, bytes) else shapely.to_wkb(shape) for shape in shapes]
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    index = np.array(range(len(texts)) if repeat is None else repeat, dtype=np.int32)
    return np.frombuffer(b"".join(texts), dtype=np.uint8), offsets, index


BOX, RINGED = shapely.box(0, 0, 1, 2), shapely.box(0, 0, 9, 9).difference(shapely.box(2, 2, 3, 4))
SEVERAL = shapely.multipolygons([shapely.box(20, 0, 21, 2), RINGED])


def test_wkb_as_geos_reads_it() -> None:
    read = wkb_texts.from_wkb([wkb([BOX, SEVERAL], [1, 0, 1]), wkb([RINGED])], 100)
    assert read is not None
    wanted = [SEVERAL, shapely.multipolygons([BOX]), SEVERAL, shapely.multipolygons([RINGED])]
    assert shapely.equals_identical(read.shapes(), wanted).all()
    assert wkb_texts.from_wkb([wkb([BOX, SEVERAL])], 5 + 15 - 1) is None


@pytest.mark.parametrize(
    "odd",
    [
        shapely.Point(0, 0),
        shapely.Polygon(),
        shapely.box(0, 0, 1, np.inf),
        shapely.force_3d(BOX),
        shapely.to_wkb(BOX, byte_order=0),
        shapely.to_wkb(shapely.set_srid(BOX, 4326), include_srid=True),
        shapely.to_wkb(BOX) + b"\0",
        shapely.to_wkb(BOX)[:-1],
        shapely.to_wkb(BOX)[:-8] + np.float64(5).tobytes(),
        shapely.to_wkb(BOX)[:9] + b"\xff\xff\xff\xff" + shapely.to_wkb(BOX)[13:],
        shapely.to_wkb(BOX)[:5] + b"\xff\xff\xff\x7f" + shapely.to_wkb(BOX)[9:],
        b"",
        b"\x01\x06",
    ],
)
def test_odd_wkb_is_left_alone(odd: Any) -> None:
    assert wkb_texts.from_wkb([wkb([BOX, odd])], 1000) is None
    assert wkb_texts.from_wkb([], 1000) is None


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, len(shapely.to_wkb(SEVERAL)) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_damaged_wkb_is_read_alike_or_left_alone(at: int, byte: int, cut: bool) -> None:
    text = shapely.to_wkb(SEVERAL)
    text = text[:at] if cut else text[:at] + bytes([byte]) + text[at + 1 :]
    read = wkb_texts.from_wkb([wkb([text])], 1000)
    if read is not None:
        assert shapely.equals_identical(read.shapes(), [shapely.from_wkb(text)]).all()


def test_offsets_outside_the_bytes_are_left_alone() -> None:
    data, offsets, index = wkb([BOX])
    assert wkb_texts.from_wkb([(data, offsets + 1, index)], 100) is None
    assert wkb_texts.from_wkb([(data, offsets - 1, index)], 100) is None
    assert wkb_texts.from_wkb([(data, offsets, index + 1)], 100) is None
    assert wkb_texts.from_wkb([(data, offsets, index - 1)], 100) is None


@pytest.mark.parametrize("damage", ["open", "short", "empty"])
def test_the_parent_rechecks_rings(damage: str) -> None:
    expect = Expectation.loose(controls.spec("polygons", metric="f1_iou50"), "truth")
    good = made([[[(0, 0), (1, 0), (0, 1)]], [[(5, 5), (6, 5), (5, 6)]]])
    arrays = {name: getattr(good, name).copy() for name in ("coords", "rings", "parts", "features")}
    recheck(Canonical("polygons", arrays, {"crs": None}), expect)
    if damage == "open":
        arrays["coords"][3, 0] = 0.5
    elif damage == "short":
        arrays["rings"][1] = 1
    else:
        arrays["parts"] = np.array([0, 2, 2])
    with pytest.raises(ValueError, match="closed"):
        recheck(Canonical("polygons", arrays, {"crs": None}), expect)
