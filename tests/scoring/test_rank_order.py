"""Spearman's r of large data: cells first, then their rows in order, a few cells at a time."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from scoring import engine
from scoring.metrics import passes, rank_cells, rank_order_loops, rank_passes, rank_sorts
from scoring.samples import Numbers
from scoring.statistics import pack
from tests.scoring.large import KINDS, SIDES, cut_up, scored, values

EXACT = 1e-11
SIZES = ((rank_passes, "ROOM"), (rank_passes, "AXIS_CELLS"), (rank_cells, "PIECE"))


@pytest.fixture(autouse=True)
def all_data_is_put_in_order_by_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SMALL", 0)
    monkeypatch.setattr(rank_sorts, "FEW", 0)


def pairs(kind: str, seed: int, n: int, *, narrow: bool) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = values(kind, rng, n)
    f = np.sign(y) * np.abs(y) ** 0.5 * rng.random(n)
    return tuple(np.clip(own, -1e38, 1e38).astype(np.float32) for own in (y, f)) if narrow else (y, f)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), n=st.integers(2, 1500), blocks=st.sampled_from([1, 2, 3]),
    sizes=st.sampled_from([(40, 1 << 5, 100), (1000, 1 << 10, 4800), (1 << 25, 1 << 5, 7), (40, 1 << 19, 1 << 16)]),
    weighted=st.sampled_from(["none", "some", "all"]), narrow=st.booleans(), most=st.integers(1, 3),
)  # fmt: skip
def test_bounds_hold_and_runs_agree_however_rows_are_put_in_order(
    seed: int, kind: str, n: int, blocks: int, sizes: tuple[int, int, int], weighted: str, narrow: bool, most: int
) -> None:
    y, f = pairs(kind, seed, n, narrow=narrow)
    times = np.random.default_rng(seed).integers(1, 4, n) if weighted != "none" else np.ones(n, dtype=np.int64)
    samples, taken = [], []
    for k, (a, b) in enumerate(pairwise(np.linspace(0, n, 7).astype(int))):
        if weighted == "some" and k % 2:
            times[a:b] = 1
        bare = weighted == "none" or (weighted == "some" and bool(k % 2))
        samples.append(Numbers(y[a:b], f[a:b], None if bare else times[a:b].astype(float)))
        taken += [SIDES[k % blocks % 3] if blocks > 1 else "public"] * (b - a)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SMALL", 0)
        patch.setattr(rank_sorts, "FEW", 0)
        for (module, name), size in zip(SIZES, sizes, strict=True):
            patch.setattr(module, name, size)
        patch.setattr(passes, "PASSES", most)
        made = scored(samples, ("spearman_r",), blocks=blocks).made
        again = scored(samples, ("spearman_r",), blocks=blocks, run=engine.threads(3)).made
    assert (again.scores, again.bounds, pack(again.block_states)) == (made.scores, made.bounds, pack(made.block_states))
    for which in ("overall", "public", "private"):
        own = np.array([which in {"overall", side} for side in taken])
        left, right = (np.repeat(axis[own], times[own]) for axis in (y, f))
        found = getattr(made.scores, which)["spearman_r"]
        if len(np.unique(left)) > 1 and len(np.unique(right)) > 1:
            off = made.bounds.overall.get("spearman_r", 0.0) if which == "overall" else 2.0
            assert found is None or abs(found - spearmanr(left, right).statistic) <= off + EXACT


@pytest.mark.parametrize("kind", ["probabilities", "huge", "negative", "clustered"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("room", [400, 1 << 25])
def test_few_cells_are_enough(kind: str, weighted: bool, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """First cells alone, with as little as 400 rows in order at a time, on every side."""
    monkeypatch.setattr(passes, "PASSES", 1)
    monkeypatch.setattr(rank_passes, "ROOM", room)
    y, f = pairs(kind, 3, 6000, narrow=False)
    times = np.arange(6000) % 3 + 1 if weighted else np.ones(6000, dtype=np.int64)
    samples = [Numbers(y[k::3], f[k::3], times[k::3].astype(float) if weighted else None) for k in range(3)]
    found = scored(samples, ("spearman_r",), blocks=3).made
    sides = {"overall": slice(None), "public": slice(0, None, 3), "private": slice(1, None, 3)}
    far = found.bounds.overall.get("spearman_r", 0.0)
    assert far < (1e-3 if kind in {"probabilities", "negative"} else 2.1)
    for which, own in sides.items():
        truth = spearmanr(np.repeat(y[own], times[own]), np.repeat(f[own], times[own])).statistic
        value = getattr(found.scores, which)["spearman_r"]
        assert value is None if kind == "clustered" and room < 6000 else abs(value - truth) <= far + EXACT


def test_as_many_readings_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def counted(task: engine.PartTask, bundles: int) -> Any:
        asked.append(task.detail)
        return engine.inline(task, bundles)

    monkeypatch.setattr(passes, "PASSES", 1)
    y, f = pairs("negative", 5, 20_000, narrow=False)
    alone = scored(cut_up(Numbers(y, f), 4), ("spearman_r",), run=counted).made
    once = len(asked)
    monkeypatch.setattr(rank_passes, "ROOM", 5000)
    several = scored(cut_up(Numbers(y, f), 4), ("spearman_r",), run=counted).made
    assert len(asked) - once >= once + 7
    assert several.scores.overall["spearman_r"] == pytest.approx(alone.scores.overall["spearman_r"], abs=1e-14)
    assert several.bounds.overall["spearman_r"] == pytest.approx(alone.bounds.overall["spearman_r"], rel=1e-9)
    assert alone.bounds.overall["spearman_r"] <= 1e-5
    monkeypatch.setattr(rank_passes, "PASSES", 2)  # what is not put in order stays in the bound
    cut_short = scored(cut_up(Numbers(y, f), 4), ("spearman_r",)).made
    assert several.bounds.overall["spearman_r"] < cut_short.bounds.overall["spearman_r"] < 0.1
    off = abs(cut_short.scores.overall["spearman_r"] - alone.scores.overall["spearman_r"])
    assert off <= cut_short.bounds.overall["spearman_r"]


@settings(max_examples=60, deadline=None)
@given(
    keys=st.sets(st.integers(0, 2**64 - 1) | st.integers(2**63 - 40, 2**63 + 40), min_size=1, max_size=80),
    narrow=st.booleans(), data=st.data(),
)  # fmt: skip
def test_every_key_finds_its_cell(keys: set[int], narrow: bool, data: st.DataObject) -> None:
    ends = sorted({key >> 32 for key in keys} if narrow else keys)
    cut = sorted(data.draw(st.sets(st.integers(1, len(ends)), max_size=10)) | {len(ends)})
    firsts = [0, *cut[:-1]]
    least, greatest = (np.array([ends[k] for k in at], np.uint64) for at in (firsts, [k - 1 for k in cut]))
    finder = rank_cells.Finder.of(least, greatest, narrow=narrow)
    sign, kind = (1 << 31, np.uint32) if narrow else (1 << 63, np.uint64)
    raw = np.array([key ^ sign if key & sign else ~key & (2 * sign - 1) for key in ends], dtype=kind)
    keyed = [sign if own == sign else key for own, key in zip(raw.tolist(), ends, strict=True)]  # −0.0 is 0.0
    wanted = np.searchsorted(greatest, np.array(keyed, dtype=np.uint64))
    inside = wanted < len(greatest)  # no cell ends with −0.0
    found = np.zeros(np.count_nonzero(inside), dtype=np.int32)
    finder.find(raw[inside], 7, found)
    assert (found - 7).tolist() == wanted[inside].tolist()


@pytest.mark.parametrize("rows", [rank_order_loops.FEW, rank_order_loops.FEW + 1, 3000])
@pytest.mark.parametrize("span", [1, 9, 40])
def test_rows_of_a_cell_are_ordered_by_their_keys(rows: int, span: int) -> None:
    rng = np.random.default_rng(rows + span)
    keys, other = rng.integers(0, 1 << span, rows).astype(np.uint64), rng.integers(0, 5, rows)
    codes = (keys << np.uint64(5)) | other.astype(np.uint64)
    spare, out = np.empty(rows, dtype=np.uint64), np.zeros((1, 3))
    widths, shifts = np.array([span], dtype=np.uint8), np.zeros(1, dtype=np.uint8)
    begin, ranks = np.array([0, rows]), rng.random((1, 5))
    nothing = np.zeros(0)
    rank_order_loops.order_cells(
        codes, nothing, begin, widths, shifts, 0, 0, 1, 3, ranks, np.array([2.0 * rows]), spare, nothing, out
    )
    assert (np.diff((codes >> np.uint64(5)).astype(np.int64)) >= 0).all()
    below = np.searchsorted(np.sort(keys), keys) + np.searchsorted(np.sort(keys), keys, side="right")
    d = (below / 2 - rows / 2) / (2 * rows)
    assert out[0, 0] == pytest.approx((d * ranks[0, other]).sum(), abs=1e-10)
    assert out[0, 1] == pytest.approx((d * d).sum())
    assert out[0, 2] == 0.0
