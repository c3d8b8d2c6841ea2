"""Rasters in windows: what is kept of the truth, class codes by table, and the compiled sums, against plain forms."""

from math import fsum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.engine import score
from scoring.kinds import raster as kind
from scoring.kinds import raster_classes
from scoring.kinds.pairing import TruthSet
from scoring.kinds.raster_layout import marks
from scoring.metrics.confusion import MANY, Confusion
from scoring.metrics.moments import Moments
from scoring.samples import Classes, Numbers
from tests.scoring.making import points, raster, spec_of

SPEC = """
[truth]
file = "hidden/truth.tif"
{truth}
[submission]
meaning = "{meaning}"
[blocks]
size = {size}
public = 0.5
buffer = {buffer}
[scoring]
primary = "{primary}"
metrics = ["{primary}"]
"""


def spec(primary: str, meaning: str = "continuous", truth: str = "", size: float = 9.0, buffer: float = 2.0) -> Any:
    return spec_of("raster", SPEC.format(primary=primary, meaning=meaning, truth=truth, size=size, buffer=buffer))


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_what_is_kept_of_a_truth_changes_no_bit(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    rng = np.random.default_rng(3)
    monkeypatch.setattr(kind, "PART_BYTES", rows * 50 * 8)
    band, valid = rng.normal(size=(64, 50)), rng.random((64, 50)) > 0.6
    valid[20:40, 10:30] = False
    entry = raster(rng.random((64, 50)))
    places = points([(float(x), -float(y)) for x, y in rng.random((40, 2)) * 60 - 2])
    for challenge, truth in (
        (spec("rmse"), TruthSet(raster(band, valid))),
        (spec("brier", truth='grid = "public/grid.tif"'), TruthSet(places, raster(band, valid))),
    ):
        kept = TruthSet(truth.truth, truth.grid, kind.prepare(truth, challenge))
        assert kept.prepared
        one, other = score(challenge, truth, entry), score(challenge, kept, entry)
        assert one.scores == other.scores
        assert list(one.block_states) == list(other.block_states)
        assert len({side for _, side in one.block_states}) == 3


def test_any_byte_but_zero_in_valid_is_one_mark() -> None:
    valid = np.array([[0, 1, 2, 255]], dtype=np.uint8).view(np.bool_)
    assert marks(raster(np.zeros((1, 4)), valid), 0, 1).tolist() == [[0, 1, 1, 1]]


@given(
    labels=st.lists(st.sampled_from(["0", "1", "2", "3", "7", "-4", "300", "2.5", "02", "x"]), min_size=1, unique=True),
    dtype=st.sampled_from(["uint8", "int16", "int32", "int64", "float32", "float64"]),
    seed=st.integers(0, 99),
)
def test_codes_by_table_are_codes_by_text(labels: list[str], dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    choice = [0, 1, 2, 3, 7] + ([-4, 300] if dtype != "uint8" else []) + ([2.5, -0.0] if dtype[0] == "f" else [])
    values = rng.choice(np.array(choice[: rng.integers(1, len(choice) + 1)]), 30).astype(dtype)
    found = raster_classes.Codes.of(tuple(labels)).truth(values)
    assert found.tolist() == raster_classes.codes(values, tuple(labels)).tolist()


@settings(deadline=None, max_examples=60)
@given(
    size=st.sampled_from([1, 5, 7, 8, 9, 4095, 4096, 4097, 20_001]),
    single=st.booleans(),
    weighted=st.booleans(),
    shift=st.sampled_from([0.0, 1e4, -1e6]),
    seed=st.integers(0, 1 << 20),
)
def test_the_compiled_sums_are_the_exact_ones(size: int, single: bool, weighted: bool, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind_ = np.float32 if single else np.float64
    y = (rng.normal(size=size) + shift).astype(kind_)
    f = (y + rng.normal(size=size)).astype(kind_)
    w = rng.integers(1, 5, size) / 4 if weighted else None
    state = Moments().partial(Numbers(y, f, w), {})
    a, b, weight = y.astype(np.float64), f.astype(np.float64), np.ones(size) if w is None else w
    e = b - a
    total = fsum(weight)
    assert state["sums"] == pytest.approx(
        [total, *(fsum(weight * v) for v in (abs(e), e * e, e))], rel=1e-13, abs=1e-11
    )
    means = [fsum(weight * v) / total for v in (a, b)]
    assert state["means"] == pytest.approx(means, rel=1e-14)
    da, db = a - means[0], b - means[1]
    centred = [fsum(weight * v) for v in (da * da, db * db, da * db)]
    assert state["moments"] == pytest.approx(centred, rel=1e-9, abs=1e-9)
    assert state["peaks"].tolist() == [-a.min(), a.max(), -b.min(), b.max(), abs(e).max()]


@given(size=st.integers(1, 70), classes=st.integers(1, 9), kinds=st.sampled_from(["uint8", "int64", "mixed"]))
def test_pairs_of_codes_are_counted(size: int, classes: int, kinds: str) -> None:
    rng = np.random.default_rng(size)
    y, f = rng.integers(0, classes, (2, size))
    one, other = (kinds, kinds) if kinds != "mixed" else ("uint8", "int64")
    found = Confusion().partial(Classes(y.astype(one), f.astype(other), None, classes), {})["sums"]
    wanted = np.zeros((classes, classes))
    np.add.at(wanted, (y, f), 1)
    assert np.array_equal(found, wanted)
    with pytest.raises(ValueError, match="codes"):
        Confusion().partial(Classes(y.astype(one), np.full(size, classes, other), None, classes), {})


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(MANY - 9, MANY + 9),
    classes=st.integers(1, 16),
    spare=st.booleans(),
    strange=st.sampled_from(["none", "truth", "entry"]),
    seed=st.integers(0, 1 << 20),
)
def test_pairs_counted_two_at_a_time_are_those_counted_singly(
    size: int, classes: int, spare: bool, strange: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    y, f = rng.integers(0, classes + spare, size).astype(np.uint8), rng.integers(0, classes, size).astype(np.uint8)
    held = y < classes
    place = int(rng.choice(np.flatnonzero(held))) if held.any() else 0
    y[place] = 0
    if strange != "none":
        (y if strange == "truth" else f)[place] = int(rng.integers(classes + spare, 256))
        with pytest.raises(ValueError, match="codes"):
            Confusion().partial(Classes(y, f, None, classes, spare), {})
        return
    held = y < classes
    wanted = np.zeros((classes, classes))
    np.add.at(wanted, (y[held], f[held]), 1)
    assert np.array_equal(Confusion().partial(Classes(y, f, None, classes, spare), {})["sums"], wanted)
    wide = Classes(y.astype(np.int64), f.astype(np.int64), np.full(size, 0.5), classes, spare)
    assert np.array_equal(Confusion().partial(wide, {})["sums"], wanted / 2)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    full=st.booleans(),
    buffer=st.sampled_from([0.0, 4.0]),
    seed=st.integers(0, 1 << 20),
)
def test_classes_in_place_score_as_those_gathered(shape: Any, full: bool, buffer: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, f = rng.integers(0, 3, (2, *shape)).astype(np.uint8)
    valid = np.ones(shape, bool) if full else rng.random(shape) < 0.7
    y[~valid], f[~valid] = 255, rng.integers(0, 256, np.count_nonzero(~valid))
    truth, entry = TruthSet(raster(y, valid)), raster(f)
    challenge = spec("accuracy", "categorical", 'classes = ["0", "1", "2"]', buffer=buffer)
    one = score(challenge, truth, entry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind.Rows, "_masked", lambda *_: None)
        other = score(challenge, truth, entry)
    assert one.scores == other.scores
    assert list(one.block_states) == list(other.block_states)
    for place, states in one.block_states.items():
        assert states["confusion"]["sums"].tolist() == other.block_states[place]["confusion"]["sums"].tolist()
