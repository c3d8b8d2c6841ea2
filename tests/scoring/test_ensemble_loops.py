"""The compiled loops over ensembles against the formulas written out."""

import itertools
from typing import Any

import numpy as np
import pytest
import scores.probability
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.metrics import ensembles
from scoring.metrics.ensemble_loops import LANES, WIDE, all_finite, comparators, member_means
from scoring.metrics.registry import METRICS
from scoring.samples import Ensemble, pieces

SIZES = st.sampled_from([1, 2, LANES - 1, LANES, LANES + 1, WIDE, WIDE + 3, 2 * WIDE + 77])
MEMBERS = st.sampled_from([1, 2, 3, 4, 5, 16, 17, 50, 64, 70])


def sample(n: int, m: int, dtype: Any, seed: int, **more: Any) -> Ensemble:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(280, 3, (m, n)), 1).astype(dtype)
    return Ensemble(np.round(rng.normal(280, 3, n), 1), x.T, rng.random(n), **more)


def value(name: str, given: Ensemble, **options: Any) -> float:
    metric = METRICS["ensemble", name]
    return metric.finish(metric.family.partial(given, {name: options}), {name: options})


@pytest.mark.parametrize("count", range(1, 13))
def test_a_network_sorts_everything(count: int) -> None:
    # a network that sorts every row of zeros and ones sorts everything (Knuth 5.3.4, theorem Z)
    rows = np.array(list(itertools.product((0, 1), repeat=count)))
    for low, high in zip(*comparators(count), strict=True):
        pair = np.sort(rows[:, [low, high]], axis=1)
        rows[:, low], rows[:, high] = pair[:, 0], pair[:, 1]
    assert (np.diff(rows, axis=1) >= 0).all()


