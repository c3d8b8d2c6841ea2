"""Metrics of numbers: against scikit-learn, scipy, scores and a published contest, and their edges."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scores.continuous
import xarray as xr
from scipy import stats
from sklearn import metrics as sk

from scoring.metrics import ranks
from scoring.metrics.registry import METRICS
from scoring.samples import Numbers


def score(name: str, y: Any, f: Any, w: Any = None, **options: Any) -> float:
    metric = METRICS["numbers", name]
    return metric.finish(
        metric.family.partial(Numbers(np.asarray(y), np.asarray(f), w), {name: options}), {name: options}
    )


def test_weighted_median_between_two_values() -> None:
    assert score("median_ae", [0, 0], [1, 3], np.array([1.0, 1.0])) == 2
    assert score("median_ae", [0, 0], [1, 3], np.array([1.0, 1.5])) == 3


@pytest.mark.parametrize("weight", [0.1, 0.3, 1 / 3, 0.7, 1e-3, 1e5 / 3])
@pytest.mark.parametrize("n", [2, 5, 6, 10, 39, 4000])
def test_the_median_of_equal_weights_is_the_plain_one(weight: float, n: int) -> None:
    f = np.arange(1.0, n + 1)  # ten weights of 0.1 add up to less than 1: half of them is half all the same
    assert score("median_ae", np.zeros(n), f, np.full(n, weight)) == np.median(f)
    tied = np.repeat(f, 3)
    assert score("median_ae", np.zeros(3 * n), tied, np.full(3 * n, weight)) == np.median(tied)


def positive(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.gamma(2.0, 3.0, n)
    return y, y * rng.lognormal(0.1, 0.4, n), rng.random(n) + 0.01


SKLEARN = {
    "mae": sk.mean_absolute_error,
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "r2": sk.r2_score,
    "mape": sk.mean_absolute_percentage_error,
    "median_ae": sk.median_absolute_error,
    "msle": sk.mean_squared_log_error,
    "pinball": sk.mean_pinball_loss,
}


@pytest.mark.parametrize("name", sorted(SKLEARN))
@pytest.mark.parametrize("n", [2, 7, 1000, 200_001])
def test_agrees_with_scikit_learn(name: str, n: int) -> None:
    y, f, w = positive(n, n)
    assert score(name, y, f) == pytest.approx(SKLEARN[name](y, f), rel=1e-9)
    assert score(name, y, f, w) == pytest.approx(SKLEARN[name](y, f, sample_weight=w), rel=1e-9)


def test_agrees_with_scipy_and_scores() -> None:
    y, f, w = positive(5000, 1)
    tied = np.round(f, 0)
    assert score("pearson_r", y, f) == pytest.approx(stats.pearsonr(y, f).statistic, rel=1e-9)
    assert score("pearson_r", y, f, w) == pytest.approx(np.cov(y, f, aweights=w)[0, 1] / _sigmas(y, f, w), rel=1e-9)
    assert score("spearman_r", y, tied) == pytest.approx(stats.spearmanr(y, tied).statistic, rel=1e-9)
    a, b = xr.DataArray(y, dims="i"), xr.DataArray(f, dims="i")
    assert score("kge", y, f) == pytest.approx(float(scores.continuous.kge(b, a)), rel=1e-9)
    assert score("nse", y, f) == pytest.approx(float(scores.continuous.nse(b, a)), rel=1e-9)
    assert score("bias", y, f) == pytest.approx(float(scores.continuous.additive_bias(b, a)), rel=1e-9)
    assert score("max_error", y, f) == sk.max_error(y, f)


def _sigmas(y: np.ndarray, f: np.ndarray, w: np.ndarray) -> float:
    return math.sqrt(np.cov(y, aweights=w) * np.cov(f, aweights=w))


def test_float32_is_read_as_float64() -> None:
    y, f, _ = positive(100_000, 2)
    y32, f32 = y.astype(np.float32), f.astype(np.float32)
    expected = sk.r2_score(y32.astype(float), f32.astype(float))
    assert score("r2", y32, f32) == pytest.approx(expected, rel=1e-12)


def test_a_large_offset_costs_no_digits() -> None:
    y, f, _ = positive(10_000, 3)
    assert score("r2", y + 2**30, f + 2**30) == pytest.approx(score("r2", y, f), rel=1e-6)
    assert score("pearson_r", y + 2**30, f + 2**30) == pytest.approx(score("pearson_r", y, f), rel=1e-6)


@pytest.mark.parametrize("name", ["r2", "nse", "pearson_r", "spearman_r", "kge"])
def test_a_constant_truth_has_no_score(name: str) -> None:
    assert math.isnan(score(name, np.full(1000, 0.1), np.linspace(0, 1, 1000)))
    assert math.isnan(score(name, [1.0], [1.0]))


@pytest.mark.parametrize("name", ["pearson_r", "spearman_r", "kge"])
def test_a_constant_prediction_has_no_correlation(name: str) -> None:
    assert math.isnan(score(name, np.linspace(0, 1, 1000), np.full(1000, 0.1)))


def test_edges_of_relative_errors() -> None:
    assert score("smape", [0.0, 0.0], [0.0, 1.0]) == 100  # 0/0 counts 0, a false alarm 200
    assert math.isnan(score("msle", [0.0, -1.0], [0.0, 0.0]))
    assert score("msle", [-0.5], [-0.5]) == 0
    assert score("mape", [0.0], [1.0]) == pytest.approx(sk.mean_absolute_percentage_error([0.0], [1.0]))


@pytest.mark.parametrize("seed", range(5))
def test_bounds_hold_when_the_tally_is_coarsened(seed: int) -> None:
    y, f, _ = positive(3000, seed)
    for exact, small, finish, bound in (
        (ranks.AbsoluteErrors(), ranks.AbsoluteErrors(64), ranks.median_ae, ranks.median_ae_bound),
        (ranks.RankPairs(), ranks.RankPairs(256), ranks.spearman_r, ranks.spearman_bound),
    ):
        whole = small.partial(Numbers(y, f), {})
        parts = [small.partial(Numbers(y[i::3], f[i::3]), {}) for i in range(3)]
        truth = finish(exact.partial(Numbers(y, f), {}), {})
        assert 0 < abs(finish(whole, {}) - truth) <= bound(whole, {}) < 0.5
        merged = small.merge(parts)
        assert all(np.array_equal(merged[key], whole[key]) for key in ("level", "lo", "hi"))
        assert finish(merged, {}) == pytest.approx(finish(whole, {}), rel=1e-12)


def test_the_sampl6_contest_as_published(shared_data: Path) -> None:
    folder = shared_data / "sampl6_logp"
    expected = json.loads((folder / "expected.json").read_text())["submissions"]
    truth = _column(folder / "truth.csv", "logP mean")
    assert len(expected) == 105
    for entry in expected.values():
        predicted = _column(folder / entry["file"], "logP")
        y, f = (np.array([table[key] for key in truth]) for table in (truth, predicted))
        assert score("rmse", y, f) == pytest.approx(entry["published"]["RMSE"], abs=1e-6)
        assert score("mae", y, f) == pytest.approx(entry["published"]["MAE"], abs=1e-6)


def _column(path: Path, name: str) -> dict[str, float]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["Molecule ID"].strip(): float(row[name]) for row in csv.DictReader(file, skipinitialspace=True)}
