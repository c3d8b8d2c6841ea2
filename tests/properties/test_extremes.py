"""The best and the worst entry there is, for every metric."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from scoring.metrics.registry import METRICS
from scoring.samples import Classes, Ensemble, Matches, Numbers, Probabilities, Reach
from tests.properties.making import KEYS, Key, every_metric, score

Y = np.array([6.0, 4.5, 7.25, 5.0, 6.5, 8.0])
CODES = np.array([0, 1, 2, 3, 2, 1])
EVENT = np.array([1, 0, 0, 1, 0, 0])
NAMES = {kind: [name for other, name in KEYS if other == kind] for kind, _ in KEYS}
TEN = 10  # matched features, all of value 1


def matches(*, hit: bool, distance: float = 0.0) -> Matches:
    """Ten candidates that take ten true features of value 1 at their first rank, or none of them."""
    some = np.full(TEN, float(hit))
    reach = Reach(np.full(TEN, int(hit)), np.ones(TEN), TEN)
    hits = np.full((TEN, 10), hit)
    return Matches(np.arange(1, TEN + 1), hits, TEN, some, distance * some, some, None, TEN, reach)


def off(kind: str, size: float) -> Any:
    """A prediction that is ``size`` too high everywhere; an ensemble whose members all are."""
    return Numbers(Y, Y + size) if kind == "numbers" else Ensemble(Y, np.repeat((Y + size)[:, None], 5, axis=1))


# samples with the value that the perfect prediction has; 1 where higher is better, else 0, unless it is said here ----

PERFECT: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "numbers": (off("numbers", 0.0),),
        "classes": (Classes(CODES, CODES, None, 4),),
        "probabilities": (Probabilities(EVENT, EVENT.astype(float)), Probabilities(CODES, np.eye(4)[CODES])),
        "ensemble": (off("ensemble", 0.0),),
        "points": (matches(hit=True),),
        "polygons": (matches(hit=True),),
    }
)
SHARES = np.bincount(CODES) / len(CODES)
BEST: Mapping[Key, tuple[float, ...]] = MappingProxyType(
    {
        # all positives first: a line to 1 at their share of the area; the option asks for the best 30 %
        ("probabilities", "capture_curve"): (0.3 / (1 / 3), float(np.minimum(1, 0.3 / SHARES).mean())),
        ("probabilities", "capture_auc"): (1 - (1 / 3) / 2, float((1 - SHARES / 2).mean())),
        ("probabilities", "f1"): (1.0, math.nan),  # of one class only
        ("probabilities", "iou"): (1.0, math.nan),
        ("ensemble", "spread_skill"): (math.nan,),  # a mean without error has no ratio
        ("points", "hits"): (10.0,),
        ("points", "reach_at_k"): (10.0,),
    }
)


@every_metric
def test_a_perfect_entry_has_the_best_score(key: Key) -> None:
    usual = 1.0 if METRICS[key].card.direction == "higher" else 0.0
    for number, sample in enumerate(PERFECT[key[0]]):
        wanted = BEST[key][number] if key in BEST else usual
        assert score(METRICS[key], sample) == pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True)


# the worst: without limit, or a sample with its value ----------------------------------------------------------------

ERRORS = (
    "rmse",
    "mae",
    "mse",
    "bias",
    "median_ae",
    "max_error",
    "mape",
    "msle",
    "pinball",
    "huber",
    "r2",
    "nse",
    "kge",
)
ENDLESS = [(kind, name) for kind in ("numbers", "ensemble") for name in ERRORS]
ENDLESS += [("ensemble", "crps"), ("ensemble", "energy_score")]
CLIP = -math.log(np.finfo(float).eps)


def negative(kind: str) -> Any:
    return Numbers(Y, -Y) if kind == "numbers" else Ensemble(Y, -np.repeat(Y[:, None], 5, axis=1))


WRONG = Classes(CODES, (CODES + 1) % 4, None, 4)
OPPOSITE = Classes(np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]), None, 2)
CONTRARY = Probabilities(EVENT, 1.0 - EVENT)
SUREST = Probabilities(EVENT, np.eye(2)[1 - EVENT])  # two columns: of several classes
LAST = Probabilities(EVENT, np.array([0.2, 0.3, 0.4, 0.1, 0.5, 0.6]))  # every positive behind every negative
LOWEST = Ensemble(np.full(3, 5.0), np.full((3, 5), 7.0))  # truth below both edges, members above
WORST: dict[Key, list[tuple[Any, float]]] = {
    **{(kind, "pearson_r"): [(negative(kind), -1.0)] for kind in ("numbers", "ensemble")},
    **{(kind, "spearman_r"): [(negative(kind), -1.0)] for kind in ("numbers", "ensemble")},
    **{(kind, "smape"): [(negative(kind), 200.0)] for kind in ("numbers", "ensemble")},
    **{("classes", name): [(WRONG, 0.0)] for name in NAMES["classes"]},
    ("classes", "cohen_kappa"): [(OPPOSITE, -1.0)],
    ("classes", "matthews_corrcoef"): [(OPPOSITE, -1.0)],
    ("classes", "penalty_matrix"): [(Classes(np.full(3, 2), np.ones(3, dtype=int), None, 4), 4.0)],
    **{("probabilities", name): [(CONTRARY, 0.0)] for name in ("f1", "iou")},
    **{("probabilities", name): [(CONTRARY, 0.0), (SUREST, 0.0)] for name in ("accuracy", "f1_macro")},
    ("probabilities", "log_loss"): [(CONTRARY, CLIP), (SUREST, CLIP)],
    ("probabilities", "brier"): [(CONTRARY, 1.0), (SUREST, 2.0)],
    ("probabilities", "ece"): [(CONTRARY, 1.0), (SUREST, 1.0)],
    ("probabilities", "roc_auc"): [(CONTRARY, 0.0), (SUREST, 0.0), (LAST, 0.0)],
    ("probabilities", "capture_curve"): [(CONTRARY, 0.0), (LAST, 0.0)],
    ("probabilities", "capture_auc"): [(LAST, (1 / 3) / 2)],  # from 0 at 2/3 of the area to 1
    ("probabilities", "average_precision"): [(LAST, (1 / 5 + 2 / 6) / 2)],
    ("ensemble", "rps"): [(LOWEST, 2.0)],
    ("ensemble", "rpss"): [(LOWEST, 1 - 2 / (4 / 9 + 1 / 9))],
    ("ensemble", "spread_skill"): [(off("ensemble", 1.0), 0.0)],
    **{("points", name): [(matches(hit=False), 0.0)] for name in NAMES["points"]},
    ("points", "mean_distance"): [(matches(hit=True, distance=50.0), 50.0)],
    **{("polygons", name): [(matches(hit=False), 0.0)] for name in NAMES["polygons"]},
}


def test_every_metric_has_a_worst_case() -> None:
    assert WORST.keys() | set(ENDLESS) == set(METRICS)
    assert not WORST.keys() & set(ENDLESS)


@pytest.mark.parametrize("key", sorted(WORST), ids="-".join)
def test_the_worst_entry_has_the_worst_score(key: Key) -> None:
    for sample, wanted in WORST[key]:
        assert score(METRICS[key], sample) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("key", ENDLESS, ids="-".join)
def test_there_is_no_worst_error(key: Key) -> None:
    found = [score(METRICS[key], off(key[0], 10.0**power)) for power in range(0, 13, 3)]
    assert all(math.isfinite(each) for each in found)
    assert found == sorted(found, reverse=METRICS[key].card.direction == "higher")
    assert len(set(found)) == len(found)
    assert max(map(abs, found)) > 100