@settings(max_examples=20, deadline=None)
@given(n=SIZES, m=MEMBERS, dtype=st.sampled_from(["f4", "f8"]), seed=st.integers(0, 99))
def test_the_sums_are_those_of_the_formulas(n: int, m: int, dtype: str, seed: int) -> None:
    given = sample(n, m, dtype, seed)
    x, y, w = np.asarray(given.x, dtype=np.float64), given.y, given.w
    pairs = np.abs(x[:, :, None] - x[:, None, :]).sum(axis=(1, 2)) if n <= WIDE else None
    if pairs is not None:
        each = np.abs(x - y[:, None]).mean(axis=1) - pairs / (2 * m * m)
        assert value("crps", given) == pytest.approx(np.average(each, weights=w), rel=1e-9)
        if m > 1:
            each = np.abs(x - y[:, None]).mean(axis=1) - pairs / (2 * m * (m - 1))
            assert value("crps", given, estimator="fair") == pytest.approx(
                np.average(each, weights=w), rel=1e-9, abs=1e-9
            )
    error = np.average(np.square(x.mean(axis=1) - y), weights=w)
    assert value("rmse", given) == pytest.approx(np.sqrt(error), rel=1e-9, abs=1e-12)
    if m > 1 and error > 1e-20:  # less is what rounding left of no error at all, and the ratio of nothing to nothing
        spread = np.average(x.var(axis=1, ddof=1), weights=w) * (m + 1) / m
        assert value("spread_skill", given) == pytest.approx(np.sqrt(spread / error), rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(n=SIZES, m=MEMBERS, between=st.integers(1, 4), dtype=st.sampled_from(["f4", "f8"]), seed=st.integers(0, 99))
def test_categories_by_cell_are_those_of_the_formula(n: int, m: int, between: int, dtype: str, seed: int) -> None:
    given = sample(n, m, dtype, seed)
    # values of one decimal: in float32 many members lie within a rounding of the float64 edges
    edges = np.sort(np.round(np.random.default_rng(seed + 1).normal(280, 3, (n, between)), 1), axis=1)
    given = Ensemble(given.y, given.x, given.w, edges=edges)
    x = np.asarray(given.x, dtype=np.float64)
    observed = given.y[:, None] < edges
    score = np.square((x[:, :, None] < edges[:, None, :]).mean(axis=1) - observed).sum(axis=1)
    climate = np.square(np.arange(1, between + 1) / (between + 1) - observed).sum(axis=1)
    rps = np.average(score, weights=given.w)
    assert value("rps", given) == pytest.approx(rps, rel=1e-9, abs=1e-12)
    assert value("rpss", given) == pytest.approx(1 - rps / np.average(climate, weights=given.w), rel=1e-9, abs=1e-9)


def test_thresholds_are_edges_that_are_the_same_everywhere() -> None:
    given, thresholds = sample(700, 11, "f4", 5), [278.0, 280.3, 281.0]
    apart = Ensemble(given.y, given.x, given.w, edges=np.broadcast_to(thresholds, (700, 3)))
    for name in ("rps", "rpss"):
        assert value(name, given, thresholds=thresholds) == value(name, apart)
    assert METRICS["ensemble", "rps"].family.name == METRICS["ensemble", "rpss"].family.name


@settings(max_examples=20, deadline=None)
@given(m=MEMBERS, dtype=st.sampled_from(["f4", "f8"]), seed=st.integers(0, 99))
def test_neither_the_order_of_members_nor_the_layout_shows(m: int, dtype: str, seed: int) -> None:
    given = sample(900, m, dtype, seed)
    mixed = np.random.default_rng(seed).permutation(m)
    family = ensembles.Members()
    plain = family.partial(given, {})["sums"]
    turned = family.partial(Ensemble(given.y, np.ascontiguousarray(given.x[:, mixed].T).T, given.w), {})["sums"]
    assert plain.tobytes() == turned.tobytes()
    still = np.ascontiguousarray(given.x)
    still.flags.writeable = False
    rows = family.partial(Ensemble(given.y, still, given.w), {})["sums"]
    np.testing.assert_allclose(rows, plain, rtol=1e-12)
    cut = family.merge([family.partial(piece, {}) for piece in pieces(given, 333)])["sums"]
    np.testing.assert_allclose(cut, plain, rtol=1e-12)


def test_members_that_agree_have_no_spread() -> None:
    x = np.repeat(np.random.default_rng(0).normal(1e6, 1, (1, 700)), 51, axis=0)
    sums = ensembles.Members().partial(Ensemble(np.zeros(700), x.T), {})["sums"]
    assert sums[2] == sums[3] == sums[4] == 0
    assert (member_means(x) == x[0]).all()


def test_very_many_members_are_sorted_another_way() -> None:
    given = sample(40, ensembles.NETWORK + 1, "f8", 3)
    pair = xr.DataArray(given.x, dims=("i", "m")), xr.DataArray(given.y, dims="i")
    weights = xr.DataArray(given.w, dims="i")
    wanted = float(scores.probability.crps_for_ensemble(*pair, "m", method="ecdf", weights=weights))
    assert value("crps", given) == pytest.approx(wanted, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 5), d=st.integers(1, 7), m=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_energy_score_is_the_formula(n: int, d: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = rng.normal(size=(n, d)), rng.normal(size=(n, d, m))
    away = np.linalg.norm(x - y[:, :, None], axis=1).mean(axis=1)
    apart = np.linalg.norm(x[:, :, :, None] - x[:, :, None, :], axis=1).sum(axis=(1, 2)) / (2 * m * m)
    given = Ensemble(y.reshape(-1), x.reshape(n * d, m), None, np.repeat(np.arange(n), d))
    assert value("energy_score", given) == pytest.approx((away - apart).mean(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_seen(dtype: str, bad: float) -> None:
    values = np.full(1000, np.finfo(dtype).max, dtype=dtype)
    assert all_finite(values)
    for place in (0, 517, 999):
        spoilt = values.copy()
        spoilt[place] = bad
        assert not all_finite(spoilt)
