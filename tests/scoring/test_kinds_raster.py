"""Rasters: coverage, tiles and buffer, classes, and points read through a raster."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.errors import EngineFault, Rejected
from scoring.engine import score
from scoring.kinds import raster as kind
from scoring.kinds.pairing import TruthSet
from scoring.samples import Classes, Numbers, Probabilities
from tests.scoring.making import codes, gathered, points, raster, spec_of

RASTER = """
[truth]
file = "hidden/truth.tif"
{truth}
[submission]
meaning = "{meaning}"
{blocks}
[scoring]
primary = "{primary}"
metrics = ["{primary}"]
"""
TILES = "[blocks]\nsize = 10.0\npublic = 0.5\nseed = 1\n"


def spec(meaning: str = "continuous", primary: str = "rmse", blocks: str = "", truth: str = "") -> Any:
    return spec_of("raster", RASTER.format(meaning=meaning, primary=primary, blocks=blocks, truth=truth))


def field(height: int = 24, width: int = 31) -> Any:
    return np.random.default_rng(0).normal(size=(height, width))


def test_nodata_of_the_truth_is_outside() -> None:
    band = field()
    valid = band > 0
    entry = np.where(valid, band + 1.0, np.nan)
    scores = score(spec(), TruthSet(raster(band, valid)), raster(entry)).scores
    assert scores.overall["rmse"] == pytest.approx(1.0)
    assert scores.private["rmse"] is None


def test_a_gap_where_the_truth_has_a_value_is_a_finding() -> None:
    band = field()
    entry = band.copy()
    entry[3, 7] = entry[20, 2] = np.nan
    (finding,) = kind.check(raster(entry), raster(band), spec())
    assert (finding.code, finding.where) == ("missing-cells", {"pixel": [3, 7], "count": 2})
    with pytest.raises(Rejected):
        kind.pair(raster(band, ~np.isnan(entry)), TruthSet(raster(band)), spec())


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.sampled_from([3.0, 7.5, 100.0]),
    buffer=st.sampled_from([0.0, 1.0, 4.0]),
    rows=st.integers(1, 9),
    north=st.sampled_from([0.0, 5.25, -17.0]),
)
def test_every_valid_cell_is_in_one_block(
    height: int, width: int, size: float, buffer: float, rows: int, north: float
) -> None:
    valid = np.random.default_rng(1).random((height, width)) > 0.2
    truth = raster(np.arange(height * width, dtype=float).reshape(height, width), valid, (1, 0, 2.5, 0, -1, north))
    challenge = spec(blocks=f"[blocks]\nsize = {size}\npublic = 0.5\nbuffer = {buffer}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "PART_BYTES", rows * width * 8)
        pairing = kind.pair(truth, TruthSet(truth), challenge)
        found = gathered(pairing)
    values = np.concatenate(
        [s.y for samples in found.values() for s in samples if isinstance(s, Numbers)] or [np.empty(0)]
    )
    assert sorted(values.tolist()) == np.flatnonzero(valid.ravel()).tolist()
    x, y = kind.frame(truth).centres(np.arange(height)[:, None], np.arange(width)[None, :])
    sides = np.full(height * width, "", dtype=object)
    for (key, side), samples in found.items():
        for sample in samples:
            assert isinstance(sample, Numbers)
            cells = sample.y.astype(int)
            sides[cells] = side
            tiles = zip(np.floor(x.ravel()[cells] / size), np.floor(y.ravel()[cells] / size), strict=True)
            assert {f"c{int(col)}r{int(row)}" for col, row in tiles} == {key}
    assert pairing.blocks == len({key for key, _ in found})
    xx, yy = np.broadcast_to(x, (height, width)).ravel(), np.broadcast_to(y, (height, width)).ravel()
    public, private = (np.flatnonzero(sides == side) for side in ("public", "private"))
    if buffer and len(public) and len(private):
        gaps = np.hypot(xx[public][:, None] - xx[private][None], yy[public][:, None] - yy[private][None])
        assert gaps.min() >= buffer


def test_the_parts_change_nothing_but_rounding() -> None:
    band = field(60, 40)
    entry = raster(band + np.sin(band))
    whole = score(spec(blocks=TILES), TruthSet(raster(band)), entry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "PART_BYTES", 40 * 8 * 3)
        parts = score(spec(blocks=TILES), TruthSet(raster(band)), entry)
    assert parts.scores.overall["rmse"] == pytest.approx(whole.scores.overall["rmse"], rel=1e-13)
    assert parts.scores.public["rmse"] == pytest.approx(whole.scores.public["rmse"], rel=1e-13)
    assert list(parts.block_states) == list(whole.block_states)


def test_a_rotated_grid_scores_whole_but_is_not_cut() -> None:
    turned = (0.8, 0.6, 0.0, 0.6, -0.8, 0.0)
    truth, entry = raster(field(), transform=turned), raster(field() + 2, transform=turned)
    assert score(spec(), TruthSet(truth), entry).scores.overall["rmse"] == pytest.approx(2.0)
    with pytest.raises(Rejected, match="rotated"):
        kind.pair(entry, TruthSet(truth), spec(blocks=TILES))


def test_classes_are_codes_in_the_order_of_the_challenge() -> None:
    truth, entry = raster(np.array([[1, 2], [5, 5]], np.uint8)), raster(np.array([[1.0, 5.0], [5.0, 2.0]]))
    challenge = spec("categorical", "accuracy", truth='classes = ["5", "2", "1"]')
    ((sample,),) = gathered(kind.pair(entry, TruthSet(truth), challenge)).values()
    assert isinstance(sample, Classes)
    assert (sample.y.tolist(), sample.f.tolist(), sample.n_classes) == ([2, 1, 0, 0], [2, 0, 0, 1], 3)
    by_value = gathered(kind.pair(entry, TruthSet(truth), spec("categorical", "accuracy")))
    ((plain,),) = by_value.values()
    assert isinstance(plain, Classes)
    assert plain.y.tolist() == [0, 1, 2, 2]
    strange = raster(np.array([[1, 2], [5, 9]]))
    with pytest.raises(EngineFault, match="class"):
        list(kind.pair(strange, TruthSet(truth), challenge).samples(0))
    open_list = score(spec("categorical", "accuracy"), TruthSet(truth), strange).scores
    assert open_list.overall["accuracy"] == 0.75


def test_a_probability_raster_is_read_against_zero_and_one() -> None:
    truth, entry = raster(np.array([[0, 1]], np.uint8)), raster(np.array([[0.25, 0.75]]))
    scores = score(spec("probability", "brier"), TruthSet(truth), entry).scores
    assert scores.overall["brier"] == pytest.approx(0.0625)


def test_points_read_through_a_raster() -> None:
    grid = raster(np.ones((2, 3)), [[True, True, True], [True, True, False]])
    deposits = points([(0.5, -0.5), (0.6, -0.6), (1.5, -1.5), (2.5, -1.5), (9.0, 9.0)])
    entry = raster(np.array([[0.9, 0.1, 0.4], [0.3, 0.6, np.nan]]))
    challenge = spec(primary="roc_auc", truth='grid = "public/grid.tif"')
    ((sample,),) = gathered(kind.pair(entry, TruthSet(deposits, grid), challenge)).values()
    assert isinstance(sample, Probabilities)
    assert sample.p.tolist() == [0.9, 0.1, 0.4, 0.3, 0.6]
    assert sample.y.tolist() == [1, 0, 0, 0, 1]
    assert sample.w is not None
    assert sample.w.tolist() == [2.0, 1.0, 1.0, 1.0, 1.0]
    assert score(challenge, TruthSet(deposits, grid), entry).scores.overall["roc_auc"] == 1.0
    gap = raster(np.array([[0.9, np.nan, 0.4], [0.3, 0.6, 0.0]]))
    assert codes(kind.check(gap, grid, challenge)) == ["missing-cells"]


def test_a_point_on_an_edge_belongs_to_the_cell_right_of_and_below_it() -> None:
    row, col, inside = kind.frame(raster(np.zeros((2, 2)))).cells(
        np.array([0.0, 1.0, 2.0]), np.array([0.0, -1.0, -0.5])
    )
    assert inside.tolist() == [True, True, False]
    assert (row[:2].tolist(), col[:2].tolist()) == ([0, 1], [0, 1])
