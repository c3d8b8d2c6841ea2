"""Every metric beside somebody else's: scikit-learn, scipy, scores, properscoring, or the formula written out anew.

xskillscore and pycocotools are no dependencies; what they gave is written down in ``tests.golden.test_recorded``.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import properscoring
import pytest
import scores.continuous
import scores.probability
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from scoring.metrics.registry import METRICS
from scoring.samples import Ensemble, Matches, Numbers, Probabilities
from tests.properties.making import OPTIONS, VECTOR, Key, samples, score, seeds

Peer = Callable[[Any], float]
UNDEFINED = math.nan


def w_of(sample: Any) -> np.ndarray:
    return np.ones(len(sample.y)) if sample.w is None else sample.w


def mean(values: Any, sample: Any) -> float:
    return float(np.average(values, weights=sample.w))


def learn(function: Any, **more: Any) -> Peer:
    """scikit-learn of truth and prediction."""
    return lambda s: float(function(s.y, s.f, sample_weight=s.w, **more))


def arrays(s: Any) -> tuple[xr.DataArray, xr.DataArray]:
    """Forecast and observation as scores takes them."""
    return xr.DataArray(s.f, dims="i"), xr.DataArray(s.y, dims="i")


def weighted_array(s: Any) -> xr.DataArray | None:
    return None if s.w is None else xr.DataArray(s.w, dims="i")


def biased(s: Numbers) -> float:
    return float(scores.continuous.additive_bias(*arrays(s), weights=weighted_array(s)))


def pearson(s: Numbers) -> float:
    if s.w is None:
        return float(stats.pearsonr(s.y, s.f).statistic)
    covariance = np.cov(s.y, s.f, aweights=s.w, ddof=0)
    return float(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))


def ranks(values: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Mid-ranks: the weight below, and half the weight of equals."""
    return np.array([w[values < v].sum() + w[values == v].sum() / 2 for v in values])


def spearman(s: Numbers) -> float:
    if s.w is None:
        return float(stats.spearmanr(s.y, s.f).statistic)
    return pearson(Numbers(ranks(s.y, s.w), ranks(s.f, s.w), s.w))


def kge(s: Numbers) -> float:
    if s.w is None:
        return float(scores.continuous.kge(*arrays(s)))
    my, mf = mean(s.y, s), mean(s.f, s)
    alpha = math.sqrt(mean((s.f - mf) ** 2, s) / mean((s.y - my) ** 2, s))
    return 1 - math.sqrt((pearson(s) - 1) ** 2 + (alpha - 1) ** 2 + (mf / my - 1) ** 2)


def nse(s: Numbers) -> float:
    if s.w is None:
        return float(scores.continuous.nse(*arrays(s)))
    return 1 - mean((s.y - s.f) ** 2, s) / mean((s.y - mean(s.y, s)) ** 2, s)


def largest_error(s: Numbers) -> float:
    kept = w_of(s) > 0
    return float(sk.max_error(s.y[kept], s.f[kept]))


def symmetric(s: Numbers) -> float:
    return mean(
        [0.0 if y == f == 0 else 200 * abs(y - f) / (abs(y) + abs(f)) for y, f in zip(s.y, s.f, strict=True)], s
    )


def huber(s: Numbers) -> float:
    e = np.abs(s.f - s.y)
    return mean([x * x / 2 if x <= 1 else x - 0.5 for x in e], s)


OF_NUMBERS: dict[str, Peer] = {
    "rmse": learn(sk.root_mean_squared_error),
    "mae": learn(sk.mean_absolute_error),
    "mse": learn(sk.mean_squared_error),
    "bias": biased,
    "r2": learn(sk.r2_score),
    "nse": nse,
    "pearson_r": pearson,
    "spearman_r": spearman,
    "kge": kge,
    "smape": symmetric,
    "mape": learn(sk.mean_absolute_percentage_error),
    "median_ae": learn(sk.median_absolute_error),
    "max_error": largest_error,
    "msle": learn(sk.mean_squared_log_error),
    "pinball": learn(sk.mean_pinball_loss, alpha=OPTIONS["pinball"]["q"]),
    "huber": huber,
}

