"""Laws that every metric of the registry must keep, whatever it measures."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.metrics.registry import METRICS, Metric, families
from scoring.rules import CARDS
from scoring.samples import Classes, Ensemble, Matches, Numbers, Probabilities, Reach
from scoring.state import State

OPTIONS = {
    "penalty_matrix": {"matrix": [[0, 1, 2, 3], [1, 0, 1, 2], [2, 4, 0, 1], [3, 2, 1, 0]]},
    "rpss": {"thresholds": [5.5, 6.5]},
    "pinball": {"q": 0.3},
    "capture_curve": {"area": 30.0},
    "captured_value_at_k": {"k": 12},
    "reach_at_k": {"k": 12},
    "reached_value_at_k": {"k": 12},
}
KEYS = sorted(METRICS)
every_metric = pytest.mark.parametrize("key", KEYS, ids=[f"{sample}-{name}" for sample, name in KEYS])
seeds = st.integers(0, 2**32 - 1)
examples = settings(max_examples=8, deadline=None)
VECTOR = 2  # rows that make one vector of the energy score


def numbers(rng: np.random.Generator, n: int) -> Numbers:
    y = np.round(rng.normal(6.0, 1.0, n), 1)  # rounding makes ties; above −1, where msle is defined
    return Numbers(y, np.round(y + rng.normal(size=n), 1))


def classes(rng: np.random.Generator, n: int) -> Classes:
    return Classes(rng.integers(0, 4, n), rng.integers(0, 4, n), None, 4)


def binary(rng: np.random.Generator, n: int) -> Probabilities:
    p = np.round(rng.random(n), 2)
    return Probabilities((rng.random(n) < p).astype(np.int64), p)


def several(rng: np.random.Generator, n: int) -> Probabilities:
    return Probabilities(rng.integers(0, 4, n), rng.dirichlet(np.ones(4), n))


def ensemble(rng: np.random.Generator, n: int) -> Ensemble:
    y = rng.normal(6.0, 1.0, n)
    return Ensemble(y, np.round(y[:, None] + rng.normal(size=(n, 5)), 2), None, np.arange(n) // VECTOR)


def matches(rng: np.random.Generator, n: int) -> Matches:
    iou = np.round(rng.random(n), 2)
    hit = iou[:, None] >= np.arange(0.5, 1.0, 0.05)
    taken = hit[:, 0]
    rank = rng.permutation(n) + 1
    value, distance, reach = taken * rng.random(n), taken * rng.random(n), rng.integers(0, n + 1, 2 * n)
    reached = Reach(reach, rng.random(2 * n), n)
    return Matches(rank, hit, float(2 * n), value, distance, taken * iou, None, float(n), reached)


MAKERS: dict[str, tuple[Callable[[np.random.Generator, int], Any], ...]] = {
    "numbers": (numbers,),
    "classes": (classes,),
    "probabilities": (binary, several),
    "ensemble": (ensemble,),
    "points": (matches,),
    "polygons": (matches,),
}


def samples(key: tuple[str, str], seed: int, n: int = 40) -> list[Any]:
    return [maker(np.random.default_rng(seed), n) for maker in MAKERS[key[0]]]


def length(sample: Any) -> int:
    return len(sample.rank) if isinstance(sample, Matches) else len(sample.y)


def take(sample: Any, index: Any, *, totals: bool = True) -> Any:
    """The chosen rows; a part that is not the first of a Matches carries no totals of the truth."""
    arrays = {
        f.name: getattr(sample, f.name) for f in fields(sample) if isinstance(getattr(sample, f.name), np.ndarray)
    }
    part = replace(sample, **{name: array[index] for name, array in arrays.items()})
    return part if totals or not isinstance(part, Matches) else replace(part, n_truth=0.0, value_total=0.0, reach=None)


def integer_weights(sample: Any, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers 0 … 3, the same for all rows of a vector."""
    return np.repeat(rng.integers(0, 4, length(sample) // VECTOR), VECTOR).astype(float)


def repeated(sample: Any, w: np.ndarray) -> Any:
    """The sample with row i standing w[i] times; copies of a vector are vectors of their own."""
    copies = [np.flatnonzero(w > c) for c in range(int(w.max()))]
    out = take(replace(sample, w=None), np.concatenate(copies))
    if isinstance(sample, Ensemble):
        groups = [sample.group[index] + c * len(w) for c, index in enumerate(copies)]
        out = replace(out, group=np.concatenate(groups))
    return out


def value(metric: Metric, state: State) -> float:
    return metric.finish(state, OPTIONS)


def score(metric: Metric, sample: Any) -> float:
    return value(metric, metric.family.partial(sample, OPTIONS))


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)


def same_bits(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() and a[k].shape == b[k].shape for k in a)


def cut(sample: Any, places: Sequence[int]) -> list[Any]:
    """Consecutive parts, cut between vectors; some may be empty."""
    n = length(sample)
    edges = [0, *sorted(VECTOR * (place % (n // VECTOR + 1)) for place in places), n]
    return [take(sample, slice(a, b), totals=not i) for i, (a, b) in enumerate(itertools.pairwise(edges))]


def test_cards_and_metrics_are_the_same_list() -> None:
    assert set(METRICS) == set(CARDS)
    assert all(metric.card is CARDS[key] for key, metric in METRICS.items())


def test_a_family_name_means_one_family() -> None:
    for sample in MAKERS:
        names = [name for kind, name in METRICS if kind == sample]
        found = families(sample, names)
        assert all(METRICS[sample, name].family is found[METRICS[sample, name].family.name] for name in names)


@every_metric
def test_nothing_has_no_score(key: tuple[str, str]) -> None:
    metric = METRICS[key]
    for state in (metric.family.zero(), metric.family.merge([]), metric.family.merge([metric.family.zero()] * 2)):
        found = value(metric, state)
        assert found == 0 if key[1] in {"hits", "reach_at_k"} else math.isnan(found)
        assert metric.bound(state, OPTIONS) == 0


@every_metric
def test_empty_blocks_change_nothing(key: tuple[str, str]) -> None:
    metric = METRICS[key]
    for sample in samples(key, 1):
        state = metric.family.partial(sample, OPTIONS)
        void = metric.family.partial(take(sample, slice(0, 0), totals=False), OPTIONS)
        zero = metric.family.zero()
        alone = metric.family.merge([state])
        assert same_bits(metric.family.merge([zero, state, void, zero]), alone)
        assert same_bits(metric.family.merge([state, state], [1, 0]), alone)


@every_metric
@examples
@given(seed=seeds, places=st.lists(st.integers(0, 1000), max_size=6))
def test_any_cut_into_blocks_gives_the_same_score(key: tuple[str, str], seed: int, places: list[int]) -> None:
    metric = METRICS[key]
    for sample in samples(key, seed):
        states = [metric.family.partial(part, OPTIONS) for part in cut(sample, places)]
        whole = score(metric, sample)
        assert same(value(metric, metric.family.merge(states)), whole)
        tree = metric.family.merge([metric.family.merge(states[:2]), metric.family.merge(states[2:])])
        assert same(value(metric, tree), whole)
        assert metric.bound(tree, OPTIONS) == 0


@every_metric
@examples
@given(seed=seeds)
def test_the_order_of_rows_does_not_matter(key: tuple[str, str], seed: int) -> None:
    metric = METRICS[key]
    for sample in samples(key, seed):
        order = np.random.default_rng(seed + 1).permutation(length(sample))
        assert same(score(metric, take(sample, order)), score(metric, sample))


@every_metric
@examples
@given(seed=seeds)
def test_a_whole_weight_is_a_repetition(key: tuple[str, str], seed: int) -> None:
    metric = METRICS[key]
    for sample in samples(key, seed):
        w = integer_weights(sample, np.random.default_rng(seed + 1))
        if w.max() == 0:
            continue
        assert same(score(metric, replace(sample, w=w)), score(metric, repeated(sample, w)))


@every_metric
@examples
@given(seed=seeds, times=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_counts_are_repetitions_of_blocks(key: tuple[str, str], seed: int, times: list[int]) -> None:
    metric = METRICS[key]
    for sample in samples(key, seed):
        states = [metric.family.partial(part, OPTIONS) for part in cut(sample, [5, 12])]
        again = [state for state, count in zip(states, times, strict=True) for _ in range(count)]
        assert same(value(metric, metric.family.merge(states, times)), value(metric, metric.family.merge(again)))


@every_metric
def test_scaling_all_weights_changes_no_score(key: tuple[str, str]) -> None:
    metric = METRICS[key]
    for sample in samples(key, 3):
        w = np.repeat(np.random.default_rng(4).random(length(sample) // VECTOR) + 0.1, VECTOR)
        double = replace(sample, w=2 * w)
        if isinstance(sample, Matches):
            double = replace(double, n_truth=2 * sample.n_truth, value_total=2 * sample.value_total)
        factor = 2 if key[1] == "hits" else 1
        assert same(score(metric, double), factor * score(metric, replace(sample, w=w)))


@every_metric
def test_the_same_states_in_the_same_order_give_the_same_bits(key: tuple[str, str]) -> None:
    metric = METRICS[key]
    for sample in samples(key, 5):
        merged = []
        for _ in range(2):
            states = [metric.family.partial(part, OPTIONS) for part in cut(sample, [3, 9, 14])]
            merged.append(metric.family.merge(states))
        assert same_bits(*merged)


@every_metric
def test_states_are_plain_arrays_and_inputs_stay_as_they_are(key: tuple[str, str]) -> None:
    metric = METRICS[key]
    for sample in samples(key, 6):
        for f in fields(sample):
            if isinstance(getattr(sample, f.name), np.ndarray):
                getattr(sample, f.name).flags.writeable = False
        state = metric.family.partial(sample, OPTIONS)
        assert all(array.dtype.kind in "fi" for array in state.values())


def perfect(sample: Any) -> Any:
    if isinstance(sample, Numbers | Classes):
        return replace(sample, f=sample.y)
    if isinstance(sample, Ensemble):
        return replace(sample, x=np.repeat(sample.y[:, None], 5, axis=1))
    if isinstance(sample, Probabilities):
        return replace(sample, p=sample.y.astype(float) if sample.p.ndim == 1 else np.eye(4)[sample.y])
    n = len(sample.rank)
    ones, none = np.ones(n), np.zeros(n)
    reached = Reach(np.ones(n, dtype=np.int64), ones, n)
    return Matches(sample.rank, np.ones((n, 10), dtype=bool), float(n), ones, none, ones, None, float(n), reached)


@every_metric
def test_a_perfect_entry_has_the_best_score(key: tuple[str, str]) -> None:
    metric, name = METRICS[key], key[1]
    for sample in samples(key, 7):
        found = score(metric, perfect(sample))
        if name in {"capture_curve", "capture_auc"} and sample.p.ndim == 1:
            share = sample.y.mean()
            assert same(found, min(1.0, 0.3 / share) if name == "capture_curve" else 1 - share / 2)
        elif name in {"capture_curve", "capture_auc"}:
            assert found > 0.8
        elif name == "spread_skill":
            assert math.isnan(found)  # a mean without error has no ratio
        elif name == "captured_value_at_k":
            assert same(found, 12 / 40)
        elif name in {"hits", "reach_at_k"}:
            assert found == 40
        elif key[0] == "probabilities" and name in {"f1", "iou"} and sample.p.ndim == 2:
            assert math.isnan(found)  # metrics of one class
        else:
            assert math.isclose(found, 1.0 if metric.card.direction == "higher" else 0.0, rel_tol=1e-12, abs_tol=1e-12)


LIMITS = {"0 … 1": (0, 1), "−1 … 1": (-1, 1), "0 … 200": (0, 200), "−∞ … 1": (-math.inf, 1), "0 … ∞": (0, math.inf)}


@every_metric
@examples
@given(seed=seeds, n=st.integers(1, 30))
def test_scores_stay_inside_their_range(key: tuple[str, str], seed: int, n: int) -> None:
    metric = METRICS[key]
    low, high = LIMITS.get(metric.card.range, (-math.inf, math.inf))
    for sample in samples(key, seed, 2 * n):
        found = score(metric, sample)
        assert math.isnan(found) or low - 1e-12 <= found <= high + 1e-12


@every_metric
@pytest.mark.filterwarnings("error")
def test_odd_inputs_never_raise(key: tuple[str, str]) -> None:
    metric = METRICS[key]
    huge, flat = np.array([1e308, -1e308, 0.0, 5e-324]), np.full(4, 0.1)
    odd: dict[str, list[Any]] = {
        "numbers": [Numbers(huge, -huge), Numbers(flat, flat), Numbers(flat, huge), Numbers(flat[:1], flat[:1])],
        "classes": [
            Classes(np.zeros(3, int), np.zeros(3, int), None, 4),
            Classes(np.array([3]), np.array([0]), None, 4),
        ],
        "probabilities": [
            Probabilities(np.ones(3, int), np.ones(3)),
            Probabilities(np.zeros(2, int), np.array([0.0, 1.0])),
            Probabilities(np.zeros(2, int), np.full((2, 4), 0.25)),
        ],
        "ensemble": [
            Ensemble(huge, np.stack([-huge, huge], axis=1)),
            Ensemble(flat, flat[:, None]),
            Ensemble(flat, np.stack([flat, flat], axis=1)),
        ],
        "points": [Matches(np.zeros(0), np.zeros((0, 1)), 3.0), Matches(np.array([1]), np.array([[True]]), 0.0)],
        "polygons": [Matches(np.zeros(0), np.zeros((0, 10)), 3.0), Matches(np.array([1]), np.zeros((1, 10)), 0.0)],
    }
    for sample in odd[key[0]]:
        state = metric.family.partial(sample, OPTIONS)
        merged = metric.family.merge([state, state, state])
        assert isinstance(value(metric, state), float)
        assert isinstance(value(metric, merged), float)
        assert metric.bound(merged, OPTIONS) >= 0


@examples
@given(seed=seeds, factor=st.sampled_from([0.5, 2.0, 8.0]), shift=st.sampled_from([-4.0, 0.0, 16.0]))
def test_numbers_scale_and_shift_as_they_should(seed: int, factor: float, shift: float) -> None:
    (sample,) = samples(("numbers", "rmse"), seed)
    moved = Numbers(factor * sample.y + shift, factor * sample.f + shift)
    for name, power in {"rmse": 1, "mae": 1, "bias": 1, "mse": 2, "median_ae": 1, "max_error": 1, "r2": 0}.items():
        metric = METRICS["numbers", name]
        assert math.isclose(score(metric, moved), factor**power * score(metric, sample), rel_tol=1e-9, abs_tol=1e-12)
    bent = Numbers(np.exp(sample.y), sample.f**3)
    spearman = METRICS["numbers", "spearman_r"]
    assert same(score(spearman, bent), score(spearman, sample))


@examples
@given(seed=seeds)
def test_ordering_metrics_see_only_order(seed: int) -> None:
    for name in ("roc_auc", "average_precision", "capture_curve", "capture_auc"):
        metric = METRICS["probabilities", name]
        sample = binary(np.random.default_rng(seed), 40)
        assert same(score(metric, replace(sample, p=np.expm1(3 * sample.p) - 7)), score(metric, sample))
    auc = METRICS["probabilities", "roc_auc"]
    flipped = replace(sample, p=-sample.p)
    assert math.isnan(score(auc, sample)) or same(score(auc, flipped), 1 - score(auc, sample))


@examples
@given(seed=seeds)
def test_names_of_classes_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample, names = classes(rng, 40), rng.permutation(4)
    renamed = Classes(names[sample.y], names[sample.f], None, 4)
    for name in (key[1] for key in KEYS if key[0] == "classes" and key[1] != "penalty_matrix"):
        metric = METRICS["classes", name]
        assert same(score(metric, renamed), score(metric, sample))
