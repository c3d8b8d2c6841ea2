"""Metrics of probabilities: against scikit-learn, and their edges."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from scoring.metrics import ordering, tally
from scoring.metrics.registry import METRICS
from scoring.samples import Probabilities

Y = np.array([1, 0, 1, 0, 0])
P = np.array([0.9, 0.8, 0.8, 0.3, 0.1])


def state_of(name: str, y: Any, p: Any, w: Any = None, **options: Any) -> Any:
    return METRICS["probabilities", name].family.partial(
        Probabilities(np.asarray(y), np.asarray(p), w), {name: options}
    )


def score(name: str, y: Any, p: Any, w: Any = None, **options: Any) -> float:
    return METRICS["probabilities", name].finish(state_of(name, y, p, w, **options), {name: options})


BINARY = {
    "log_loss": lambda y, p, **kw: sk.log_loss(y, y_proba=p, labels=[0, 1], **kw),
    "brier": sk.brier_score_loss,
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "accuracy": lambda y, p, **kw: sk.accuracy_score(y, p >= 0.5, **kw),
    "f1_macro": lambda y, p, **kw: sk.f1_score(y, p >= 0.5, average="macro", **kw),
    "f1": lambda y, p, **kw: sk.f1_score(y, p >= 0.5, **kw),
    "iou": lambda y, p, **kw: sk.jaccard_score(y, p >= 0.5, **kw),
}


@pytest.mark.parametrize("name", sorted(BINARY))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_agrees_with_scikit_learn(name: str, dtype: Any) -> None:
    rng = np.random.default_rng(6)
    p = np.round(rng.random(5000), 3).astype(dtype)
    y, w = (rng.random(5000) < p).astype(int), rng.random(5000)
    rel = 1e-9 if dtype is np.float64 else 1e-5  # scikit-learn works in float32 when given it
    assert score(name, y, p) == pytest.approx(BINARY[name](y, p), rel=rel)
    assert score(name, y, p, w) == pytest.approx(BINARY[name](y, p, sample_weight=w), rel=rel)


SEVERAL = {
    "log_loss": lambda y, p, **kw: sk.log_loss(y, y_proba=p, labels=range(4), **kw),
    "brier": lambda y, p, **kw: sk.brier_score_loss(y, p, labels=range(4), **kw),
    "roc_auc": lambda y, p, **kw: sk.roc_auc_score(y, p, multi_class="ovr", average="macro", **kw),
    "average_precision": lambda y, p, **kw: sk.average_precision_score(np.eye(4)[y], p, average="macro", **kw),
    "accuracy": lambda y, p, **kw: sk.accuracy_score(y, p.argmax(axis=1), **kw),
    "f1_macro": lambda y, p, **kw: sk.f1_score(y, p.argmax(axis=1), average="macro", **kw),
}


@pytest.mark.parametrize("name", sorted(SEVERAL))
def test_several_classes_agree_with_scikit_learn(name: str) -> None:
    rng = np.random.default_rng(7)
    p, w = rng.dirichlet(np.ones(4), 3000), rng.random(3000)
    y = (p.cumsum(axis=1) > rng.random(3000)[:, None]).argmax(axis=1)
    assert score(name, y, p) == pytest.approx(SEVERAL[name](y, p), rel=1e-9)
    assert score(name, y, p, w) == pytest.approx(SEVERAL[name](y, p, sample_weight=w), rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sure_forecast_that_is_wrong_costs_the_clip(dtype: Any) -> None:
    y, p = [0, 1], np.array([1.0, 0.0], dtype=dtype)
    assert score("log_loss", y, p) == pytest.approx(-math.log(np.finfo(dtype).eps))
    assert score("log_loss", y, p) == pytest.approx(sk.log_loss(y, y_proba=p), rel=1e-6)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "capture_curve", "capture_auc"])
def test_one_sided_truth_has_no_order(name: str) -> None:
    assert math.isnan(score(name, [1, 1], [0.5, 0.6]))
    assert math.isnan(score(name, [0, 0], [0.5, 0.6]))


def test_a_class_without_rows_is_left_out_of_the_mean() -> None:
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
    two = sk.roc_auc_score([1, 0, 0], p[:, 0]), sk.roc_auc_score([0, 1, 1], p[:, 1])
    assert score("roc_auc", [0, 1, 1], p) == pytest.approx(sum(two) / 2)


def test_points_read_through_a_raster() -> None:
    """Two deposits in one cell count twice; a constant map is worth ½."""
    y, p = [1, 1, 1, 0, 0, 0], [0.7, 0.7, 0.1, 0.9, 0.5, 0.1]
    assert score("roc_auc", y, p) == pytest.approx((2 + 2 + 0.5) / 9)
    assert score("roc_auc", y, np.full(6, 0.2)) == 0.5
    assert score("roc_auc", [1, 1, 0, 0, 0], [0.7, 0.1, 0.9, 0.5, 0.1], np.array([2.0, 1, 1, 1, 1])) == pytest.approx(
        0.5
    )


def test_the_capture_curve_is_linear_inside_ties() -> None:
    state = state_of("capture_curve", Y, P)
    assert ordering.capture(state, [0, 0.1, 0.2, 0.4, 0.6, 1]).tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    constant = state_of("capture_curve", Y, np.ones(5))
    assert ordering.capture(constant, [0.1, 0.7]).tolist() == pytest.approx([0.1, 0.7])
    assert score("capture_curve", Y, P, area=40.0) == pytest.approx(0.75)


def test_capture_auc_follows_from_roc_auc() -> None:
    rng = np.random.default_rng(8)
    p = np.round(rng.random(1000), 2)
    y = (rng.random(1000) < 0.3 * p).astype(int)
    share = y.mean()
    assert score("capture_auc", y, p) == pytest.approx((1 - share) * score("roc_auc", y, p) + share / 2, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 1e-300, 1e-17, 1e-9, 0.3, 1 - 1e-10, 1.0])), max_size=70)
)
def test_products_of_probabilities_lose_no_digit_of_their_logarithm(rows: list[tuple[bool, float]]) -> None:
    y, p = np.array([row[0] for row in rows], dtype=int), np.array([row[1] for row in rows])
    eps = np.finfo(np.float64).eps
    wanted = -np.log(np.clip(np.where(y == 1, p, 1 - p), eps, 1 - eps)).mean() if rows else math.nan
    assert score("log_loss", y, p) == pytest.approx(wanted, rel=1e-12, nan_ok=True)


def test_each_metric_of_decisions_has_its_own_threshold() -> None:
    at = {0.5: (4 / 5, 4 / 5, 2 / 3), 0.85: (4 / 5, 2 / 3, 1 / 2), 0.3: (3 / 5, 4 / 6, 2 / 4)}
    for threshold, values in at.items():
        options = {name: {"threshold": threshold} for name in ("accuracy", "f1", "iou")}
        assert [score(name, Y, P, **options[name]) for name in options] == pytest.approx(values)
    mixed = {"accuracy": {"threshold": 0.85}, "iou": {"threshold": 0.3}}
    family = METRICS["probabilities", "iou"].family
    state = family.partial(Probabilities(Y, P), mixed)
    assert METRICS["probabilities", "f1"].finish(state, mixed) == pytest.approx(4 / 5)
    assert METRICS["probabilities", "iou"].finish(state, mixed) == pytest.approx(2 / 4)


def test_one_class_metrics_are_undefined_for_several() -> None:
    y, p = [0, 1, 2], np.eye(3)
    assert math.isnan(score("f1", y, p))
    assert math.isnan(score("iou", y, p))
    assert score("f1", [0, 0], [0.1, 0.2]) == score("iou", [0, 0], [0.1, 0.2]) == 0.0


def test_a_code_beyond_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="class codes"):
        state_of("log_loss", [0, 3], np.full((2, 3), 1 / 3))


def test_bins_of_ece_are_closed_above() -> None:
    assert score("ece", [1, 0], [0.5, 0.6], bins=2) == pytest.approx((0.5 + 0.6) / 2)
    assert score("ece", [1, 0], [0.0, 0.5], bins=2) == pytest.approx(0.25)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("bins", [2, 10, 15, 25, 87, 100])
def test_a_probability_written_as_an_edge_is_that_edge(bins: int, dtype: Any) -> None:
    """0.28 is the end of the seventh of 25 bins, though 0.28 × 25 > 7 in floating point, and in float32 as well."""
    ends = (np.arange(1, bins + 1) / bins).astype(dtype)
    family = METRICS["probabilities", "ece"].family
    state = family.partial(Probabilities(np.ones(bins, dtype=int), ends), {"ece": {"bins": bins}})
    assert state["sums"][:, 0].tolist() == [1.0] * bins


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_probability_of_the_threshold_is_decided_for(dtype: Any) -> None:
    for threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
        assert score("accuracy", [1, 0], np.array([threshold, 0.0], dtype=dtype), threshold=threshold) == 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), weighted=st.booleans(), cap=st.sampled_from([8, 33, 200]))
def test_bounds_hold_when_the_tally_is_coarsened(seed: int, weighted: bool, cap: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.normal(size=2000)
    y = (rng.random(2000) < 1 / (1 + np.exp(3 - p))).astype(int)
    w = rng.random(2000) if weighted else None
    small, exact = ordering.Ordering(cap), ordering.Ordering()
    whole, truth = small.partial(Probabilities(y, p, w), {}), exact.partial(Probabilities(y, p, w), {})
    assert len(whole["w"]) <= cap
    for name in ("roc_auc", "average_precision", "capture_curve", "capture_auc"):
        metric = METRICS["probabilities", name]
        assert abs(metric.finish(whole, {}) - metric.finish(truth, {})) <= metric.bound(whole, {}) + 1e-12
        assert metric.bound(truth, {}) == 0
    parts = [small.partial(Probabilities(y[i::4], p[i::4], None if w is None else w[i::4]), {}) for i in range(4)]
    merged = small.merge([small.merge(parts[:2]), *parts[2:]])
    assert all(np.array_equal(merged[key], whole[key]) for key in ("level", "lo", "hi"))


def test_many_distinct_values_are_coarsened_with_a_small_bound() -> None:
    rng = np.random.default_rng(9)
    p = rng.random(tally.CAP + 1000)
    y = (rng.random(len(p)) < p).astype(int)
    state = state_of("roc_auc", y, p)
    assert len(state["w"]) <= tally.CAP
    bound = ordering.roc_auc_bound(state, {})
    assert 0 < bound < 1e-5
    assert abs(ordering.roc_auc(state, {}) - sk.roc_auc_score(y, p)) <= bound


def test_joining_in_batches_changes_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(10)
    p, y = np.round(rng.random(3000), 2), rng.integers(0, 2, 3000)
    family = ordering.Ordering()
    parts = [family.partial(Probabilities(y[i::10], p[i::10]), {}) for i in range(10)]
    at_once = family.merge(parts)
    monkeypatch.setattr(tally, "BATCH", 250)
    in_batches = family.merge(parts)
    assert all(np.array_equal(at_once[key], in_batches[key]) for key in at_once)


def test_float32_scores_stay_exact_while_their_values_fit() -> None:
    p = np.arange(tally.CAP, dtype=np.float32) / np.float32(tally.CAP)
    y = np.arange(tally.CAP) % 2
    state = state_of("roc_auc", np.concatenate([y, y]), np.concatenate([p, p]))
    assert tally.exact_cells(state).all()
    assert ordering.roc_auc(state, {}) == pytest.approx(sk.roc_auc_score(y, p), rel=1e-12)


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_ordered_integers_compare_like_floats(values: list[float]) -> None:
    x = np.array(values)
    keys = tally.ordered(x)
    order = np.argsort(keys, kind="stable")
    assert (np.diff(np.nan_to_num(x[order])) >= 0).all()
    assert np.array_equal(tally.unordered(keys), x)
    assert np.array_equal(keys[:, None] == keys[None, :], x[:, None] == x[None, :])
