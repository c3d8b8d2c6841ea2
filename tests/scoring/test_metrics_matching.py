"""Metrics of matched points and polygons: blocks, ties, resampling, and their edges."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.metrics.matching import Matching
from scoring.metrics.registry import METRICS
from scoring.samples import Matches, Reach
from scoring.state import Resampled, State
from tests.golden.by_hand import OF_POINTS, POINTS


def score(kind: str, name: str, sample: Matches, **options: Any) -> float:
    metric = METRICS[kind, name]
    return metric.finish(metric.family.partial(sample, {}), {name: options})


def test_blocks_interleave_by_rank() -> None:
    family = Matching()
    left = Matches(np.array([1, 4]), np.array([True, True]), 1.0, value=np.array([1.0, 2]), value_total=3.0)
    right = Matches(
        np.array([2, 3, 5]), np.array([False, True, False]), 3.0, value=np.array([0, 5.0, 0]), value_total=7.0
    )
    merged = family.merge([family.partial(right, {}), family.partial(left, {})])
    assert METRICS["points", "average_precision"].finish(merged, {}) == pytest.approx(OF_POINTS["average_precision"])
    assert METRICS["points", "captured_value"].finish(merged, {}) == pytest.approx(0.8)
    assert merged["rank"].tolist() == [1, 3, 4]
    assert merged["missed"].tolist() == [[2, 5], [1, 1]]


def test_points_first_reached_at_one_rank_are_read_together() -> None:
    assert score("points", "reach_at_k", POINTS, k=1) == 1
    assert score("points", "reach_at_k", POINTS, k=2) == 1
    assert score("points", "reached_value_at_k", POINTS, k=2) == 1 / 10
    assert score("points", "discovery_auc", replace(POINTS, reach=Reach(np.ones(4), None, 5))) == 1
    never = replace(POINTS, reach=Reach(np.zeros(4), np.ones(4), 5))
    assert [score("points", name, never) for name in ("reach_at_k", "reached_value_at_k", "discovery_auc")] == [0, 0, 0]
    nobody = replace(POINTS, reach=Reach(np.zeros(4), np.ones(4), 0))
    assert score("points", "discovery_auc", nobody) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), times=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_misses_counted_between_hits_give_what_they_give_one_by_one(seed: int, times: list[int]) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    hit, block = rng.random(n) < 0.2, rng.integers(0, 3, n)
    value, rank = hit * rng.random(n), np.arange(1, n + 1)
    between = np.cumsum(hit)  # the hits of the whole entry so far
    family = Matching()
    singly, counted = [], []
    for number in range(3):
        own = block == number
        singly.append(family.partial(Matches(rank[own], hit[own], 40.0, value=value[own], value_total=9.0), {}))
        hits = np.flatnonzero(own & hit)
        gaps, first, sizes = np.unique(between[own & ~hit], return_index=True, return_counts=True)
        misses = rank[own & ~hit][first]
        bundle = Matches(
            rank=np.concatenate([rank[hits], misses]),
            hit=np.repeat([True, False], [len(hits), len(gaps)]),
            n_truth=40.0,
            value=np.concatenate([value[hits], np.zeros(len(gaps))]),
            w=np.concatenate([np.ones(len(hits)), sizes]),
            value_total=9.0,
        )
        counted.append(family.partial(bundle, {}))
        assert counted[-1]["missed"].shape[1] <= hit.sum() + 1
    for name in ("hits", "precision", "f1", "average_precision", "captured_value", "captured_value_at_k"):
        finish = METRICS["points", name].finish
        one, other = (finish(family.merge(states, times), {}) for states in (singly, counted))
        assert one == other or (math.isnan(one) and math.isnan(other))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), times=st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_reach_adds_over_blocks(seed: int, times: list[int]) -> None:
    rng = np.random.default_rng(seed)
    nobody, family = np.zeros(0), METRICS["points", "reach_at_k"].family
    first, value, block = rng.integers(0, 20, 50), rng.random(50), rng.integers(0, 3, 50)

    def state(own: np.ndarray[Any, Any]) -> State:
        reach = Reach(first[own], value[own], 20)
        return family.partial(Matches(nobody, nobody, 0.0, reach=reach), {})

    copies = np.concatenate([np.flatnonzero(block == number).repeat(time) for number, time in enumerate(times)])
    whole = state(copies) if len(copies) else family.zero()
    merged = family.merge([state(np.flatnonzero(block == number)) for number in range(3)], times)
    for name in ("reach_at_k", "reached_value_at_k", "discovery_auc"):
        one, other = (METRICS["points", name].finish(found, {}) for found in (whole, merged))
        assert math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))


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


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(1, 6), chance=st.sampled_from([0.0, 0.3, 1.0]))
def test_resampling_reads_what_merging_reads(seed: int, blocks: int, chance: float) -> None:
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(blocks):
        n = int(rng.integers(0, 20))
        hit = rng.random(n) < chance
        reach = Reach(rng.integers(0, 9, n), rng.random(n), 9)
        rank = rng.integers(1, 30, n)  # many tie
        samples.append(Matches(rank, hit, float(n), hit * rng.random(n), hit * 1.0, None, rng.random(n), 9.0, reach))
    counts = rng.integers(0, 3, (5, blocks))
    for name in sorted(name for sample, name in METRICS if sample == "points"):
        metric = METRICS["points", name]
        assert isinstance(metric.family, Resampled)
        states = [metric.family.partial(sample, {}) for sample in samples]
        quick = [metric.finish(state, {}) for state in metric.family.resampler(states)(counts)]
        plain = [metric.finish(metric.family.merge(states, row), {}) for row in counts]
        assert np.allclose(quick, plain, rtol=1e-12, atol=0, equal_nan=True)
