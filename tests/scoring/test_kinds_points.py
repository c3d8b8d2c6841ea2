"""Points: one-to-one matching by rank, blocks of hits, misses and false alarms."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import Rejected
from scoring.engine import score
from scoring.kinds import points as kind
from scoring.kinds import reach
from scoring.kinds.pairing import TruthSet
from scoring.metrics.registry import METRICS
from scoring.samples import Matches
from tests.scoring.making import codes, gathered, points, spec_of

POINTS = """
[truth]
file = "hidden/truth.gpkg"
radius = 10.0
value = "ounces"
[submission]
rank = "rank"
max_features = 50
{blocks}
[scoring]
primary = "captured_value"
metrics = ["captured_value", "hits", "precision", "recall", "average_precision", "mean_distance"]
"""
TILES = '[blocks]\nsize = 100.0\npublic = ["c0r0"]\n'
SPEC = spec_of("points", POINTS.format(blocks=""))
PLACES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12)


def plain(targets: list[tuple[float, float]], deposits: list[tuple[float, float]], radius: float) -> list[int]:
    """The rule written out: each target in turn takes the nearest free deposit within the radius."""
    free, taken = set(range(len(deposits))), []
    for x, y in targets:
        near = sorted((math.hypot(x - deposits[i][0], y - deposits[i][1]), i) for i in free)
        taken.append(near[0][1] if near and near[0][0] <= radius else kind.NONE)
        free.discard(taken[-1])
    return taken


def places(found: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
    return np.array(found, dtype=np.float64).reshape(-1, 2)


@given(targets=PLACES, deposits=PLACES, radius=st.sampled_from([1.0, 5.0, 12.0]))
def test_the_tree_finds_what_the_rule_says(targets: Any, deposits: Any, radius: float) -> None:
    found = kind.match(places(targets), np.arange(len(targets)), places(deposits), radius)
    assert found.taken.tolist() == plain(targets, deposits, radius)
    hits = found.taken[found.taken != kind.NONE]
    assert len(hits) == len(set(hits.tolist())), "each deposit is taken once"
    assert (found.distance <= radius).all()


@st.composite
def hard_maps(draw: st.DrawFn) -> tuple[Any, Any, float]:
    """Targets, deposits and a radius of which much coincides: places, distances, or all of it on one spot."""
    scale = draw(st.sampled_from([1e-160, 1e-3, 1.0, 1e9, 1e150]))
    shift = draw(st.sampled_from([0.0, -7.0, 1e6, 1e12]))
    spread = draw(st.sampled_from([1, 3, 40, 10**6]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    counts = draw(st.integers(0, 120)), draw(st.integers(0, 120))
    targets, deposits = ((rng.integers(-spread, spread, (count, 2)) + shift) * scale for count in counts)
    if counts[1] and draw(st.booleans()):
        deposits[0] = 1e15 * scale  # far outside all others
    return targets, deposits, draw(st.sampled_from([0.5, 1.0, 5.0, 13.0, 1e7])) * scale


@settings(max_examples=200, deadline=None)
@given(hard_maps())
def test_stacked_far_and_huge_places_keep_the_rule(made: tuple[Any, Any, float]) -> None:
    targets, deposits, radius = made
    found = kind.match(targets, np.arange(len(targets)), deposits, radius)
    assert found.taken.tolist() == plain(targets.tolist(), deposits.tolist(), radius)
    hit = found.taken != kind.NONE
    gap = np.hypot(*(targets[hit] - deposits[found.taken[hit]]).T)
    assert found.distance[hit].tolist() == gap.tolist()


@settings(max_examples=200, deadline=None)
@given(hard_maps(), st.booleans())
def test_first_reach_is_the_first_target_near_enough(made: tuple[Any, Any, float], backwards: bool) -> None:
    targets, deposits, radius = made
    order = np.arange(len(targets))[::-1].copy() if backwards else None
    index = reach.index(deposits[:, 0], deposits[:, 1], radius)
    first = reach.reached(targets[:, 0], targets[:, 1], order, index, radius)
    turns = targets if order is None else targets[order]
    near = np.hypot(*np.moveaxis(deposits[:, None] - turns[None], -1, 0)) <= radius
    wanted = np.where(near.any(axis=1), near.argmax(axis=1) + 1, 0) if len(targets) else np.zeros(len(deposits))
    assert first.tolist() == wanted.tolist()


def test_the_index_is_small_whatever_the_extent_and_the_radius() -> None:
    rng = np.random.default_rng(1)
    for scale, radius in ((1e12, 1e-6), (1.0, 1e9), (1e-9, 1.0), (0.0, 1.0)):
        x, y = rng.random(1000) * scale, rng.random(1000) * scale
        made = reach.index(x, y, radius)
        assert made["cells"].size <= reach.SIDE**2
        assert sum(array.nbytes for array in made.values()) < 1_500_000
        assert sorted(made["members"].tolist()) == list(range(1000))


def test_what_was_prepared_is_used_and_only_for_its_radius() -> None:
    spec = spec_of("points", POINTS.format(blocks=""))
    deposits, targets = points([(0, 0), (8, 0)], value=[5.0, 1.0]), points([(4, 0), (0, 11)])
    truth = TruthSet(deposits)
    made = kind.prepare(truth, spec)
    plainly = score(spec, truth, targets).scores
    assert score(spec, TruthSet(deposits, prepared=made), targets).scores == plainly
    moved = {**made, "site_x": made["site_x"] + 1000.0}
    assert score(spec, TruthSet(deposits, prepared=moved), targets).scores != plainly
    other = {**moved, "frame": np.array([*made["frame"][:3], 11.0])}
    assert score(spec, TruthSet(deposits, prepared=other), targets).scores == plainly


EVERY = POINTS.replace(
    '"mean_distance"]', '"mean_distance", "f1", "reach_at_k", "reached_value_at_k", "discovery_auc"]'
)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shuffled=st.booleans(), buffer=st.sampled_from([0.0, 15.0]))
def test_counted_misses_score_like_every_target_by_itself(seed: int, shuffled: bool, buffer: float) -> None:
    rng = np.random.default_rng(seed)
    tiles = f"[blocks]\nsize = 50.0\npublic = 0.5\nseed = 3\nbuffer = {buffer}\n"
    spec = spec_of("points", EVERY.format(blocks=tiles))
    targets, deposits = rng.uniform(-40, 160, (50, 2)), rng.uniform(0, 120, (40, 2))
    order = rng.permutation(50) if shuffled else np.arange(50)
    entry = points(targets)
    entry = type(entry)("points", {**entry.arrays, "order": order}, {})
    truth = points(deposits, value=rng.uniform(0, 9, 40))
    found = kind.match(targets, kind.ranks(entry), deposits, 10.0)
    here, there = kind.place(targets, deposits, found.taken, spec)
    value = truth.arrays["value"]
    samples = gathered(replace(kind.pair(entry, TruthSet(truth), spec), parts=1))  # the part of the matching
    groups = {(key, side): rows for key, side, rows in here.groups()}
    owned = {(key, side): rows for key, side, rows in there.groups()}
    assert set(samples) == {*groups, *owned}
    states, singly = [], []
    family = METRICS["points", "hits"].family
    for place, (sample,) in samples.items():
        rows, own = groups.get(place, np.arange(0)), owned.get(place, np.arange(0))
        hit = found.taken[rows] != kind.NONE
        gain = np.where(hit, value[found.taken[rows]], 0.0)
        whole = Matches(
            kind.ranks(entry)[rows] + 1, hit, len(own), gain, found.distance[rows], None, None, value[own].sum()
        )
        states.append(family.partial(sample, {}))
        singly.append(family.partial(whole, {}))
        assert isinstance(sample, Matches)
        assert len(sample.rank) <= hit.sum() + min((~hit).sum(), (found.taken != kind.NONE).sum() + 1)
    counts = rng.integers(0, 3, len(states))
    for name in ("hits", "precision", "recall", "average_precision", "captured_value", "mean_distance"):
        finish = METRICS["points", name].finish
        for times in (None, counts):
            one, other = (finish(family.merge(each, times), {}) for each in (states, singly))
            assert math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))


def test_reach_counts_in_the_block_of_the_deposit() -> None:
    spec = spec_of("points", EVERY.format(blocks=TILES))
    truth = TruthSet(points([(95, 50), (105, 50), (350, 50)], value=[1.0, 2.0, 4.0]))
    scores = score(spec, truth, points([(700, 50), (102, 50)])).scores
    assert (scores.overall["hits"], scores.overall["reach_at_k"]) == (1, 2)
    assert (scores.public["reach_at_k"], scores.private["reach_at_k"]) == (1, 1)
    assert scores.private["reached_value_at_k"] == 2 / 6
    assert scores.overall["discovery_auc"] == pytest.approx(3 / 7 / 2)


@given(targets=PLACES, deposits=PLACES)
def test_one_more_target_at_the_end_never_loses_a_hit(targets: Any, deposits: Any) -> None:
    def hits(count: int) -> int:
        found = kind.match(places(targets[:count]), np.arange(count), places(deposits), 5.0)
        return int((found.taken != kind.NONE).sum())

    counts = [hits(count) for count in range(len(targets) + 1)]
    assert counts == sorted(counts)
    assert counts[-1] <= len(deposits)


def test_the_radius_is_inclusive() -> None:
    deposits = np.array([[0.0, 0.0]])
    on_it, beyond = np.array([[10.0, 0.0]]), np.array([[np.nextafter(10.0, 11.0), 0.0]])
    assert kind.match(on_it, np.arange(1), deposits, 10.0).taken.tolist() == [0]
    assert kind.match(beyond, np.arange(1), deposits, 10.0).taken.tolist() == [kind.NONE]


def test_rank_decides_who_takes_a_deposit() -> None:
    truth = TruthSet(points([(0, 0), (8, 0)], value=[5.0, 1.0]))
    entry = points([(4, 0), (0, 1)])
    near_second_first = kind.match(kind.places(entry), np.array([1, 0]), kind.places(truth.truth), 10.0)
    assert near_second_first.taken.tolist() == [1, 0]
    in_order = kind.match(kind.places(entry), kind.ranks(entry), kind.places(truth.truth), 10.0)
    assert in_order.taken.tolist() == [0, 1]


@given(order=st.permutations(range(6)))
def test_the_order_of_features_changes_nothing(order: list[int]) -> None:
    rng = np.random.default_rng(3)
    truth = TruthSet(points(rng.uniform(0, 60, (5, 2)), value=rng.uniform(1, 9, 5)))
    targets = rng.uniform(0, 60, (6, 2))
    straight = score(SPEC, truth, points(targets))
    shuffled = points(targets[order])
    back = np.argsort(order)  # intake sorts by rank: position in the file of each rank
    shuffled = type(shuffled)("points", {**shuffled.arrays, "order": back}, {})
    assert score(SPEC, truth, shuffled).scores == straight.scores


def test_hits_go_with_their_deposit_and_false_alarms_stay_where_they_lie() -> None:
    spec = spec_of("points", POINTS.format(blocks=TILES))
    truth = TruthSet(points([(95, 50), (250, 50), (150, 50)], value=[1.0, 2.0, 4.0]))
    entry = points([(102, 50), (50, 50), (450, 50)])
    found = gathered(kind.pair(entry, truth, spec))
    about = {place: samples[0] for place, samples in found.items()}
    assert set(about) == {("c0r0", "public"), ("c1r0", "private"), ("c2r0", "private"), ("c4r0", "private")}
    public = about["c0r0", "public"]
    assert isinstance(public, Matches)
    assert (public.rank.tolist(), public.hit.tolist(), public.n_truth, public.value_total) == (
        [1, 2],
        [True, False],
        1,
        1,
    )
    scores = score(spec, truth, entry).scores
    assert scores.overall["captured_value"] == 1 / 7
    assert (scores.public["hits"], scores.private["hits"]) == (1, 0)
    assert (scores.public["precision"], scores.private["precision"]) == (0.5, 0.0)


def test_a_buffer_takes_a_deposit_out_of_both_sides() -> None:
    spec = spec_of("points", POINTS.format(blocks=TILES + "buffer = 10.0\n"))
    truth = TruthSet(points([(95, 50), (50, 50), (150, 50)], value=[1.0, 2.0, 4.0]))
    scores = score(spec, truth, points([(95, 50), (50, 50), (150, 50)])).scores
    assert (scores.overall["hits"], scores.public["hits"], scores.private["hits"]) == (3, 1, 1)


def test_too_many_targets_are_refused() -> None:
    entry = points(np.zeros((51, 2)))
    assert codes(kind.check(entry, entry, SPEC)) == ["too-many-features"]
    with pytest.raises(Rejected):
        kind.pair(entry, TruthSet(points([(0, 0)], value=[1.0])), SPEC)


@pytest.mark.parametrize("targets", [[], [(500.0, 500.0)]])
def test_nothing_hit_scores_nothing(targets: Any) -> None:
    scores = score(SPEC, TruthSet(points([(0, 0)], value=[1.0])), points(targets)).scores
    assert (scores.overall["captured_value"], scores.overall["hits"]) == (0, 0)
    assert scores.overall["mean_distance"] is None
    assert set(scores.private.values()) == {None}


def test_stacked_targets_take_one_deposit_each() -> None:
    deposits = np.random.default_rng(0).uniform(0, 1, (300, 2))
    targets = np.full((20_000, 2), 0.5)
    found = kind.match(targets, np.arange(len(targets)), deposits, 2.0)
    gap = np.hypot(*(deposits - 0.5).T)
    assert found.taken[:300].tolist() == np.argsort(gap, kind="stable").tolist()
    assert (found.taken[300:] == kind.NONE).all()


def test_what_cannot_be_reached_costs_nothing() -> None:
    deposits = np.repeat([[0.0, 0.0]], 20_000, axis=0)  # stacked just out of reach of a million targets, then in reach
    targets = np.repeat([[10.1, 0.0], [9.9, 0.0]], [1_000_000, 20_000], axis=0)
    found = kind.match(targets, np.arange(len(targets)), deposits, 10.0)
    assert (found.taken[:1_000_000] == kind.NONE).all()
    assert found.taken[1_000_000:].tolist() == list(range(20_000))
