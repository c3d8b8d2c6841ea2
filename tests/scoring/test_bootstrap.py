"""Intervals by resampling blocks."""

import math

import numpy as np
import pytest

from scoring.bootstrap import interval, multiplicities, replicate_values
from scoring.metrics import ordering, tally
from scoring.metrics.registry import METRICS
from scoring.samples import Numbers, Probabilities

MAE = METRICS["numbers", "mae"]


def blocks(errors: list[float]) -> list[dict[str, np.ndarray]]:
    return [MAE.family.partial(Numbers(np.zeros(10), np.full(10, e)), {}) for e in errors]


def test_multiplicities_take_as_many_blocks_as_there_are() -> None:
    counts = multiplicities(7, replicates=50, seed=3)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert np.array_equal(counts, multiplicities(7, replicates=50, seed=3))
    assert not np.array_equal(counts, multiplicities(7, replicates=50, seed=4))


def test_a_replicate_is_the_score_of_the_repeated_blocks() -> None:
    counts = multiplicities(4, replicates=20, seed=1)
    values = replicate_values(MAE, blocks([1.0, 2.0, 3.0, 4.0]), counts)
    assert values == pytest.approx(counts @ np.array([1.0, 2.0, 3.0, 4.0]) / 4)


def test_equal_blocks_leave_no_doubt() -> None:
    found = interval(MAE, blocks([2.0] * 5), replicates=100, seed=1)
    assert (found.low, found.high, found.defined) == (2.0, 2.0, 100)


def test_the_interval_is_near_that_of_normal_theory_and_the_same_every_time() -> None:
    rng = np.random.default_rng(5)
    errors = (3 + rng.normal(size=200)).tolist()
    found = interval(MAE, blocks(errors), replicates=400, seed=11)
    half = 1.96 * np.std(np.abs(errors)) / math.sqrt(200)
    assert found.low == pytest.approx(np.mean(np.abs(errors)) - half, abs=0.3 * half)
    assert found.high == pytest.approx(np.mean(np.abs(errors)) + half, abs=0.3 * half)
    assert found == interval(MAE, blocks(errors), replicates=400, seed=11)
    narrow = interval(MAE, blocks(errors), replicates=400, seed=11, level=0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_one_block_or_an_undefined_metric_has_no_interval() -> None:
    assert math.isnan(interval(MAE, blocks([1.0]), replicates=10, seed=1).low)
    constant = METRICS["numbers", "r2"]
    found = interval(constant, blocks([1.0, 2.0, 3.0]), replicates=10, seed=1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.defined == 0


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "capture_curve", "capture_auc"])
@pytest.mark.parametrize("weighted", [False, True])
def test_aligned_tallies_resample_like_merging(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(6)
    metric, states = METRICS["probabilities", name], []
    for _ in range(9):
        p = np.round(rng.random(40), 2)
        w = rng.random(40) if weighted else None
        states.append(metric.family.partial(Probabilities((rng.random(40) < p).astype(int), p, w), {}))
    counts = multiplicities(9, replicates=30, seed=2)
    merged = [metric.finish(metric.family.merge(states, row), {}) for row in counts]
    assert replicate_values(metric, states, counts) == pytest.approx(merged, rel=1e-12)


@pytest.mark.parametrize("name", ["median_ae", "spearman_r"])
def test_aligned_tallies_of_numbers_resample_like_merging(name: str) -> None:
    rng = np.random.default_rng(8)
    metric = METRICS["numbers", name]
    samples = [Numbers(np.round(rng.normal(size=30), 1), np.round(rng.normal(size=30), 1)) for _ in range(6)]
    states = [metric.family.zero(), *(metric.family.partial(sample, {}) for sample in samples)]
    counts = multiplicities(7, replicates=20, seed=2)
    merged = [metric.finish(metric.family.merge(states, row), {}) for row in counts]
    assert replicate_values(metric, states, counts) == pytest.approx(merged, rel=1e-12)


def test_blocks_of_nothing_have_no_interval() -> None:
    metric = METRICS["probabilities", "roc_auc"]
    assert interval(metric, [metric.family.zero()] * 3, replicates=10, seed=1).defined == 0


def test_resampling_many_values_coarsens_them_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "RESAMPLING_CAP", 100)
    rng = np.random.default_rng(7)
    family, states = ordering.Ordering(), []
    for _ in range(5):
        p = rng.random(400)
        states.append(family.partial(Probabilities((rng.random(400) < p).astype(int), p), {}))
    once = next(iter(family.resampler(states)(np.ones((1, 5), dtype=int))))
    assert len(once["w"]) <= 100
    assert ordering.roc_auc(once, {}) == pytest.approx(ordering.roc_auc(family.merge(states), {}), abs=0.01)
