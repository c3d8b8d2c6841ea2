"""Metrics of ensembles: worked by hand, against properscoring and scores, and on real influenza forecasts."""

import json
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import properscoring
import pytest
import scores.probability
import xarray as xr

from scoring.metrics.ensembles import vector_dimensions
from scoring.metrics.registry import METRICS
from scoring.samples import Ensemble


def score(name: str, y: Any, x: Any, w: Any = None, group: Any = None, **options: Any) -> float:
    metric = METRICS["ensemble", name]
    sample = Ensemble(np.asarray(y, dtype=float), np.asarray(x, dtype=float), w, group)
    return metric.finish(metric.family.partial(sample, {name: options}), {name: options})


def test_crps_worked_by_hand() -> None:
    # members 0 and 2 about 1: mean |x − y| = 1, Σ|x − x'| = 4, M = 2
    assert score("crps", [1.0], [[0.0, 2.0]]) == 1 - 4 / 8
    assert score("crps", [1.0], [[0.0, 2.0]], estimator="fair") == 1 - 4 / 4
    assert score("crps", [1.0], [[3.0]]) == 2
    assert math.isnan(score("crps", [1.0], [[3.0]], estimator="fair"))


def test_spread_skill_worked_by_hand() -> None:
    # variances 2 and 8 over M − 1 = 1, (M + 1)/M = 3/2; errors of the mean 1 and 2
    assert score("spread_skill", [0.0, 0.0], [[0, 2], [0, 4]]) == pytest.approx(math.sqrt(1.5 * 10 / 5))
    assert math.isnan(score("spread_skill", [1.0], [[2.0]]))


def test_rpss_worked_by_hand() -> None:
    # truth in the lowest third: forecast (½, ½, 0) has RPS ¼; climatology (⅓ − 1)² + (⅔ − 1)² = 5/9
    assert score("rpss", [-1.0], [[-2.0, 0.0]], thresholds=[-0.5, 0.5]) == pytest.approx(1 - (1 / 4) / (5 / 9))
    assert math.isnan(score("rpss", [-1.0], [[-2.0, 0.0]]))


def test_energy_score_worked_by_hand() -> None:
    # members (0, 0) and (3, 4) about (0, 0): mean ‖x − y‖ = 2.5, Σ‖x − x'‖ = 10
    assert score("energy_score", [0.0, 0.0], [[0, 3], [0, 4]], group=np.array([7, 7])) == 2.5 - 10 / 8


def test_energy_score_of_vectors_of_different_length() -> None:
    y, x, group = np.zeros(3), np.array([[0, 3], [1, 2], [0, 4]]), np.array([5, 1, 5])
    alone = score("crps", [0.0], [[1, 2]])
    assert score("energy_score", y, x, group=group) == pytest.approx((1.25 + alone) / 2)
    weighted = score("energy_score", y, x, np.array([3.0, 1.0, 3.0]), group)
    assert weighted == pytest.approx((3 * 1.25 + alone) / 4)


def test_energy_score_of_single_values_is_the_crps() -> None:
    rng = np.random.default_rng(1)
    y, x, w = rng.normal(size=300), rng.normal(size=(300, 20)), rng.random(300)
    assert score("energy_score", y, x, w) == pytest.approx(score("crps", y, x, w), rel=1e-12)


def test_the_vector_dimensions_are_an_option() -> None:
    assert vector_dimensions({}) == ()
    assert vector_dimensions({"energy_score": {"over": "horizon"}}) == ("horizon",)
    assert vector_dimensions({"energy_score": {"over": ["x", "y"]}}) == ("x", "y")


@pytest.mark.parametrize("members", [1, 2, 11, 50])
def test_crps_agrees_with_properscoring_and_scores(members: int) -> None:
    rng = np.random.default_rng(members)
    y, x, w = rng.gamma(2, 3, 700), rng.gamma(2, 3, (700, members)), rng.random(700)
    each = properscoring.crps_ensemble(y, x)
    assert score("crps", y, x) == pytest.approx(each.mean(), rel=1e-9)
    assert score("crps", y, x, w) == pytest.approx((w * each).sum() / w.sum(), rel=1e-9)
    if members > 1:
        pair = xr.DataArray(x, dims=("i", "m")), xr.DataArray(y, dims="i")
        fair = float(scores.probability.crps_for_ensemble(*pair, "m", method="fair"))
        assert score("crps", y, x, estimator="fair") == pytest.approx(fair, rel=1e-9)


def test_numbers_of_the_ensemble_mean() -> None:
    rng = np.random.default_rng(2)
    y, x = rng.normal(size=50), rng.normal(size=(50, 7))
    assert score("rmse", y, x) == pytest.approx(math.sqrt(np.square(x.mean(axis=1) - y).mean()), rel=1e-12)
    assert score("pinball", y, x, q=0.5) == pytest.approx(np.abs(x.mean(axis=1) - y).mean() / 2, rel=1e-12)


def test_the_influenza_forecasts_as_published(shared_data: Path) -> None:
    folder = shared_data / "flusight_nd"
    expected = json.loads((folder / "baseline_scores.json").read_text())["recomputed"]
    y = _values(folder / "demo_2x53x4" / "truth.nc")
    for entry in expected.values():
        x, found = _values(folder / entry["files"]["samples"]), entry["recomputed"]
        there = np.isfinite(x).all(axis=-1) & np.isfinite(y)
        group = np.broadcast_to(np.arange(2 * 53).reshape(2, 53, 1), y.shape)[there]  # one vector: all horizons
        sample = (y[there], x[there])
        assert there.sum() == found["n_tasks"]
        assert score("crps", *sample) == pytest.approx(found["crps"], rel=1e-9)
        assert score("crps", *sample, estimator="fair") == pytest.approx(found["crps_fair"], rel=1e-9)
        assert score("energy_score", *sample, group=group) == pytest.approx(found["energy_score"], rel=1e-9)


def _values(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return np.asarray(file["hosp"], dtype=float)