COSTS = np.array(OPTIONS["penalty_matrix"]["matrix"])
OF_CLASSES: dict[str, Peer] = {
    "accuracy": learn(sk.accuracy_score),
    "balanced_accuracy": lambda s: float(
        sk.recall_score(s.y, s.f, labels=true_codes(s), average="macro", sample_weight=s.w)
    ),
    "f1_micro": learn(sk.f1_score, average="micro"),
    "f1_macro": lambda s: float(sk.f1_score(s.y, s.f, labels=all_codes(s), average="macro", sample_weight=s.w)),
    "f1_weighted": learn(sk.f1_score, average="weighted", zero_division=0),
    "cohen_kappa": lambda s: float(sk.cohen_kappa_score(s.y, s.f, labels=range(4), sample_weight=s.w)),
    "matthews_corrcoef": learn(sk.matthews_corrcoef),
    "mean_iou": lambda s: float(sk.jaccard_score(s.y, s.f, labels=all_codes(s), average="macro", sample_weight=s.w)),
    "penalty_matrix": lambda s: mean([COSTS[y][f] for y, f in zip(s.y, s.f, strict=True)], s),
}


def true_codes(s: Any) -> np.ndarray:
    return np.unique(s.y[w_of(s) > 0])


def all_codes(s: Any) -> np.ndarray:
    """Of the rows that count; scikit-learn takes those of weight 0 along."""
    return np.union1d(true_codes(s), np.unique(s.f[w_of(s) > 0]))


# probabilities ----------------------------------------------------------------------------------------------------


def each_class(s: Probabilities) -> list[tuple[np.ndarray, np.ndarray]]:
    """Events and their scores, of every class that has both positives and negatives."""
    columns = s.p.reshape(len(s.p), -1).T
    own = [((s.y == k).astype(int), p) for k, p in enumerate(columns)] if len(columns) > 1 else [(s.y, columns[0])]
    return [(y, p) for y, p in own if 0 < (w_of(s) * y).sum() < w_of(s).sum()]


def one_by_one(function: Any) -> Peer:
    return lambda s: average([function(y, p, sample_weight=s.w) for y, p in each_class(s)])


def average(values: list[float]) -> float:
    return float(np.mean(values)) if values else UNDEFINED


def captured(y: np.ndarray, p: np.ndarray, w: np.ndarray, share: float) -> float:
    """Fill ``share`` of the area from the best score down; of equal scores each row gives the same part of itself."""
    room, got = share * w.sum(), 0.0
    for level in np.unique(p)[::-1]:
        here = p == level
        part = min(1.0, room / w[here].sum()) if w[here].sum() else 0.0
        got += part * (w * y)[here].sum()
        room -= part * w[here].sum()
    return got / (w * y).sum()


def capture_curve(s: Probabilities) -> float:
    share = OPTIONS["capture_curve"]["area"] / 100
    return average([captured(y, p, w_of(s), share) for y, p in each_class(s)])


def capture_auc(s: Probabilities) -> float:
    """A line between the corners: the trapezoids under the curve read at every distinct score."""
    found = []
    for y, p in each_class(s):
        w = w_of(s)
        at = [0.0, *(w[p >= level].sum() / w.sum() for level in np.unique(p)[::-1])]
        found.append(np.trapezoid([captured(y, p, w, share) for share in at], at))
    return average(found)


def codes_of(s: Probabilities) -> range:
    return range(2 if s.p.ndim == 1 else s.p.shape[1])


def decided(s: Probabilities) -> np.ndarray:
    return (s.p >= 0.5).astype(int) if s.p.ndim == 1 else s.p.argmax(axis=1)


