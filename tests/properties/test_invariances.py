"""What must not change a score, or change it in a known way: at least one such law for every metric."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from scoring.metrics.registry import METRICS
from scoring.samples import Classes, Ensemble, Matches, Probabilities, Reach
from scoring.state import Options
from tests.properties import making
from tests.properties.making import Key, examples, seeds

Rng = np.random.Generator
Changed = tuple[Any, Options]


@dataclass(frozen=True)
class Law:
    """``change`` gives another sample and its options; ``expect`` what the old value becomes."""

    name: str
    change: Callable[[Any, Rng], Changed]
    expect: Callable[[float], float] = lambda old: old
    only: Callable[[Any], bool] = lambda sample: True


def options(**changes: Mapping[str, Any]) -> Options:
    return {**making.OPTIONS, **changes}


LAWS: dict[Key, list[Law]] = {}


def law(kind: str, names: Iterable[str], *laws: Law) -> None:
    for name in names:
        LAWS.setdefault((kind, name), []).extend(laws)


# numbers ----------------------------------------------------------------------------------------------------------

QUANTITIES = ("rmse", "mae", "bias", "median_ae", "max_error", "pinball")
SQUARES = ("mse", "huber")
FREE = ("r2", "nse", "pearson_r", "spearman_r")
RELATIVE = ("kge", "smape", "mape")
EVEN = ("rmse", "mae", "mse", "median_ae", "max_error", "huber", "smape", "msle", "pearson_r", "spearman_r")


def numbers(change: Callable[[Any], Any], **more: Mapping[str, Any]) -> Callable[[Any, Rng], Changed]:
    """The same done to truth and prediction."""
    return lambda sample, rng: (replace(sample, y=change(sample.y), f=change(sample.f)), options(**more))


def swapped(sample: Any, rng: Rng) -> Changed:
    return replace(sample, y=sample.f, f=sample.y), options(pinball={"q": 0.7})


SHIFT = Law("shift", numbers(lambda v: v + 16))
EIGHT = numbers(lambda v: 8 * v, huber={"delta": 8.0})
law("numbers", (*QUANTITIES, *SQUARES, *FREE), SHIFT)
law("numbers", QUANTITIES, Law("scale", EIGHT, lambda old: 8 * old))
law("numbers", SQUARES, Law("scale", EIGHT, lambda old: 64 * old))
law("numbers", (*FREE, *RELATIVE), Law("scale", EIGHT))
law("numbers", ["msle"], Law("scale 1 + v", numbers(lambda v: 8 * (1 + v) - 1)))
law("numbers", [*EVEN, "pinball"], Law("swap truth and prediction", swapped))
law("numbers", ["bias"], Law("swap truth and prediction", swapped, lambda old: -old))
MIRROR = numbers(lambda v: -v, pinball={"q": 0.7})
law("numbers", [*QUANTITIES, *SQUARES, *FREE, *RELATIVE], Law("mirror", MIRROR))
LAWS["numbers", "bias"][-1] = Law("mirror", MIRROR, lambda old: -old)
law("numbers", ["pearson_r", "spearman_r"], Law("affine", lambda s, rng: (replace(s, f=0.25 * s.f - 9), options())))
law("numbers", ["spearman_r"], Law("rising", lambda s, rng: (replace(s, y=np.exp(s.y), f=s.f**3), options())))

# classes ----------------------------------------------------------------------------------------------------------

RATES = [name for kind, name in METRICS if kind == "classes" and name != "penalty_matrix"]
EITHER_WAY = ("accuracy", "f1_micro", "f1_macro", "mean_iou", "cohen_kappa", "matthews_corrcoef")
COSTS = np.array(making.OPTIONS["penalty_matrix"]["matrix"])


def renamed(sample: Classes, rng: Rng) -> Changed:
    names = rng.permutation(4)
    costs = np.empty_like(COSTS)
    costs[np.ix_(names, names)] = COSTS
    return replace(sample, y=names[sample.y], f=names[sample.f]), options(penalty_matrix={"matrix": costs.tolist()})


def transposed(sample: Classes, rng: Rng) -> Changed:
    return replace(sample, y=sample.f, f=sample.y), options(penalty_matrix={"matrix": COSTS.T.tolist()})


def another_prevalence(sample: Classes, rng: Rng) -> Changed:
    w = np.ones(len(sample.y)) if sample.w is None else sample.w
    return replace(sample, w=w * (1.0 + sample.y)), options()


law("classes", [*RATES, "penalty_matrix"], Law("rename", renamed))
law("classes", [*EITHER_WAY, "penalty_matrix"], Law("swap truth and prediction", transposed))
law("classes", ["balanced_accuracy"], Law("prevalence", another_prevalence))
law("classes", ["penalty_matrix"], Law(
    "affine in the matrix", lambda s, rng: (s, options(penalty_matrix={"matrix": (3 * COSTS + 2).tolist()})),
    lambda old: 3 * old + 2,
))  # fmt: skip

# probabilities ----------------------------------------------------------------------------------------------------

RANKED = ("roc_auc", "average_precision", "capture_curve", "capture_auc")
LIKELY = ("log_loss", "brier")
DECIDED = ("accuracy", "f1_macro", "f1", "iou")


def is_binary(sample: Probabilities) -> bool:
    return sample.p.ndim == 1


def several(sample: Probabilities) -> bool:
    return sample.p.ndim == 2


def complement(sample: Probabilities, rng: Rng) -> Changed:
    return replace(sample, y=1 - sample.y, p=1 - sample.p), options()


def shuffled_classes(sample: Probabilities, rng: Rng) -> Changed:
    order = rng.permutation(4)
    return replace(sample, y=np.argsort(order)[sample.y], p=sample.p[:, order]), options()


def apart(sample: Probabilities) -> bool:
    """No p lies where one side is decided for and the other not."""
    return is_binary(sample) and not (sample.p == 0.5).any()


def bolder(sample: Probabilities, rng: Rng) -> Changed:
    """Other probabilities on the same side of a half."""
    return replace(sample, p=np.where(sample.p >= 0.5, 1 - (1 - sample.p) / 2, sample.p / 2)), options()


def moved_threshold(sample: Probabilities, rng: Rng) -> Changed:
    return replace(sample, p=sample.p / 2), options(**{name: {"threshold": 0.25} for name in DECIDED})


law("probabilities", RANKED, Law("rising", lambda s, rng: (replace(s, p=np.expm1(3 * s.p) - 7), options())))
law("probabilities", ["roc_auc"], Law(
    "backwards", lambda s, rng: (replace(s, p=-s.p), options()), lambda old: 1 - old,
))  # fmt: skip
law("probabilities", [*LIKELY, "roc_auc"], Law("complement", complement, only=is_binary))
law("probabilities", ["accuracy", "f1_macro"], Law("complement", complement, only=apart))
law("probabilities", [*LIKELY, *RANKED, "ece", "accuracy", "f1_macro"], Law("rename", shuffled_classes, only=several))
law(
    "probabilities",
    DECIDED,
    Law("same side", bolder, only=is_binary),
    Law("threshold", moved_threshold, only=is_binary),
)

# ensembles --------------------------------------------------------------------------------------------------------

OF_MEMBERS = ("crps", "rps", "rpss", "energy_score")
OF_MEAN = [name for kind, name in METRICS if kind == "ensemble" and ("numbers", name) in METRICS]


def members(change: Callable[[Any], Any]) -> Callable[[Any, Rng], Changed]:
    """The same done to truth, members and thresholds."""

    def changed(sample: Ensemble, rng: Rng) -> Changed:
        thresholds = change(np.array(making.OPTIONS["rpss"]["thresholds"])).tolist()
        return replace(sample, y=change(sample.y), x=change(sample.x)), options(rpss={"thresholds": thresholds})

    return changed


def reordered(sample: Ensemble, rng: Rng) -> Changed:
    return replace(sample, x=sample.x[:, rng.permutation(sample.x.shape[1])]), options()


def doubled(sample: Ensemble, rng: Rng) -> Changed:
    return replace(sample, x=np.concatenate([sample.x, sample.x], axis=1)), options()


law("ensemble", (*OF_MEMBERS, "spread_skill", *OF_MEAN), Law("order of members", reordered))
law("ensemble", [*OF_MEMBERS, *OF_MEAN], Law("every member twice", doubled))
law("ensemble", [*OF_MEMBERS, "spread_skill"], Law("shift", members(lambda v: v + 16)))
law("ensemble", ["crps", "energy_score"], Law("scale", members(lambda v: 8 * v), lambda old: 8 * old))
law("ensemble", ["rps", "rpss", "spread_skill"], Law("scale", members(lambda v: 8 * v)))
law("ensemble", ["rps", "rpss"], Law("rising", members(np.exp)))
law("ensemble", ["energy_score"], Law("order of a vector", lambda s, rng: (
    replace(s, y=s.y.reshape(-1, 2)[:, ::-1].ravel(), x=s.x.reshape(-1, 2, 5)[:, ::-1].reshape(-1, 5)), options(),
)))  # fmt: skip

# points and polygons ----------------------------------------------------------------------------------------------

COUNTED = ("precision", "recall", "average_precision")
OF_POINTS = [name for kind, name in METRICS if kind == "points"]
OF_POLYGONS = [name for kind, name in METRICS if kind == "polygons"]
VALUED = ("captured_value", "captured_value_at_k", "reached_value_at_k", "discovery_auc")


def dearer(sample: Matches, rng: Rng) -> Changed:
    reach = sample.reach and replace(sample.reach, value=8 * sample.reach.value)
    return replace(sample, value=8 * sample.value, value_total=8 * sample.value_total, reach=reach), options()


def farther(sample: Matches, rng: Rng) -> Changed:
    return replace(sample, distance=8 * sample.distance), options()


def one_more_miss(sample: Matches, rng: Rng) -> Changed:
    """One more candidate at the very end, which hits nothing."""
    last = {name: np.append(getattr(sample, name), 0.0) for name in ("value", "distance", "iou")}
    hit = np.concatenate([sample.hit, np.zeros((1, sample.hit.shape[1]), dtype=bool)])
    w = None if sample.w is None else np.append(sample.w, 1.0)
    return replace(sample, rank=np.append(sample.rank, len(sample.rank) + 1), hit=hit, w=w, **last), options()


def later_ranks(sample: Matches, rng: Rng) -> Changed:
    """Ranks twice as far apart; only their order counts."""
    return replace(sample, rank=2 * sample.rank), options(captured_value_at_k={"k": 24})


def twice_as_many(sample: Matches, rng: Rng) -> Changed:
    """Every target given twice in a row: what is in reach after rank r is so after 2·r."""
    reach = sample.reach or Reach(np.zeros(0), None, 0)
    first = np.where(reach.first > 0, 2 * reach.first, 0)
    later = {name: {"k": 24} for name in ("reach_at_k", "reached_value_at_k")}
    return replace(sample, reach=replace(reach, first=first, targets=2 * reach.targets)), options(**later)


law("points", VALUED, Law("unit of value", dearer))
law("points", OF_POINTS, Law("order only", later_ranks))
law("points", ["mean_distance"], Law("unit of length", farther, lambda old: 8 * old))
law("points", [name for name in OF_POINTS if name != "mean_distance"], Law("unit of length", farther))
for _kind, _names in (("points", OF_POINTS), ("polygons", OF_POLYGONS)):
    law(_kind, [n for n in _names if n not in {"precision", "f1", "f1_iou50"}], Law("one more miss", one_more_miss))
law("points", ["reach_at_k", "reached_value_at_k"], Law("twice as many targets", twice_as_many))
law("polygons", OF_POLYGONS, Law("order only", later_ranks))

CASES = [(key, each) for key, laws in LAWS.items() for each in laws]


def test_every_metric_has_a_law() -> None:
    assert set(LAWS) == set(METRICS)


@pytest.mark.parametrize(("key", "each"), CASES, ids=[f"{key[0]}-{key[1]}-{each.name}" for key, each in CASES])
@examples
@given(seed=seeds)
def test_a_change_that_leaves_the_score(key: Key, each: Law, seed: int) -> None:
    metric = METRICS[key]
    for sample in making.samples(key, seed):
        if each.only(sample):
            changed, given_options = each.change(sample, np.random.default_rng(seed + 1))
            found = metric.finish(metric.family.partial(changed, given_options), given_options)
            wanted = each.expect(making.score(metric, sample))
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True)


# one metric as another --------------------------------------------------------------------------------------------


def of(key: Key, sample: Any, **given_options: Mapping[str, Any]) -> float:
    chosen = options(**given_options)
    return METRICS[key].finish(METRICS[key].family.partial(sample, chosen), chosen)


def close(found: float, wanted: float) -> bool:
    return (math.isnan(found) and math.isnan(wanted)) or math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-12)


@examples
@given(seed=seeds)
def test_numbers_by_way_of_other_metrics(seed: int) -> None:
    for sample in making.samples(("numbers", "rmse"), seed):
        score = {name: of(("numbers", name), sample) for kind, name in METRICS if kind == "numbers"}
        assert close(score["rmse"] ** 2, score["mse"])
        assert close(score["nse"], score["r2"])
        assert close(2 * of(("numbers", "pinball"), sample, pinball={"q": 0.5}), score["mae"])
        assert close(2 * of(("numbers", "huber"), sample, huber={"delta": 1e6}), score["mse"])
        assert abs(score["bias"]) <= score["mae"] + 1e-12
        assert score["mae"] <= score["rmse"] + 1e-12 <= score["max_error"] + 2e-12


@examples
@given(seed=seeds)
def test_one_member_is_a_prediction(seed: int) -> None:
    """One member: the crps is the mean absolute error, and the mean of the members is the member."""
    for sample in making.samples(("numbers", "mae"), seed):
        single = Ensemble(sample.y, sample.f[:, None], sample.w)
        for name in OF_MEAN:
            assert close(of(("ensemble", name), single), of(("numbers", name), sample))
        for name in ("crps", "energy_score"):
            assert close(of(("ensemble", name), single), of(("numbers", "mae"), sample))


@examples
@given(seed=seeds)
def test_vectors_of_one_value_are_values(seed: int) -> None:
    for sample in making.samples(("ensemble", "crps"), seed):
        assert close(of(("ensemble", "energy_score"), replace(sample, group=None)), of(("ensemble", "crps"), sample))


@examples
@given(seed=seeds)
def test_a_sure_forecast_is_a_class(seed: int) -> None:
    """Probabilities of 0 and 1: decisions are the classes, the Brier score counts the wrong ones twice."""
    for sample in making.samples(("classes", "accuracy"), seed):
        sure = Probabilities(sample.y, np.eye(4)[sample.f], sample.w)
        wrong = 1 - of(("classes", "accuracy"), sample)
        costs = {"matrix": (1 - np.eye(4)).tolist()}
        for name in ("accuracy", "f1_macro"):
            assert close(of(("probabilities", name), sure), of(("classes", name), sample))
        assert close(of(("probabilities", "brier"), sure), 2 * wrong)
        assert close(of(("probabilities", "ece"), sure), wrong)
        assert close(of(("classes", "penalty_matrix"), sample, penalty_matrix=costs), wrong)
        assert close(of(("classes", "f1_micro"), sample), 1 - wrong)


@examples
@given(seed=seeds)
def test_f1_is_between_precision_and_recall(seed: int) -> None:
    for kind, name in (("points", "f1"), ("polygons", "f1_iou50")):
        for sample in making.samples((kind, name), seed):
            precision, recall = of((kind, "precision"), sample), of((kind, "recall"), sample)
            harmonic = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
            assert close(of((kind, name), sample), harmonic)
    for sample in filter(is_binary, making.samples(("probabilities", "f1"), seed)):
        iou = of(("probabilities", "iou"), sample)
        assert close(of(("probabilities", "f1"), sample), 2 * iou / (1 + iou))


@examples
@given(seed=seeds)
def test_the_area_under_the_capture_curve_follows_from_roc_auc(seed: int) -> None:
    for sample in filter(is_binary, making.samples(("probabilities", "roc_auc"), seed)):
        share = float(np.average(sample.y, weights=sample.w))
        auc = of(("probabilities", "roc_auc"), sample)
        assert close(of(("probabilities", "capture_auc"), sample), (1 - share) * auc + share / 2)


@examples
@given(seed=seeds)
def test_the_value_of_all_in_reach_is_the_value_of_any_rank(seed: int) -> None:
    for sample in making.samples(("points", "discovery_auc"), seed):
        n = len(sample.rank)
        shares = [of(("points", "reached_value_at_k"), sample, reached_value_at_k={"k": k}) for k in range(1, n + 1)]
        assert close(of(("points", "discovery_auc"), sample), float(np.mean(shares)))
        assert shares == sorted(shares)
        whole = of(("points", "captured_value_at_k"), sample, captured_value_at_k={"k": n})
        assert close(whole, of(("points", "captured_value"), sample))
