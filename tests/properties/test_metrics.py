"""Laws that every metric of the registry must keep, whatever it measures."""

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.metrics.registry import METRICS, families
from scoring.rules import CARDS
from scoring.samples import Classes, Ensemble, Matches, Numbers, Probabilities
from scoring.state import Resampled
from tests.properties.making import (
    MAKERS,
    OPTIONS,
    Key,
    cut,
    every_metric,
    examples,
    integer_weights,
    length,
    repeated,
    same,
    same_bits,
    samples,
    score,
    seeds,
    take,
    value,
)


def test_cards_and_metrics_are_the_same_list() -> None:
    assert set(METRICS) == set(CARDS)
    assert all(metric.card is CARDS[key] for key, metric in METRICS.items())


def test_a_family_name_means_one_family() -> None:
    for sample in MAKERS:
        names = [name for kind, name in METRICS if kind == sample]
        found = families(sample, names)
        assert all(METRICS[sample, name].family is found[METRICS[sample, name].family.name] for name in names)


@every_metric
def test_nothing_has_no_score(key: Key) -> None:
    metric = METRICS[key]
    for state in (metric.family.zero(), metric.family.merge([]), metric.family.merge([metric.family.zero()] * 2)):
        found = value(metric, state)
        assert found == 0 if key[1] in {"hits", "reach_at_k"} else math.isnan(found)
        assert metric.bound(state, OPTIONS) == 0


@every_metric
def test_empty_blocks_change_nothing(key: Key) -> None:
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
def test_any_cut_into_blocks_gives_the_same_score(key: Key, seed: int, places: list[int]) -> None:
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
def test_the_order_of_rows_does_not_matter(key: Key, seed: int) -> None:
    metric = METRICS[key]
    for sample in samples(key, seed):
        order = np.random.default_rng(seed + 1).permutation(length(sample))
        assert same(score(metric, take(sample, order)), score(metric, sample))


@every_metric
@examples
@given(seed=seeds)
def test_a_whole_weight_is_a_repetition(key: Key, seed: int) -> None:
    metric = METRICS[key]
    for sample in samples(key, seed):
        w = integer_weights(sample, np.random.default_rng(seed + 1))
        if w.max() == 0:
            continue
        assert same(score(metric, replace(sample, w=w)), score(metric, repeated(sample, w)))


@every_metric
@examples
@given(seed=seeds, times=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_counts_are_repetitions_of_blocks(key: Key, seed: int, times: list[int]) -> None:
    metric = METRICS[key]
    for sample in samples(key, seed):
        states = [metric.family.partial(part, OPTIONS) for part in cut(sample, [5, 12])]
        again = [state for state, count in zip(states, times, strict=True) for _ in range(count)]
        assert same(value(metric, metric.family.merge(states, times)), value(metric, metric.family.merge(again)))


@every_metric
@examples
@given(seed=seeds, factor=st.sampled_from([2.0, 0.1, 1 / 3, 1e-9, 7e6]))
def test_scaling_all_weights_changes_no_score(key: Key, seed: int, factor: float) -> None:
    """Equal weights are as none at all, also where rounding keeps them from adding up to what they should."""
    metric = METRICS[key]
    for sample in samples(key, seed):
        scaled = replace(sample, w=factor * (np.ones(length(sample)) if sample.w is None else sample.w))
        if isinstance(sample, Matches):
            scaled = replace(scaled, n_truth=factor * sample.n_truth, value_total=factor * sample.value_total)
        assert same(score(metric, scaled), (factor if key[1] == "hits" else 1) * score(metric, sample))


@every_metric
def test_the_same_states_in_the_same_order_give_the_same_bits(key: Key) -> None:
    metric = METRICS[key]
    for sample in samples(key, 5):
        merged = []
        for _ in range(2):
            states = [metric.family.partial(part, OPTIONS) for part in cut(sample, [3, 9, 14])]
            merged.append(metric.family.merge(states))
        assert same_bits(*merged)


@every_metric
def test_states_are_plain_arrays_and_inputs_stay_as_they_are(key: Key) -> None:
    metric = METRICS[key]
    for sample in samples(key, 6):
        for f in fields(sample):
            if isinstance(getattr(sample, f.name), np.ndarray):
                getattr(sample, f.name).flags.writeable = False
        state = metric.family.partial(sample, OPTIONS)
        assert all(array.dtype.kind in "fi" for array in state.values())


LIMITS = {"0 … 1": (0, 1), "−1 … 1": (-1, 1), "0 … 200": (0, 200), "−∞ … 1": (-math.inf, 1), "0 … ∞": (0, math.inf)}


@every_metric
@examples
@given(seed=seeds, n=st.integers(1, 30))
def test_scores_stay_inside_their_range(key: Key, seed: int, n: int) -> None:
    metric = METRICS[key]
    low, high = LIMITS.get(metric.card.range, (-math.inf, math.inf))
    for sample in samples(key, seed, 2 * n):
        found = score(metric, sample)
        assert math.isnan(found) or low - 1e-12 <= found <= high + 1e-12


@every_metric
@pytest.mark.filterwarnings("error")
def test_odd_inputs_never_raise(key: Key) -> None:
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


RESAMPLED = {key: family for key, metric in METRICS.items() if isinstance(family := metric.family, Resampled)}


@pytest.mark.parametrize("key", RESAMPLED, ids="-".join)
@examples
@given(seed=seeds)
def test_resampling_gives_what_merging_gives(key: Key, seed: int) -> None:
    """Families that resample all blocks at once: a merge with counts, but for rounding."""
    metric, family = METRICS[key], RESAMPLED[key]
    counts = np.random.default_rng(seed).integers(0, 4, (5, 4))
    for sample in samples(key, seed):
        states = [metric.family.partial(part, OPTIONS) for part in cut(sample, [4, 11, 16])]
        quick = [value(metric, state) for state in family.resampler(states)(counts)]
        slow = [value(metric, metric.family.merge(states, row)) for row in counts]
        assert np.allclose(quick, slow, rtol=1e-9, atol=1e-9, equal_nan=True)
