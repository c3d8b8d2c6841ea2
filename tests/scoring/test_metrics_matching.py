"""Metrics of matched points and polygons, worked by hand."""

import math
from typing import Any

import numpy as np
import pytest

from scoring.metrics.matching import Matching
from scoring.metrics.registry import METRICS
from scoring.samples import Matches

# five targets; the 1st, 3rd and 4th take a point; four points of values 5 1 2 2 in truth
POINTS = Matches(
    rank=np.array([1, 2, 3, 4, 5]),
    hit=np.array([1, 0, 1, 1, 0], dtype=bool),
    n_truth=4.0,
    value=np.array([1.0, 0, 5, 2, 0]),
    distance=np.array([10.0, 0, 20, 60, 0]),
    value_total=10.0,
)
POINTS_HAND = {
    "hits": 3.0,
    "precision": 3 / 5,
    "recall": 3 / 4,
    "f1": 6 / 9,
    "average_precision": (1 / 1 + 2 / 3 + 3 / 4) / 4,
    "captured_value": 8 / 10,
    "captured_value_at_k": 6 / 10,
    "mean_distance": 30.0,
}

# three footprints of IoU 0.96, 0.62, 0.30 with the free truth they overlap most; two truths
IOU = np.array([0.96, 0.62, 0.30])
POLYGONS = Matches(
    rank=np.array([2, 1, 3]),
    hit=IOU[:, None] >= np.array([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]),
    n_truth=2.0,
    iou=np.array([0.96, 0.62, 0.0]),
)
POLYGONS_HAND = {
    "f1_iou50": 4 / 5,
    "precision": 2 / 3,
    "recall": 1.0,
    "average_precision": 1.0,
    "map_iou": (3 * 1.0 + 7 * 0.25) / 10,  # above 0.62 only the second-ranked is left: ½ / 2
    "mean_iou": 0.79,
}


def score(kind: str, name: str, sample: Matches, **options: Any) -> float:
    metric = METRICS[kind, name]
    return metric.finish(metric.family.partial(sample, {}), {name: options})


@pytest.mark.parametrize("name", sorted(name for sample, name in METRICS if sample == "points"))
def test_points_worked_by_hand(name: str) -> None:
    options = {"k": 3} if name == "captured_value_at_k" else {}
    assert score("points", name, POINTS, **options) == pytest.approx(POINTS_HAND[name], rel=1e-14)


@pytest.mark.parametrize("name", sorted(name for sample, name in METRICS if sample == "polygons"))
def test_polygons_worked_by_hand(name: str) -> None:
    assert score("polygons", name, POLYGONS) == pytest.approx(POLYGONS_HAND[name], rel=1e-14)


def test_blocks_interleave_by_rank() -> None:
    family = Matching()
    left = Matches(np.array([1, 4]), np.array([True, True]), 1.0, value=np.array([1.0, 2]), value_total=3.0)
    right = Matches(
        np.array([2, 3, 5]), np.array([False, True, False]), 3.0, value=np.array([0, 5.0, 0]), value_total=7.0
    )
    merged = family.merge([family.partial(right, {}), family.partial(left, {})])
    assert METRICS["points", "average_precision"].finish(merged, {}) == pytest.approx(POINTS_HAND["average_precision"])
    assert METRICS["points", "captured_value"].finish(merged, {}) == pytest.approx(0.8)
    assert merged["rank"].tolist() == [1, 2, 3, 4, 5]


def test_no_candidates() -> None:
    nobody = Matches(np.zeros(0), np.zeros((0, 1)), 3.0, value_total=6.0)
    for name in ("hits", "precision", "recall", "f1", "average_precision", "captured_value", "captured_value_at_k"):
        assert score("points", name, nobody) == 0
    assert math.isnan(score("points", "mean_distance", nobody))
    assert score("polygons", "mean_iou", nobody) == 0
    assert score("polygons", "map_iou", nobody) == 0


def test_no_truth() -> None:
    alarms = Matches(np.array([1, 2]), np.zeros((2, 1)), 0.0)
    assert score("points", "hits", alarms) == 0
    assert score("points", "precision", alarms) == 0
    assert score("points", "f1", alarms) == 0
    for name in ("recall", "average_precision", "captured_value", "mean_distance"):
        assert math.isnan(score("points", name, alarms))


def test_ties_read_precision_after_all_of_them() -> None:
    tied = Matches(np.array([1, 1]), np.array([True, False]), 1.0)
    assert score("points", "average_precision", tied) == 0.5
