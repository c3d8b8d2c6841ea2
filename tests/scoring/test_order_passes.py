"""Large data whose order matters: several passes, certified bounds, the same bits whoever counts."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as sk

from scoring import engine
from scoring.contracts import Bounds
from scoring.metrics import cells, ensemble_loops, pages, passes, plain, rank_passes, rank_sorts
from scoring.samples import Ensemble, Numbers, Probabilities
from scoring.statistics import pack, unpack
from tests.scoring.large import KINDS, ORDER, SIDES, cut_up, exact, scored, truth_of, values


@pytest.fixture(autouse=True)
def all_data_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SMALL", 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_end_exact(kind: str, dtype: Any, weighted: bool) -> None:
    rng = np.random.default_rng(len(kind))
    with np.errstate(over="ignore"):
        p = np.nan_to_num(values(kind, rng, 4000).astype(dtype))
    y, w = truth_of(p, rng), rng.random(4000) if weighted else None
    found = scored(cut_up(Probabilities(y, p, w), 5), ORDER).made
    for name, value in exact(y, p, w).items():
        assert found.scores.overall[name] == pytest.approx(value, abs=1e-9)
        assert found.scores.public == found.scores.overall
    assert found.bounds.overall.get("roc_auc", 0.0) <= passes.PRECISION


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), most=st.integers(1, 3),
    room=st.sampled_from([64, 512, 4096]),
    weighted=st.booleans(),
)  # fmt: skip
def test_bounds_hold_however_early_the_passes_end(seed: int, kind: str, most: int, room: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    p = values(kind, rng, 3000)
    y, w = truth_of(p, rng), rng.random(3000) if weighted else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "PASSES", most)
        patch.setattr(passes, "BYTES", room * 32)
        patch.setattr(engine, "SMALL", 0)
        made = scored(cut_up(Probabilities(y, p, w), 4), ORDER, blocks=4).made
    truth = exact(y, p, w)
    for name, value in truth.items():
        assert abs(made.scores.overall[name] - value) <= made.bounds.overall.get(name, 0.0) + 1e-11


@pytest.mark.parametrize("kind", ["probabilities", "clustered", "huge", "few"])
def test_bounds_of_blocks_hold(kind: str) -> None:
    rng = np.random.default_rng(3)
    p = values(kind, rng, 12_000)
    y = truth_of(p, rng)
    whole = [Probabilities(y[k::3], p[k::3]) for k in range(3)]
    found = scored(whole, ORDER, blocks=3)
    for k, (place, own, bounds) in enumerate(found.rows):
        assert place == (f"b{k}", SIDES[k])
        truth = exact(y[k::3], p[k::3])
        for name, value in truth.items():
            off = bounds.get(name, 0.0)
            assert abs(own[name] - value) <= off + 1e-12
            assert off < 0.02
        if k < 2:
            assert getattr(found.made.scores, SIDES[k])["roc_auc"] == pytest.approx(truth["roc_auc"], abs=1e-9)
    assert all(
        len(state["w"]) <= cells.BLOCK_CELLS for own in found.made.block_states.values() for state in own.values()
    )


def runners() -> list[Callable[..., Any]]:
    def through_bytes(task: engine.PartTask, bundles: int) -> Any:
        return [{k: dict(v) for k, v in unpack(pack(task(number))).items()} for number in range(bundles)]

    return [engine.threads(1), engine.threads(2), engine.threads(3), through_bytes]


@pytest.mark.parametrize("weighted", [False, True])
def test_whoever_counts_the_bits_are_the_same(weighted: bool) -> None:
    rng = np.random.default_rng(4)
    n = 6000
    p = rng.random(n).astype(np.float32)
    w = rng.random(n) if weighted else None
    y = rng.normal(size=n)
    for sample, names in (
        (Probabilities(truth_of(p, rng), p, w), ORDER),
        (Numbers(y, y + rng.normal(size=n), w), ("median_ae", "spearman_r", "rmse")),
    ):
        samples = cut_up(sample, 9)
        alone = scored(samples, names, parts=5, blocks=3).made
        for run in runners():
            other = scored(samples, names, parts=5, blocks=3, run=run).made
            assert (other.scores, other.bounds) == (alone.scores, alone.bounds)
            assert pack(other.block_states) == pack(alone.block_states)
        cut_otherwise = scored(samples, names, parts=2, blocks=3).made
        for name, value in alone.scores.overall.items():
            assert cut_otherwise.scores.overall[name] == pytest.approx(value, rel=1e-12)


def test_several_classes_are_averaged() -> None:
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.ones(4), 3000)
    y = (p.cumsum(axis=1) > rng.random(3000)[:, None]).argmax(axis=1)
    found = scored(cut_up(Probabilities(y, p), 4), ORDER).made.scores.overall
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"), abs=1e-9)
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(np.eye(4)[y], p), abs=1e-9)


def test_one_sided_truth_and_no_rows_have_no_score() -> None:
    found = scored([Probabilities(np.ones(10, dtype=int), np.linspace(0, 1, 10))], ORDER, parts=1).made
    assert set(found.scores.overall.values()) == {None}
    assert found.bounds == Bounds()


@pytest.mark.parametrize("kind", ["huge", "clustered", "few", "denormal", "constant"])
@pytest.mark.parametrize("n", [999, 1000])
def test_the_median_is_right_on_every_side(kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    f = values(kind, rng, 3 * n)
    samples = [Numbers(np.zeros(n), f[k * n : (k + 1) * n]) for k in range(3)]
    made = scored(samples, ("median_ae",), blocks=3).made
    truth = {"overall": f, "public": f[:n], "private": f[n : 2 * n]}
    for which, errors in truth.items():
        found = getattr(made.scores, which)["median_ae"]
        assert found == pytest.approx(np.median(np.abs(errors)), rel=passes.PRECISION, abs=0)
    assert abs(made.scores.overall["median_ae"] - np.median(np.abs(f))) <= made.bounds.overall.get("median_ae", 0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [1 << 4, 1 << 12, 1 << 20])
def test_spearman_is_within_its_bound(kind: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_sorts, "FEW", 0)
    monkeypatch.setattr(rank_passes, "AXIS_CELLS", most)
    rng = np.random.default_rng(6)
    y = values(kind, rng, 2000)
    f = np.sign(y) * np.abs(y) ** 0.5 * rng.random(2000)
    found = scored(cut_up(Numbers(y, f), 4), ("spearman_r",))
    truth = spearmanr(y, f).statistic if len(np.unique(y)) > 1 and len(np.unique(f)) > 1 else None
    value = found.made.scores.overall["spearman_r"]
    if truth is None:
        assert value is None
        return
    off = found.made.bounds.overall.get("spearman_r", 0.0)
    assert value is not None
    assert abs(value - truth) <= off + 1e-9
    if most == 1 << 20:
        assert off < 1e-9
    ((_, own, bounds),) = found.rows
    assert abs(own["spearman_r"] - truth) <= bounds.get("spearman_r", 0.0) + 1e-9


@pytest.mark.parametrize("few", [0, 1 << 20])
def test_spearman_of_every_side_is_that_of_its_own_ranks(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_sorts, "FEW", few)
    rng = np.random.default_rng(10)
    y = np.round(rng.normal(size=6000), 2)
    f = y + rng.normal(size=6000)
    found = scored([Numbers(y[k::3], f[k::3]) for k in range(3)], ("spearman_r",), blocks=3)
    sides = {"overall": slice(None), "public": slice(0, None, 3), "private": slice(1, None, 3)}
    for which, own in sides.items():
        truth = spearmanr(y[own], f[own]).statistic
        assert getattr(found.made.scores, which)["spearman_r"] == pytest.approx(truth, abs=1e-9)
    for k, (_, own, bounds) in enumerate(found.rows):
        truth = spearmanr(y[k::3], f[k::3]).statistic
        assert abs(own["spearman_r"] - truth) <= bounds["spearman_r"] < 0.1


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), n=st.integers(2, 600),
    piece=st.sampled_from([3, 10, 1 << 18]),
    blocks=st.sampled_from([1, 3]), weighted=st.sampled_from(["none", "some", "all"]), narrow=st.booleans(),
)  # fmt: skip
def test_sorted_ranks_are_exact_however_rows_are_cut(
    seed: int, kind: str, n: int, piece: int, blocks: int, weighted: str, narrow: bool
) -> None:
    rng = np.random.default_rng(seed)
    y = values(kind, rng, n)
    f = np.sign(y) * np.abs(y) ** 0.5 * rng.random(n)
    if narrow:
        y, f = np.clip(y, -1e38, 1e38).astype(np.float32), f.astype(np.float32)
    times = rng.integers(1, 4, n) if weighted != "none" else np.ones(n, dtype=np.int64)
    edges = np.linspace(0, n, 6).astype(int)
    samples = []
    for k, (a, b) in enumerate(pairwise(edges)):
        if weighted == "some" and k % 2:
            times[a:b] = 1
        plain_rows = weighted == "none" or (weighted == "some" and k % 2)
        samples.append(Numbers(y[a:b], f[a:b], None if plain_rows else times[a:b].astype(float)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SMALL", 0)
        patch.setattr(rank_sorts, "PIECE", piece)
        made = scored(samples, ("spearman_r",), blocks=blocks).made
        again = scored(samples, ("spearman_r",), blocks=blocks, run=engine.threads(3)).made
    assert (again.scores, pack(again.block_states)) == (made.scores, pack(made.block_states))
    assert made.bounds.overall == {}
    if len(np.unique(y)) == 1 or len(np.unique(f)) == 1:
        assert made.scores.overall["spearman_r"] is None
        return
    truth = spearmanr(np.repeat(y, times), np.repeat(f, times)).statistic
    assert made.scores.overall["spearman_r"] == pytest.approx(truth, abs=1e-11)


@pytest.mark.parametrize("blocks", [1, 3])
def test_order_of_ensemble_means_is_counted_like_that_of_numbers(blocks: int) -> None:
    rng = np.random.default_rng(11)
    y, asked = rng.normal(size=3000), []
    x = y[:, None] + rng.normal(size=(3000, 5))

    def counted(task: engine.PartTask, bundles: int) -> Any:
        asked.append(task.detail)
        return engine.inline(task, bundles)

    names, thirds = ("median_ae", "spearman_r", "rmse"), [slice(k, None, 3) for k in range(3)]
    found = scored([Ensemble(y[own], x[own]) for own in thirds], names, blocks=blocks, run=counted).made
    means = ensemble_loops.member_means(np.ascontiguousarray(x.T))
    alone = scored([Numbers(y[own], means[own]) for own in thirds], names, blocks=blocks).made
    assert len(asked) > 1
    assert (found.scores, found.bounds) == (alone.scores, alone.bounds)
    assert found.scores.overall["median_ae"] == pytest.approx(np.median(np.abs(means - y)), rel=1e-9)


def test_a_refinement_narrows_the_bound_until_it_is_small_enough() -> None:
    rng = np.random.default_rng(7)
    p = 300.0 + rng.random(20_000)
    y = truth_of(p, rng)
    seen = []
    for most in (1, 2, 8):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(passes, "PASSES", most)
            patch.setattr(passes, "BYTES", 32 << 12)
            patch.setattr(engine, "SMALL", 0)
            seen.append(scored([Probabilities(y, p)], ("roc_auc",), parts=1).made.bounds.overall.get("roc_auc", 0.0))
    assert seen[0] > 1e-3 > seen[1] > seen[2]


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_put_in_order_before_counting_count_the_same(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    p = rng.normal(size=9000)
    sample = Probabilities(truth_of(p, rng), p, rng.random(9000) if weighted else None)
    plain = scored(cut_up(sample, 4), ORDER).made.scores
    monkeypatch.setattr(cells, "FEW_CELLS", 8)
    monkeypatch.setattr(cells, "ROWS", 700)
    ordered = scored(cut_up(sample, 4), ORDER).made.scores
    for name, value in plain.overall.items():
        assert ordered.overall[name] == pytest.approx(value, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.floats(width=32, allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, 1.0 - 2.0**-24, 2.0**-149, -1.0, 2.0]),
        min_size=1,
        max_size=40,
    ),
    width=st.sampled_from([2, 32, 1 << 13]),
)
def test_every_value_lies_within_the_ends_of_its_plain_cell(values: list[float], width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "LINEAR", width)
        given_values = np.array(values, dtype=np.float32)
        total = plain.Total(cells.Form(2, narrow=True))
        for number, value in enumerate(given_values):
            counting = plain.Plain(total.form)
            counting.count(1, given_values[number : number + 1], np.array([number % 2], dtype=np.uint8), None)
            alone = plain.Total(total.form)
            alone.join(counting.state())
            ((low,), (high,)) = cells.ends(alone.leaves().cells[1])
            assert low <= value <= high
            total.join(counting.state())
        leaves = total.leaves()
    assert not len(leaves.cells[0])
    low, high = cells.ends(leaves.cells[1])
    assert (low[1:] > high[:-1]).all()
    assert leaves.cells[1][:, 2:].sum(axis=0).tolist() == [(len(values) + 1) // 2, len(values) // 2]
    alone_there = {float(value) for value in (0.0, 1.0)}
    assert all(a == b for a, b in zip(low, high, strict=True) if a in alone_there and b in alone_there)


def test_plain_counters_run_over_without_loss() -> None:
    form = cells.Form(1, narrow=True)
    counting, total = plain.Plain(form), plain.Total(form)
    column = (np.arange(1000) % 4 == 0).astype(np.uint8)
    counting.count(0, np.full(1000, 0.25, dtype=np.float32), column, None)
    total.join(counting.state())
    total.join(counting.state())
    assert total.leaves().cells[0][:, 2:].tolist() == [[1500, 500]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", ["none", "some", "all"])
def test_plain_cells_end_exact_too(kind: str, weighted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "ROWS", 0)
    monkeypatch.setattr(pages, "ROWS", 0)
    monkeypatch.setattr(plain, "LINEAR", 1 << 15)
    rng = np.random.default_rng(len(kind))
    with np.errstate(over="ignore"):
        p = np.nan_to_num(values(kind, rng, 4000).astype(np.float32))
    y = truth_of(p, rng)
    w = np.ones(4000)
    if weighted != "none":
        w[(0 if weighted == "all" else 1700) : 2600 if weighted == "some" else 4000] += 0.5
    pieces = [(a, a + 400) for a in range(0, 4000, 400)]
    samples = [Probabilities(y[a:b], p[a:b], w[a:b] if (w[a:b] != 1).any() else None) for a, b in pieces]
    for most in (1, passes.PASSES):
        monkeypatch.setattr(passes, "PASSES", most)
        for blocks in (1, 3):
            made = scored(samples, ORDER, blocks=blocks).made
            for name, value in exact(y, p, w).items():
                off = made.bounds.overall.get(name, 0.0)
                assert abs(made.scores.overall[name] - value) <= off + 1e-9
                assert most == 1 or off <= passes.PRECISION
    assert pack(scored(samples, ORDER, blocks=3, run=engine.threads(3)).made.block_states) == pack(made.block_states)


def test_one_pass_is_enough_where_plain_cells_are_fine_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "ROWS", 0)
    monkeypatch.setattr(pages, "ROWS", 0)
    monkeypatch.setattr(plain, "LINEAR", 1 << 12)
    monkeypatch.setattr(passes, "FEW_ROWS", 0)
    monkeypatch.setattr(passes, "ENOUGH", 1e-3)
    rng = np.random.default_rng(9)
    p = rng.random(50_000).astype(np.float32)
    sample, asked = Probabilities(truth_of(p, rng), p), []

    def counted(task: engine.PartTask, bundles: int) -> Any:
        asked.append(task.detail)
        return engine.inline(task, bundles)

    bounds = scored(cut_up(sample, 4), ORDER, run=counted).made.bounds.overall
    assert asked == [b""]
    assert 0 < bounds["roc_auc"] <= bounds["average_precision"] <= 1e-3
    asked.clear()
    sample = Probabilities(sample.y, np.round(p, 2), None)  # few values: one more pass makes them exact
    assert scored(cut_up(sample, 4), ORDER, run=counted).made.bounds.overall == {}
    assert len(asked) == 2
