"""The compiled loops of the raster reader against the same in plain numpy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.formats import raster_loops as loops


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 400),
    rows=st.integers(1, 4),
    left=st.integers(0, 5),
    cut=st.integers(0, 300),
    seed=st.integers(0, 1 << 30),
)
def test_floats_come_back_from_differences_of_planes(width, rows, left, cut, seed):
    cols = max(1, width - cut)
    raw = np.random.default_rng(seed).integers(0, 256, 4 * width * rows, dtype=np.uint8)
    planes = np.cumsum(raw.reshape(rows, 4 * width), axis=1, dtype=np.uint8).reshape(rows, 4, width)
    wanted = np.ascontiguousarray(np.moveaxis(planes, 1, 2)).view(">u4").reshape(rows, width)[:, :cols]
    out = np.zeros((rows, left + cols + 2), dtype=np.uint32)
    loops.undo_floats(raw, width, out, left, rows, cols)
    assert np.array_equal(out[:, left : left + cols], wanted)
    assert not out[:, :left].any()
    assert not out[:, left + cols :].any()


def looked_at(values: Any, left: int, cols: int, low: float, high: float, without: int) -> tuple[Any, Any]:
    """SOME, GAP and BAD of a window, and the marks, with nodata 7."""
    here = values[:, left : left + cols]
    good = np.ones(here.shape, bool)
    if without & 1:
        good &= here != 7
    if without & 2:
        good &= here == here  # noqa: PLR0124
    with np.errstate(invalid="ignore"):
        bad = good & ~((here >= low) & (here <= high))
    return 1 * good.any() | 2 * (~good).any() | 4 * bad.any(), good


@settings(max_examples=100, deadline=None)
@given(
    dtype=st.sampled_from(("float32", "float64", "uint8", "int16", "uint16", "int32")),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 90)),
    pool=st.lists(st.sampled_from((0.0, 1.0, 2.0, 7.0, 63.0, 64.0, 200.0, np.nan, np.inf)), min_size=1, max_size=3),
    limits=st.sampled_from(((0, 63), (1, 7), (0, 255))),
    without=st.integers(0, 3),
    data=st.data(),
)
def test_the_check_finds_values_gaps_and_faults(dtype, shape, pool, limits, without, data):
    known = pool if dtype.startswith("float") else [value if np.isfinite(value) else 5.0 for value in pool]
    kind = np.dtype(dtype).type
    values = np.array(data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=12)))
    values = np.resize(values, shape).astype(dtype)
    left = data.draw(st.integers(0, shape[1] - 1))
    cols = data.draw(st.integers(1, shape[1] - left))
    marks = np.full(shape, 9, dtype=np.uint8)
    found = loops.check(values, left, cols, kind(7), kind(limits[0]), kind(limits[1]), without, marks)
    wanted, good = looked_at(values, left, cols, *limits, without)
    assert found == wanted
    if without:
        assert np.array_equal(marks[:, left : left + cols], good)
    window = good if without else np.ones_like(good)
    assert (marks[:, :left] == 9).all()
    if dtype == "uint8":
        every = bool(window.all())
        mask = np.zeros(shape, dtype=np.uint8)
        mask[:, left : left + cols] = window
        seen, bits = loops.few_classes(values, mask, left, cols, every)
        present = values[:, left : left + cols][window]
        assert (bits > 63) == bool((present > 63).any())
        if bits > 31:
            seen = loops.some_classes(values, mask, left, cols, every)
        if bits <= 63:
            assert {place for place in range(64) if seen >> place & 1} == set(present.tolist())


@pytest.mark.parametrize("left_over", [0, 1, 254, 255])
def test_where_every_cell_is_valid_no_mark_is_looked_at(left_over):
    values = np.array([[3, 40, 63, 7]], dtype=np.uint8)
    marks = np.full_like(values, left_over)
    assert loops.some_classes(values, marks, 1, 2, True) == 1 << 40 | 1 << 63


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 70), rows=st.integers(1, 4), left=st.integers(0, 3), cut=st.integers(0, 60), seed=st.integers()
)
def test_sums_of_eight_cells_at_a_time_are_those_of_one(width, rows, left, cut, seed):
    cols = max(1, width - cut)
    raw = np.random.default_rng(abs(seed)).integers(0, 256, 8 * width * rows, dtype=np.uint8)
    out = np.zeros((rows, left + cols + 2), dtype=np.uint64)
    loops.sum_cells_by_eight(raw.view(np.uint64), width, out, left, rows, cols)
    wanted = np.cumsum(raw.reshape(rows, -1), axis=1, dtype=np.uint8)[:, : 8 * cols]
    assert np.array_equal(out.view(np.uint8)[:, 8 * left : 8 * (left + cols)], wanted)
    assert not out[:, :left].any()
    assert not out[:, left + cols :].any()