def calibration(s: Probabilities) -> float:
    """Fifteen bins (a, b], 0 in the first: their edges as numbers, not by multiplying."""
    sure, right = (s.p, s.y) if s.p.ndim == 1 else (s.p.max(axis=1), (s.p.argmax(axis=1) == s.y).astype(float))
    off = 0.0
    for k, (low, high) in enumerate(itertools.pairwise(np.arange(16) / 15)):
        here = ((sure > low) | (k == 0)) & (sure <= high)
        off += abs((w_of(s) * (right - sure))[here].sum())
    return float(off / w_of(s).sum())


def binary_only(function: Any) -> Peer:
    return lambda s: float(function(s.y, decided(s), sample_weight=s.w)) if s.p.ndim == 1 else UNDEFINED


OF_PROBABILITIES: dict[str, Peer] = {
    "log_loss": lambda s: float(sk.log_loss(s.y, y_proba=s.p, labels=codes_of(s), sample_weight=s.w)),
    "brier": lambda s: float(sk.brier_score_loss(s.y, s.p, labels=codes_of(s), sample_weight=s.w)),
    "roc_auc": one_by_one(sk.roc_auc_score),
    "average_precision": one_by_one(sk.average_precision_score),
    "ece": calibration,
    "accuracy": lambda s: float(sk.accuracy_score(s.y, decided(s), sample_weight=s.w)),
    "f1_macro": lambda s: float(
        sk.f1_score(
            s.y, decided(s), average="macro", sample_weight=s.w,
            labels=np.union1d(true_codes(s), np.unique(decided(s)[w_of(s) > 0])),
        )
    ),
    "f1": binary_only(sk.f1_score),
    "iou": binary_only(sk.jaccard_score),
    "capture_curve": capture_curve,
    "capture_auc": capture_auc,
}  # fmt: skip


# ensembles --------------------------------------------------------------------------------------------------------

EDGES = OPTIONS["rpss"]["thresholds"]


def crps(s: Ensemble) -> float:
    return mean(properscoring.crps_ensemble(s.y, s.x), s)


def ranked(y: float, shares: list[float]) -> float:
    return sum((share - (y < edge)) ** 2 for share, edge in zip(shares, EDGES, strict=True))


def rps(s: Ensemble) -> float:
    return mean([ranked(y, [float(np.mean(x < edge)) for edge in EDGES]) for y, x in zip(s.y, s.x, strict=True)], s)


def rpss(s: Ensemble) -> float:
    return 1 - rps(s) / mean([ranked(y, [1 / 3, 2 / 3]) for y in s.y], s)


def spread_skill(s: Ensemble) -> float:
    members = s.x.shape[1]
    spread = (members + 1) / members * mean(np.var(s.x, axis=1, ddof=1), s)
    return math.sqrt(spread / mean((s.x.mean(axis=1) - s.y) ** 2, s))


def energy(s: Ensemble) -> float:
    """Vector by vector, pair by pair."""
    found, weights = [], []
    for at in range(0, len(s.y), VECTOR):
        y, x = s.y[at : at + VECTOR], s.x[at : at + VECTOR].T
        away = sum(math.dist(member, y) for member in x) / len(x)
        pairs = sum(math.dist(a, b) for a in x for b in x) / (2 * len(x) ** 2)
        found.append(away - pairs)
        weights.append(w_of(s)[at])
    return float(np.average(found, weights=weights))


def on_mean(peer: Peer) -> Peer:
    return lambda s: peer(Numbers(s.y, s.x.mean(axis=1), s.w))


OF_ENSEMBLES: dict[str, Peer] = {
    "crps": crps, "rps": rps, "rpss": rpss, "spread_skill": spread_skill, "energy_score": energy,
    **{name: on_mean(peer) for name, peer in OF_NUMBERS.items()},
}  # fmt: skip


# points and polygons: the formulas over rows ----------------------------------------------------------------


def rows(s: Matches) -> list[tuple[int, float, bool]]:
    """Row, weight and whether it hits."""
    w = np.ones(len(s.rank)) if s.w is None else s.w
    return [(i, float(w[i]), bool(s.hit[i, 0])) for i in range(len(s.rank))]


def hits(s: Matches) -> float:
    return sum(w for _, w, hit in rows(s) if hit)


