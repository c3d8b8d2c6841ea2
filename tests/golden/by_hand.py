"""Every metric worked by hand on a few numbers, once with every row counting one and once with weights.

``CASES`` holds all of it: a sample, and what each metric makes of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scoring.samples import Classes, Ensemble, Matches, Numbers, Probabilities, Reach
from scoring.state import Options

ln, sqrt = math.log, math.sqrt


@dataclass(frozen=True)
class Case:
    """A sample and what each metric makes of it. ``weighted``: rows count differently."""

    kind: str
    weighted: bool
    sample: Any
    values: Mapping[str, float]
    options: Options = field(default_factory=dict)


# numbers: e = f − y = 1, 0, −2, 3
NUMBERS = Numbers(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 1.0, 7.0]))
NUMBERS_W = np.array([2.0, 1.0, 1.0, 4.0])  # Σw = 8
ERRORS = {
    "mae": (1 + 0 + 2 + 3) / 4,
    "mse": (1 + 0 + 4 + 9) / 4,
    "rmse": sqrt(14 / 4),
    "bias": (1 + 0 - 2 + 3) / 4,
    "max_error": 3.0,
    "median_ae": (1 + 2) / 2,  # 0 1 | 2 3
    "r2": 1 - 14 / 5,  # ȳ = 2.5: Σ(y − ȳ)² = 2.25 + 0.25 + 0.25 + 2.25
    "nse": 1 - 14 / 5,
    "pearson_r": 7 / sqrt(5 * 22),  # f̄ = 3: Σ(f − f̄)² = 1 + 1 + 4 + 16, Σ(y − ȳ)(f − f̄) = 1.5 + 0.5 − 1 + 6
    "spearman_r": 1.5 / sqrt(5 * 4.5),  # ranks 1 2 3 4 and 2.5 2.5 1 4 about 2.5: products 0, 0, −0.75, 2.25
    "kge": 1 - sqrt((7 / sqrt(110) - 1) ** 2 + (sqrt(22 / 5) - 1) ** 2 + (3 / 2.5 - 1) ** 2),
    "smape": (200 * 1 / 3 + 0 + 200 * 2 / 4 + 200 * 3 / 11) / 4,
    "mape": (1 / 1 + 0 + 2 / 3 + 3 / 4) / 4,
    "msle": (ln(3 / 2) ** 2 + 0 + ln(2 / 4) ** 2 + ln(8 / 5) ** 2) / 4,
    "pinball": (0.5 + 0 + 1 + 1.5) / 4,  # q = ½: half of |e|
    "huber": (0.5 + 0 + 1.5 + 2.5) / 4,  # δ = 1: 1²/2, 0, 2 − ½, 3 − ½
}
WEIGHTED_ERRORS = {
    "mae": (2 * 1 + 0 + 2 + 4 * 3) / 8,
    "mse": (2 * 1 + 0 + 4 + 4 * 9) / 8,
    "rmse": sqrt(42 / 8),
    "bias": (2 * 1 + 0 - 2 + 4 * 3) / 8,
    "max_error": 3.0,
    "median_ae": (2 + 3) / 2,  # 0, 1 1, 2 | 3 3 3 3
    "r2": 1 - 42 / 12.875,  # Σw·y² − (Σw·y)²/Σw = (2 + 4 + 9 + 64) − 23²/8
    "nse": 1 - 42 / 12.875,
    "pearson_r": 22.375 / sqrt(12.875 * 55.875),  # Σw·f² = 8 + 4 + 1 + 196, Σw·f = 35, Σw·y·f = 4 + 4 + 3 + 112
    # rows repeated: ranks of y 1.5 (twice) 3 4 6.5 (four times), of f 3 (twice) 3 1 6.5, both about 4.5
    "spearman_r": (2 * 3 * 1.5 + 1.5 * 1.5 + 0.5 * 3.5 + 4 * 2 * 2)
    / sqrt((2 * 9 + 2.25 + 0.25 + 4 * 4) * (2 * 2.25 + 2.25 + 12.25 + 4 * 4)),
    "kge": 1 - sqrt((22.375 / sqrt(12.875 * 55.875) - 1) ** 2 + (sqrt(55.875 / 12.875) - 1) ** 2 + (35 / 23 - 1) ** 2),
    "smape": (2 * 200 / 3 + 0 + 100 + 4 * 600 / 11) / 8,
    "mape": (2 * 1 + 0 + 2 / 3 + 4 * 3 / 4) / 8,
    "msle": (2 * ln(3 / 2) ** 2 + 0 + ln(2 / 4) ** 2 + 4 * ln(8 / 5) ** 2) / 8,
    "pinball": (2 * 0.5 + 0 + 1 + 4 * 1.5) / 8,
    "huber": (2 * 0.5 + 0 + 1.5 + 4 * 2.5) / 8,
}
TILTED: Options = {"pinball": {"q": 0.9}, "huber": {"delta": 2.0}}

# classes: rows are the truth: (2 1 0), (0 1 1), (0 0 1); with weights (3 1 0), (0 3 1), (0 0 2)
CLASSES = Classes(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2]), None, 3)
CLASSES_W = np.array([1.0, 2.0, 1.0, 3.0, 1.0, 2.0])  # Σw = 10
COSTS: Options = {"penalty_matrix": {"matrix": [[0, 1, 4], [2, 0, 3], [5, 6, 0]]}}
RATES = {
    "accuracy": 4 / 6,
    "balanced_accuracy": (2 / 3 + 1 / 2 + 1) / 3,
    "f1_micro": 4 / 6,
    "f1_macro": (2 * 2 / 5 + 2 * 1 / 4 + 2 * 1 / 3) / 3,
    "f1_weighted": (3 * 4 / 5 + 2 * 2 / 4 + 1 * 2 / 3) / 6,
    "mean_iou": (2 / 3 + 1 / 3 + 1 / 2) / 3,
    "cohen_kappa": 1 - (2 / 6) / (1 - 12 / 36),  # agreement by chance (3·2 + 2·2 + 1·2) / 36
    "matthews_corrcoef": (4 * 6 - 12) / sqrt((36 - 14) * (36 - 12)),  # truth 3 2 1, prediction 2 2 2
    "penalty_matrix": (1 + 3) / 6,
}
WEIGHTED_RATES = {
    "accuracy": 8 / 10,
    "balanced_accuracy": (3 / 4 + 3 / 4 + 1) / 3,
    "f1_micro": 8 / 10,
    "f1_macro": (6 / 7 + 6 / 8 + 4 / 5) / 3,  # truth 4 4 2, prediction 3 4 3
    "f1_weighted": (4 * 6 / 7 + 4 * 6 / 8 + 2 * 4 / 5) / 10,
    "mean_iou": (3 / 4 + 3 / 5 + 2 / 3) / 3,
    "cohen_kappa": 1 - 0.2 / (1 - 34 / 100),  # (4·3 + 4·4 + 2·3) / 100
    "matthews_corrcoef": (8 * 10 - 34) / sqrt((100 - 36) * (100 - 34)),
    "penalty_matrix": (1 * 1 + 1 * 3) / 10,
}

# the probability of an event: positives at 0.9 and 0.8, negatives at 0.8, 0.3, 0.1
EVENT = Probabilities(np.array([1, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.8, 0.3, 0.1]))
EVENT_W = np.array([1.0, 2.0, 3.0, 2.0, 2.0])  # Σw = 10, of positives 4
OF_EVENT = {
    "log_loss": -(2 * ln(0.9) + ln(0.2) + ln(0.8) + ln(0.7)) / 5,
    "brier": (0.01 + 0.64 + 0.04 + 0.09 + 0.01) / 5,
    "roc_auc": (3 + 2.5) / 6,
    "average_precision": 0.5 * 1 + 0.5 * 2 / 3,
    "ece": (0.1 + 0.3 + abs(1 - 1.6) + abs(1 - 0.9)) / 5,  # 15 bins: 0.1 | 0.3 | 0.8 0.8 | 0.9
    "capture_curve": 0.25,  # the best 10 % are half of the best row, which holds half the positives
    "capture_auc": 0.2 * 0.25 + 0.4 * 0.75 + 0.4 * 1.0,  # from 0 to ½ at 20 %, to 1 at 60 %
    "accuracy": 4 / 5,  # at 0.5 one 0.8 is a false alarm
    "f1_macro": (2 * 2 / 5 + 2 * 2 / 5) / 2,
    "f1": 2 * 2 / (2 * 2 + 1),
    "iou": 2 / 3,
}
OF_WEIGHTED_EVENT = {
    "log_loss": -(ln(0.9) + 2 * ln(0.2) + 3 * ln(0.8) + 2 * ln(0.7) + 2 * ln(0.9)) / 10,
    "brier": (0.01 + 2 * 0.64 + 3 * 0.04 + 2 * 0.09 + 2 * 0.01) / 10,
    "roc_auc": (1 * 6 + 3 * (4 + 2 / 2)) / (4 * 6),
    "average_precision": 1 / 4 * 1 + 3 / 4 * 4 / 6,
    "ece": (2 * 0.1 + 2 * 0.3 + abs(3 - 5 * 0.8) + abs(1 - 0.9)) / 10,
    "capture_curve": 1 / 4,  # the best 10 % are the best row
    "capture_auc": 0.1 * 0.125 + 0.5 * 0.625 + 0.4 * 1.0,  # to ¼ at 10 %, to 1 at 60 %
    "accuracy": 8 / 10,
    "f1_macro": (2 * 4 / (8 + 2) + 2 * 4 / (8 + 2)) / 2,
    "f1": 2 * 4 / (2 * 4 + 2),
    "iou": 4 / 6,
}

# the probabilities of three classes, one row of each: right, right, wrong
SEVERAL = Probabilities(np.array([0, 1, 2]), np.array([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.7, 0.2, 0.1]]))
SEVERAL_W = np.array([1.0, 2.0, 1.0])
OF_SEVERAL = {
    "log_loss": -(ln(0.5) + ln(0.6) + ln(0.1)) / 3,
    "brier": ((0.25 + 0.09 + 0.04) + (0.04 + 0.16 + 0.04) + (0.49 + 0.04 + 0.81)) / 3,
    "roc_auc": (1 / 2 + 1 + 0) / 3,  # 0.5 is above 0.2 and below 0.7; 0.6 above all; 0.1 below all
    "average_precision": (1 / 2 + 1 + 1 / 3) / 3,
    "ece": (abs(1 - 0.5) + abs(1 - 0.6) + abs(0 - 0.7)) / 3,
    "capture_curve": (0 + 0.3 + 0) / 3,  # the best 10 % are 0.3 rows; only the best row of class 1 is right
    "capture_auc": ((2 / 3 * 1 / 2 + 1 / 6) + (2 / 3 + 1 / 6) + 1 / 6) / 3,  # (1 − π)·AUC + π/2
    "accuracy": 2 / 3,
    "f1_macro": (2 / 3 + 1 + 0) / 3,
    "f1": math.nan,  # of one class only
    "iou": math.nan,
}
OF_WEIGHTED_SEVERAL = {
    "log_loss": -(ln(0.5) + 2 * ln(0.6) + ln(0.1)) / 4,
    "brier": (0.38 + 2 * 0.24 + 1.34) / 4,
    "roc_auc": (2 / 3 + 1 + 0) / 3,
    "average_precision": (1 / 2 + 1 + 1 / 4) / 3,
    "ece": (0.5 + 2 * 0.4 + 0.7) / 4,
    "capture_curve": (0 + 0.4 / 2 + 0) / 3,
    "capture_auc": ((3 / 4 * 2 / 3 + 1 / 8) + (1 / 2 + 1 / 4) + 1 / 8) / 3,
    "accuracy": 3 / 4,
    "f1_macro": (2 / 3 + 1 + 0) / 3,
    "f1": math.nan,
    "iou": math.nan,
}

# an ensemble of two members whose mean is the prediction above; two vectors of two rows
ENSEMBLE = Ensemble(NUMBERS.y, np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 2.0], [6.0, 8.0]]), None, np.array([0, 0, 1, 1]))
LATER = (sqrt(13) + sqrt(17)) / 2 - sqrt(8) / 4  # members (0, 6) and (2, 8) about (3, 4)
OF_MEMBERS = {
    "crps": ((1 - 2 / 4) + 0 + (2 - 2 / 4) + (3 - 2 / 4)) / 4,  # mean |x − y| − |x − x'| / 4
    "spread_skill": sqrt(1.5 * (2 + 0 + 2 + 2) / 4 / (14 / 4)),  # (M + 1)/M = 1.5; variances 2 0 2 2
    "rps": (0.25 + 0 + 1 + 1) / 4,  # share of members below 2.5: ½ 1 1 0, of the truth 1 1 0 0; below 5: 1 1 1 0, 1
    "rpss": 1 - (0.25 + 0 + 1 + 1) / (5 / 9 + 5 / 9 + 2 / 9 + 2 / 9),
    "energy_score": ((1 - 2 / 4) + LATER) / 2,  # members (1, 2) and (3, 2) about (1, 2): distances 0 and 2
}
OF_WEIGHTED_MEMBERS = {
    "crps": (2 * 0.5 + 0 + 1.5 + 4 * 2.5) / 8,
    "spread_skill": sqrt(1.5 * (2 * 2 + 0 + 2 + 4 * 2) / 8 / (42 / 8)),
    "rps": (2 * 0.25 + 0 + 1 + 4 * 1) / 8,
    "rpss": 1 - 5.5 / (2 * 5 / 9 + 5 / 9 + 2 / 9 + 4 * 2 / 9),
    "energy_score": (1.5 * 0.5 + 2.5 * LATER) / 4,  # a vector weighs the mean of its rows: (2 + 1)/2, (1 + 4)/2
}
CUT: Options = {"rps": {"thresholds": [2.5, 5.0]}}

# five targets; the 1st, 3rd and 4th take a point; four points of values 5 1 2 2 in truth
POINTS = Matches(
    rank=np.array([1, 2, 3, 4, 5]),
    hit=np.array([1, 0, 1, 1, 0], dtype=bool),
    n_truth=4.0,
    value=np.array([1.0, 0, 5, 2, 0]),
    distance=np.array([10.0, 0, 20, 60, 0]),
    value_total=10.0,
    reach=Reach(first=np.array([3, 1, 0, 3]), value=np.array([5.0, 1, 2, 2]), targets=5),
)
FIRST: Options = {name: {"k": 3} for name in ("captured_value_at_k", "reach_at_k", "reached_value_at_k")}
OF_POINTS = {
    "hits": 3.0,
    "precision": 3 / 5,
    "recall": 3 / 4,
    "f1": 2 * 3 / (5 + 4),
    "average_precision": (1 / 1 + 2 / 3 + 3 / 4) / 4,
    "captured_value": (1 + 5 + 2) / 10,
    "captured_value_at_k": (1 + 5) / 10,
    "reach_at_k": 3.0,
    "reached_value_at_k": (5 + 1 + 2) / 10,
    "discovery_auc": (1 + 1 + 8 + 8 + 8) / 5 / 10,  # the value in reach after each of the five targets
    "mean_distance": (10 + 20 + 60) / 3,
}
# the same with targets that count 1 2 1 3 1, and points in reach that all count 1
WEIGHTED_POINTS = replace(
    POINTS,
    w=np.array([1.0, 2.0, 1.0, 3.0, 1.0]),
    n_truth=7.0,
    value_total=20.0,
    reach=Reach(first=np.array([3, 1, 0, 3]), value=None, targets=5),
)
OF_WEIGHTED_POINTS = {
    "hits": 1 + 1 + 3.0,
    "precision": 5 / 8,
    "recall": 5 / 7,
    "f1": 2 * 5 / (8 + 7),
    "average_precision": (1 * 1 / 1 + 1 * 2 / 4 + 3 * 5 / 7) / 7,
    "captured_value": (1 * 1 + 1 * 5 + 3 * 2) / 20,
    "captured_value_at_k": (1 * 1 + 1 * 5) / 20,
    "reach_at_k": 3.0,
    "reached_value_at_k": 3 / 4,
    "discovery_auc": (1 + 1 + 3 + 3 + 3) / 5 / 4,
    "mean_distance": (1 * 10 + 1 * 20 + 3 * 60) / 5,
}

# three footprints of IoU 0.96, 0.62, 0.30 with the free truth they overlap most; the second is ranked first
THRESHOLDS = np.array([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
POLYGONS = Matches(
    rank=np.array([2, 1, 3]),
    hit=np.array([0.96, 0.62, 0.30])[:, None] >= THRESHOLDS,
    n_truth=2.0,
    iou=np.array([0.96, 0.62, 0.0]),
)
OF_POLYGONS = {
    "f1_iou50": 2 * 2 / (3 + 2),
    "precision": 2 / 3,
    "recall": 2 / 2,
    "average_precision": (1 / 1 + 2 / 2) / 2,
    "map_iou": (3 * 1 + 7 * (1 / 2) / 2) / 10,  # above 0.62 only the second-ranked hits
    "mean_iou": (0.96 + 0.62) / 2,
}
WEIGHTED_POLYGONS = replace(POLYGONS, w=np.array([1.0, 2.0, 1.0]), n_truth=3.0)
OF_WEIGHTED_POLYGONS = {
    "f1_iou50": 2 * 3 / (4 + 3),
    "precision": 3 / 4,
    "recall": 3 / 3,
    "average_precision": (2 * 2 / 2 + 1 * 3 / 3) / 3,
    "map_iou": (3 * 1 + 7 * (1 / 3) / 3) / 10,
    "mean_iou": (0.96 + 2 * 0.62) / 3,
}

CASES = (
    Case("numbers", False, NUMBERS, ERRORS),
    Case("numbers", True, replace(NUMBERS, w=NUMBERS_W), WEIGHTED_ERRORS),
    Case(
        "numbers", False, NUMBERS,
        {"pinball": (0.1 + 0 + 0.9 * 2 + 0.1 * 3) / 4, "huber": (0.5 + 0 + 2 + 2 * (3 - 1)) / 4}, TILTED,
    ),
    Case("classes", False, CLASSES, RATES, COSTS),
    Case("classes", True, replace(CLASSES, w=CLASSES_W), WEIGHTED_RATES, COSTS),
    Case("probabilities", False, EVENT, OF_EVENT),
    Case("probabilities", True, replace(EVENT, w=EVENT_W), OF_WEIGHTED_EVENT),
    Case("probabilities", False, SEVERAL, OF_SEVERAL),
    Case("probabilities", True, replace(SEVERAL, w=SEVERAL_W), OF_WEIGHTED_SEVERAL),
    Case("ensemble", False, ENSEMBLE, ERRORS | OF_MEMBERS, CUT),
    Case("ensemble", True, replace(ENSEMBLE, w=NUMBERS_W), WEIGHTED_ERRORS | OF_WEIGHTED_MEMBERS, CUT),
    # fair: pairs count |x − x'| / 2, so rows of 1 − 1, 0, 2 − 1, 3 − 1
    Case("ensemble", False, ENSEMBLE, {"crps": (0 + 0 + 1 + 2) / 4}, {"crps": {"estimator": "fair"}}),
    Case("points", False, POINTS, OF_POINTS, FIRST),
    Case("points", True, WEIGHTED_POINTS, OF_WEIGHTED_POINTS, FIRST),
    Case("polygons", False, POLYGONS, OF_POLYGONS),
    Case("polygons", True, WEIGHTED_POLYGONS, OF_WEIGHTED_POLYGONS),
)  # fmt: skip
