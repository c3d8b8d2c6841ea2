"""Every metric with its family: ``METRICS[sample type, name]``, keyed like the cards of ``scoring.rules``.

Metrics with the same ``family.name`` share one state, so a challenge computes each family once per block:
``families(sample, names)`` gives them.
"""

# ruff: noqa: ARG001 - families and finishes share one signature, whether or not they have options

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scoring.metrics import confusion, ensembles, errors, likelihood, matching, moments, ordering, ranks, reaching
from scoring.rules import CARDS, MetricCard
from scoring.state import Family, Options, State

Finish = Callable[[State, Options], float]


def exact(state: State, options: Options) -> float:
    """The error bound of a metric whose state loses nothing."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Metric:
    """A number read from a family's merged state.

    ``finish(state, options)`` gives nan where the metric is undefined and never raises. ``bound(state, options)`` is
    a certified bound of the absolute error of that value: 0.0 unless the state had to be coarsened.
    """

    card: MetricCard
    family: Family
    finish: Finish
    bound: Finish = exact


Entry = tuple[str, Family, Finish, Finish]  # name, family, finish, bound
Bounds = Mapping[str, Finish]


def _of(family: Family, finishes: Iterable[Finish], bounds: Bounds = MappingProxyType({})) -> list[Entry]:
    return [(finish.__name__, family, finish, bounds.get(finish.__name__, exact)) for finish in finishes]


def _numbers() -> list[Entry]:
    family = moments.Moments()
    plain = (
        moments.rmse,
        moments.mae,
        moments.mse,
        moments.bias,
        moments.r2,
        moments.pearson_r,
        moments.kge,
        moments.max_error,
    )
    return [
        *_of(family, plain),
        ("nse", family, moments.r2, exact),
        *_of(errors.RelativeErrors(), (errors.smape, errors.mape, errors.msle)),
        *_of(errors.TiltedErrors(), (errors.pinball, errors.huber)),
        *_of(ranks.AbsoluteErrors(), (ranks.median_ae,), {"median_ae": ranks.median_ae_bound}),
        *_of(ranks.RankPairs(), (ranks.spearman_r,), {"spearman_r": ranks.spearman_bound}),
    ]


def _classes() -> list[Entry]:
    c = confusion
    rates = (c.accuracy, c.balanced_accuracy, c.f1_micro, c.f1_macro, c.f1_weighted, c.mean_iou)
    return _of(c.Confusion(), (*rates, c.cohen_kappa, c.matthews_corrcoef, c.penalty_matrix))


def _probabilities() -> list[Entry]:
    o = ordering
    bounds = {
        "roc_auc": o.roc_auc_bound,
        "average_precision": o.average_precision_bound,
        "capture_curve": o.capture_curve_bound,
        "capture_auc": o.capture_auc_bound,
    }
    return [
        *_of(likelihood.Likelihood(), (likelihood.log_loss, likelihood.brier)),
        *_of(likelihood.Calibration(), (likelihood.ece,)),
        *_of(likelihood.Decisions(), (likelihood.accuracy, likelihood.f1_macro, likelihood.f1, likelihood.iou)),
        *_of(o.Ordering(), (o.roc_auc, o.average_precision, o.capture_curve, o.capture_auc), bounds),
    ]


def _ensembles() -> list[Entry]:
    means: dict[str, Family] = {}
    on_mean = [
        (name, means.setdefault(family.name, ensembles.on_mean(family)), finish, bound)
        for name, family, finish, bound in _numbers()
    ]
    return [
        *_of(ensembles.Members(), (ensembles.crps, ensembles.spread_skill)),
        *_of(ensembles.Categories(), (ensembles.rps, ensembles.rpss)),
        *_of(ensembles.Vectors(), (ensembles.energy_score,)),
        *on_mean,
    ]


def _points() -> list[Entry]:
    m = matching
    counts = (m.hits, m.precision, m.recall, m.f1, m.average_precision)
    r = reaching
    return [
        *_of(m.Matching(), (*counts, m.captured_value, m.captured_value_at_k, m.mean_distance)),
        *_of(r.Reaching(), (r.reach_at_k, r.reached_value_at_k, r.discovery_auc)),
    ]


def _polygons() -> list[Entry]:
    m = matching
    family = m.Matching()
    return [
        ("f1_iou50", family, m.f1, exact),
        *_of(family, (m.precision, m.recall, m.average_precision, m.map_iou, m.mean_iou)),
    ]


def _all() -> Mapping[tuple[str, str], Metric]:
    entries = {
        "numbers": _numbers(), "classes": _classes(), "probabilities": _probabilities(),
        "ensemble": _ensembles(), "points": _points(), "polygons": _polygons(),
    }  # fmt: skip
    return MappingProxyType(
        {
            (sample, name): Metric(CARDS[sample, name], family, finish, bound)
            for sample, found in entries.items()
            for name, family, finish, bound in found
        }
    )


METRICS = _all()


def families(sample: str, names: Iterable[str]) -> dict[str, Family]:
    """The families the named metrics of a sample type need, by name, each once."""
    return {METRICS[sample, name].family.name: METRICS[sample, name].family for name in names}