def candidates(s: Matches) -> float:
    return sum(w for _, w, _ in rows(s))


def average_precision(s: Matches, threshold: int = 0) -> float:
    """scikit-learn's over all candidates, times the share of the truth that was found at all."""
    hit, w = s.hit[:, threshold], np.ones(len(s.rank)) if s.w is None else s.w
    found = w[hit].sum()
    return float(sk.average_precision_score(hit, -s.rank, sample_weight=w) * found / s.n_truth) if found else 0.0


def taken(s: Matches, k: float = math.inf) -> float:
    return sum(w * s.value[i] for i, w, hit in rows(s) if hit and s.rank[i] <= k) / s.value_total  # type: ignore[index]


def over_hits(s: Matches, column: Any) -> float:
    return sum(w * column[i] for i, w, hit in rows(s) if hit) / hits(s) if hits(s) else UNDEFINED


def reached(s: Matches, k: float) -> list[float]:
    return [v for first, v in zip(s.reach.first, s.reach.value, strict=True) if 0 < first <= k]  # type: ignore[union-attr, arg-type]


def share_reached(s: Matches, k: float) -> float:
    return sum(reached(s, k)) / sum(s.reach.value)  # type: ignore[union-attr, arg-type]


OF_POINTS: dict[str, Peer] = {
    "hits": hits,
    "precision": lambda s: hits(s) / candidates(s),
    "recall": lambda s: hits(s) / s.n_truth,
    "f1": lambda s: 2 * hits(s) / (candidates(s) + s.n_truth),
    "average_precision": average_precision,
    "captured_value": taken,
    "captured_value_at_k": lambda s: taken(s, 12),
    "reach_at_k": lambda s: float(len(reached(s, 12))),
    "reached_value_at_k": lambda s: share_reached(s, 12),
    "discovery_auc": lambda s: sum(share_reached(s, 1 + k) for k in range(s.reach.targets)) / s.reach.targets,
    "mean_distance": lambda s: over_hits(s, s.distance),
}
OF_POLYGONS: dict[str, Peer] = {
    "f1_iou50": OF_POINTS["f1"],
    "precision": OF_POINTS["precision"],
    "recall": OF_POINTS["recall"],
    "average_precision": average_precision,
    "map_iou": lambda s: sum(average_precision(s, t) for t in range(10)) / 10,
    "mean_iou": lambda s: over_hits(s, s.iou) if hits(s) else 0.0,
}
OWN = {
    "numbers": OF_NUMBERS, "classes": OF_CLASSES, "probabilities": OF_PROBABILITIES,
    "ensemble": OF_ENSEMBLES, "points": OF_POINTS, "polygons": OF_POLYGONS,
}  # fmt: skip
PEERS: dict[Key, Peer] = {(kind, name): peer for kind, peers in OWN.items() for name, peer in peers.items()}


def test_every_metric_has_a_peer() -> None:
    assert set(PEERS) == set(METRICS)


@pytest.mark.parametrize("key", sorted(PEERS), ids="-".join)
@settings(max_examples=4)
@given(seed=seeds, n=st.sampled_from([12, 40]))
def test_agrees_with_its_peer(key: Key, seed: int, n: int) -> None:
    metric, peer = METRICS[key], PEERS[key]
    for sample in samples(key, seed, n):
        assert score(metric, sample) == pytest.approx(peer(sample), rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=4)
@given(seed=seeds)
def test_the_fair_crps_is_that_of_scores(seed: int) -> None:
    for sample in samples(("ensemble", "crps"), seed):
        pair = xr.DataArray(sample.x, dims=("i", "m")), xr.DataArray(sample.y, dims="i")
        wanted = float(scores.probability.crps_for_ensemble(*pair, "m", method="fair", weights=weighted_array(sample)))
        metric, chosen = METRICS["ensemble", "crps"], {"crps": {"estimator": "fair"}}
        found = metric.finish(metric.family.partial(sample, chosen), chosen)
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12)
