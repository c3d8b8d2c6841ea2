"""Samples of every type for tests that go through the registry, and the ways to change them."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from scoring.metrics.registry import METRICS, Metric
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
Key = tuple[str, str]
KEYS: list[Key] = sorted(METRICS)
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
    x = np.round(64 * (y[:, None] + rng.normal(size=(n, 5)))) / 64  # sums of members are exact: ties stay ties
    return Ensemble(y, x, None, np.arange(n) // VECTOR)


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


def plain_samples(key: Key, seed: int, n: int = 40) -> list[Any]:
    """Samples of every form the metric reads, without weights."""
    return [maker(np.random.default_rng(seed), n) for maker in MAKERS[key[0]]]


def samples(key: Key, seed: int, n: int = 40) -> list[Any]:
    """The same, and once more with weights, some of them 0."""
    found = plain_samples(key, seed, n)
    return [*found, *(replace(sample, w=weights(sample, np.random.default_rng(seed + 2))) for sample in found)]


def length(sample: Any) -> int:
    return len(sample.rank) if isinstance(sample, Matches) else len(sample.y)


def take(sample: Any, index: Any, *, totals: bool = True) -> Any:
    """The chosen rows; a part that is not the first of a Matches carries no totals of the truth."""
    arrays = {
        f.name: getattr(sample, f.name) for f in fields(sample) if isinstance(getattr(sample, f.name), np.ndarray)
    }
    part = replace(sample, **{name: array[index] for name, array in arrays.items()})
    return part if totals or not isinstance(part, Matches) else replace(part, n_truth=0.0, value_total=0.0, reach=None)


def weights(sample: Any, rng: np.random.Generator) -> np.ndarray:
    """Weights 0 … 1, a tenth of them 0, the same for all rows of a vector."""
    vectors = length(sample) // VECTOR
    return np.repeat(rng.random(vectors) * (rng.random(vectors) > 0.1), VECTOR)


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
