"""Points: one-to-one matching by rank, blocks of hits, misses and false alarms."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.errors import Rejected
from scoring.engine import score
from scoring.kinds import points as kind
from scoring.kinds.pairing import TruthSet
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


@given(targets=PLACES, deposits=PLACES)
def test_small_pieces_give_the_same_matching(targets: Any, deposits: Any) -> None:
    whole = kind.match(places(targets), np.arange(len(targets)), places(deposits), 12.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "PAIRS", 3)
        pieces = kind.match(places(targets), np.arange(len(targets)), places(deposits), 12.0)
    assert whole.taken.tolist() == pieces.taken.tolist()


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


def test_stacked_targets_do_not_pile_up_pairs() -> None:
    deposits = np.random.default_rng(0).uniform(0, 1, (300, 2))
    targets = np.full((20_000, 2), 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "PAIRS", 100_000)
        found = kind.match(targets, np.arange(len(targets)), deposits, 2.0)
    assert (found.taken[:300] != kind.NONE).all()
    assert (found.taken[300:] == kind.NONE).all()
