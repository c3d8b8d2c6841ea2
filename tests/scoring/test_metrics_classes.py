"""Metrics of classes: against scikit-learn, and their edges."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from scoring.metrics.confusion import Confusion, matrix
from scoring.metrics.registry import METRICS
from scoring.samples import Classes

# rows are the truth: class 0 has 3 rows, class 1 has 2, class 2 has 1
Y = np.array([0, 0, 0, 1, 1, 2])
F = np.array([0, 0, 1, 1, 2, 2])
PENALTY = [[0, 1, 4], [2, 0, 3], [5, 6, 0]]


def score(name: str, y: Any, f: Any, w: Any = None, k: int = 3, **options: Any) -> float:
    metric = METRICS["classes", name]
    return metric.finish(metric.family.partial(Classes(np.asarray(y), np.asarray(f), w, k), {}), {name: options})


def f1(average: str) -> Any:
    return lambda y, f, **kw: sk.f1_score(y, f, average=average, **kw)


SKLEARN = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "f1_micro": f1("micro"),
    "f1_macro": f1("macro"),
    "f1_weighted": f1("weighted"),
    "mean_iou": lambda y, f, **kw: sk.jaccard_score(y, f, average="macro", **kw),
    "cohen_kappa": sk.cohen_kappa_score,
    "matthews_corrcoef": sk.matthews_corrcoef,
}


@pytest.mark.parametrize("name", sorted(SKLEARN))
@pytest.mark.parametrize("absent", [None, 3])
def test_agrees_with_scikit_learn(name: str, absent: int | None) -> None:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 6, 4000)
    f = np.where(rng.random(4000) < 0.6, y, rng.integers(0, 6, 4000))
    if absent is not None:  # a class that nobody has seen
        y, f = np.where(y == absent, 0, y), np.where(f == absent, 1, f)
    w = rng.random(4000)
    assert score(name, y, f, k=6) == pytest.approx(SKLEARN[name](y, f), rel=1e-9)
    assert score(name, y, f, w, k=6) == pytest.approx(SKLEARN[name](y, f, sample_weight=w), rel=1e-9)


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_weighted_kappa_agrees_with_scikit_learn(weights: str) -> None:
    rng = np.random.default_rng(5)
    y, f = rng.integers(0, 5, 500), rng.integers(0, 5, 500)
    expected = sk.cohen_kappa_score(y, f, weights=weights)
    assert score("cohen_kappa", y, f, k=5, weights=weights) == pytest.approx(expected, rel=1e-9)


def test_a_class_predicted_but_never_true_counts_zero() -> None:
    assert score("f1_macro", [0, 0], [0, 1]) == pytest.approx((2 / 3 + 0) / 2)
    assert score("balanced_accuracy", [0, 0], [0, 1]) == 0.5


def test_one_class_only() -> None:
    assert math.isnan(score("cohen_kappa", [1, 1], [1, 1]))
    assert score("matthews_corrcoef", [1, 1], [1, 1]) == 0  # scikit-learn's convention
    assert score("f1_macro", [1, 1], [1, 1]) == 1


def test_the_confusion_matrix_is_at_hand() -> None:
    assert matrix(Confusion().partial(Classes(Y, F, None, 3), {})).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert matrix(Confusion().zero()).shape == (0, 0)


def test_a_penalty_matrix_of_another_shape_has_no_score() -> None:
    assert math.isnan(score("penalty_matrix", Y, F, matrix=[[0, 1], [1, 0]]))
    assert math.isnan(score("penalty_matrix", Y, F))


@pytest.mark.parametrize(("y", "f"), [([0, 3], [0, 0]), ([0, 0], [0, -1])])
def test_codes_outside_the_classes_are_a_mistake_of_the_caller(y: list[int], f: list[int]) -> None:
    with pytest.raises(ValueError, match="codes must lie in 0 … 2"):
        score("accuracy", y, f)
