"""Blocks: keys, the seeded split, the buffer."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.blocks import (
    NEITHER,
    PRIVATE,
    PUBLIC,
    SIDES,
    make_split,
    make_tiling,
    placed_by_labels,
    placed_whole,
    split,
    tile_index,
    tile_key,
    tiles_of,
)
from datasets.spec import Blocks

KEYS = st.lists(st.text(max_size=8), min_size=1, max_size=40)


@given(keys=KEYS, share=st.floats(0, 1), seed=st.integers(0, 5))
def test_a_split_is_disjoint_complete_and_as_large_as_asked(keys: list[str], share: float, seed: int) -> None:
    sides = split(keys, share, seed)
    assert set(sides) == set(keys)
    assert set(sides.values()) <= {PUBLIC, PRIVATE}
    count = sum(side == PUBLIC for side in sides.values())
    if share in {0.0, 1.0}:
        assert count == (len(sides) if share else 0)
    elif len(sides) > 1:
        assert count == min(max(int(share * len(sides) + 0.5), 1), len(sides) - 1)


@given(keys=KEYS, share=st.floats(0.1, 0.9), seed=st.integers(0, 5))
def test_a_split_knows_no_order(keys: list[str], share: float, seed: int) -> None:
    assert split(keys, share, seed) == split(keys[::-1], share, seed)


def test_the_first_by_hash_are_public() -> None:
    keys = [f"w{number}" for number in range(10)]
    ordered = sorted(keys, key=lambda key: hashlib.sha256(f"7:{key}".encode()).digest())
    sides = split(keys, 0.3, 7)
    assert {key for key, side in sides.items() if side == PUBLIC} == set(ordered[:3])


def test_named_blocks_are_public() -> None:
    assert split(["a", "b", "c"], ("b", "x"), 0) == {"a": PRIVATE, "b": PUBLIC, "c": PRIVATE}


def test_a_key_the_truth_does_not_have_is_placed_by_the_same_hash() -> None:
    keys = [f"k{number}" for number in range(20)]
    cut = make_split(keys, 0.5, 1)
    strangers = [f"s{number}" for number in range(200)]
    sides = [cut.side(key) for key in strangers]
    assert {PUBLIC, PRIVATE} == set(sides)
    assert sides == [make_split(keys[::-1], 0.5, 1).side(key) for key in strangers]
    assert make_split(keys, ("k1",), 0).side("s1") == PRIVATE
    assert make_split(keys, 1.0, 0).side("s1") == PUBLIC
    assert make_split(["one"], 0.5, 0).side("one") == PUBLIC


def test_tiles_are_counted_from_the_origin() -> None:
    assert tile_index(np.array([-0.1, 0.0, 9.99, 10.0]), 10.0).tolist() == [-1, 0, 0, 1]
    codes, tiles = tiles_of(np.array([5.0, -5.0, 6.0]), np.array([15.0, 5.0, 15.0]), 10.0)
    assert [tiles[code] for code in codes] == [(0, 1), (-1, 0), (0, 1)]
    assert tile_key(-1, 0) == "c-1r0"


def two_tiles(buffer: float) -> Blocks:
    return Blocks(size=10.0, public=("c0r0",), buffer=buffer)


def test_what_lies_near_the_other_side_is_scored_by_neither() -> None:
    x, y = np.array([5.0, 9.5, 10.5, 15.0, 8.0]), np.array([5.0, 5.0, 5.0, 5.0, 5.0])
    placed = make_tiling(x, y, two_tiles(2.0)).place(x, y)
    assert [SIDES[side] for side in placed.sides] == [PUBLIC, NEITHER, NEITHER, PRIVATE, PUBLIC]
    assert [placed.keys[code] for code in placed.codes] == ["c0r0", "c0r0", "c1r0", "c1r0", "c0r0"]
    without = make_tiling(x, y, two_tiles(0.0)).place(x, y)
    assert NEITHER not in [SIDES[side] for side in without.sides]


def test_a_buffer_wider_than_a_tile_reaches_further_tiles() -> None:
    x, y = np.array([5.0, 15.0, 25.0]), np.array([5.0, 5.0, 5.0])
    blocks = Blocks(size=10.0, public=("c0r0", "c1r0"), buffer=14.0)
    placed = make_tiling(x, y, blocks).place(x, y)
    assert [SIDES[side] for side in placed.sides] == [PUBLIC, NEITHER, NEITHER]


@given(
    places=st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=40),
    buffer=st.floats(0.1, 25),
    seed=st.integers(0, 3),
)
def test_the_buffer_keeps_the_sides_apart(places: list[tuple[float, float]], buffer: float, seed: int) -> None:
    x, y = np.array(places).T
    placed = make_tiling(x, y, Blocks(size=10.0, public=0.5, buffer=buffer, seed=seed)).place(x, y)
    public, private = (np.flatnonzero(placed.sides == SIDES.index(side)) for side in (PUBLIC, PRIVATE))
    for one in public:
        gaps = np.hypot(x[private] - x[one], y[private] - y[one])
        assert (gaps >= buffer).all()


def test_groups_hold_every_item_once() -> None:
    codes = np.array([2, 0, 2, 1, 0])
    placed = placed_by_labels(codes, ["a", "b", "c"], Blocks(by="w", public=("a",)))
    groups = placed.groups()
    assert [(key, side, rows.tolist()) for key, side, rows in groups] == [
        ("a", PUBLIC, [1, 4]),
        ("b", PRIVATE, [3]),
        ("c", PRIVATE, [0, 2]),
    ]
    assert placed_whole(0).groups() == []


@pytest.mark.parametrize("count", [1, 3])
def test_without_blocks_all_is_public(count: int) -> None:
    ((key, side, rows),) = placed_whole(count).groups()
    assert (key, side, rows.tolist()) == ("all", PUBLIC, list(range(count)))
