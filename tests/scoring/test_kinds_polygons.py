"""Polygons: one-to-one by IoU, thresholds, labels, blocks."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from scoring.engine import score
from scoring.kinds import polygons as kind
from scoring.kinds.pairing import TruthSet
from scoring.samples import Matches
from tests.scoring.making import codes, gathered, polygons, spec_of

POLYGONS = """
[truth]
file = "hidden/truth.gpkg"
{truth}
[submission]
confidence = "score"
{submission}
{blocks}
[scoring]
primary = "f1_iou50"
metrics = ["f1_iou50", "precision", "recall", "average_precision", "map_iou", "mean_iou"]
"""
SPEC = spec_of("polygons", POLYGONS.format(truth="", submission="max_features = 20", blocks=""))
BOXES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(2, 6), st.integers(2, 6)), max_size=8)


def boxes(found: Any) -> list[Any]:
    return [shapely.box(x, y, x + w, y + h) for x, y, w, h in found]


def plain(predictions: list[Any], truths: list[Any], threshold: float) -> list[int]:
    """The rule written out: in rank order, the free truth with the greatest IoU, if that reaches the threshold."""
    free, taken = set(range(len(truths))), []
    for shape in predictions:
        best = sorted((-shape.intersection(truths[i]).area / shape.union(truths[i]).area, i) for i in free)
        taken.append(best[0][1] if best and -best[0][0] >= threshold - 1e-12 else kind.NONE)
        free.discard(taken[-1])
    return taken


@given(predictions=BOXES, truths=BOXES)
def test_the_tree_finds_what_the_rule_says(predictions: Any, truths: Any) -> None:
    mine, theirs = boxes(predictions), boxes(truths)
    confidence = np.linspace(1, 0.5, len(mine))
    found = kind.match(polygons(mine, confidence=confidence), polygons(theirs), SPEC)
    for number in (0, 4):
        hits = [taken != kind.NONE for taken in plain(mine, theirs, kind.THRESHOLDS[number])]
        assert found.hit[:, number].tolist() == hits
    taken = found.taken[found.hit[:, 0]]
    assert len(taken) == len(set(taken.tolist()))


def test_confidence_orders_and_ties_follow_the_file() -> None:
    truth, mine = polygons(boxes([(0, 0, 10, 10)])), boxes([(0, 0, 10, 8), (0, 0, 10, 9), (0, 0, 10, 10)])
    last_first = kind.match(polygons(mine, confidence=[0.1, 0.5, 0.9]), truth, SPEC)
    assert last_first.hit[:, 0].tolist() == [False, False, True]
    tied = kind.match(polygons(mine, confidence=[0.5, 0.5, 0.5]), truth, SPEC)
    assert tied.hit[:, 0].tolist() == [True, False, False]
    assert tied.iou.tolist() == [pytest.approx(0.8), 0.0, 0.0]
    assert tied.hit[0].tolist() == [True] * 7 + [False] * 3


def test_an_iou_of_exactly_a_half_is_a_hit() -> None:
    found = kind.match(polygons(boxes([(0, 0, 10, 5)])), polygons(boxes([(0, 0, 10, 10)])), SPEC)
    assert found.hit[0].tolist() == [True] + [False] * 9


def test_holes_and_parts_count() -> None:
    ring = shapely.box(0, 0, 10, 10).difference(shapely.box(2, 2, 8, 8))
    pair = shapely.multipolygons([shapely.box(0, 0, 1, 1), shapely.box(5, 5, 6, 6)])
    canonical = polygons([ring, pair])
    assert shapely.area(kind.geometries(canonical)).tolist() == [64.0, 2.0]
    scores = score(SPEC, TruthSet(canonical), canonical).scores
    assert scores.overall["map_iou"] == scores.overall["f1_iou50"] == 1.0


def test_labels_must_agree() -> None:
    spec = spec_of("polygons", POLYGONS.format(truth='label = "class"', submission='label = "class"', blocks=""))
    truth = polygons(boxes([(0, 0, 4, 4), (10, 0, 4, 4)]), label=["clay", "silica"])
    entry = polygons(boxes([(0, 0, 4, 4), (10, 0, 4, 4)]), label=["clay", "clay"])
    assert kind.match(entry, truth, spec).hit[:, 0].tolist() == [True, False]
    assert score(spec, TruthSet(truth), entry).scores.overall["precision"] == 0.5


def test_blocks_follow_the_true_footprint() -> None:
    tiles = '[blocks]\nsize = 100.0\npublic = ["c0r0"]\n'
    spec = spec_of("polygons", POLYGONS.format(truth="", submission="", blocks=tiles))
    truth = TruthSet(polygons(boxes([(90, 10, 18, 20), (150, 10, 20, 20)])))
    entry = polygons(boxes([(92, 10, 18, 20), (300, 10, 20, 20)]))
    found = gathered(kind.pair(entry, truth, spec))
    assert set(found) == {("c0r0", "public"), ("c1r0", "private"), ("c3r0", "private")}
    (hit,) = found["c0r0", "public"]
    assert isinstance(hit, Matches)
    assert (hit.hit.shape, hit.n_truth) == ((1, 10), 1)
    scores = score(spec, truth, entry).scores
    assert (scores.public["recall"], scores.private["recall"], scores.private["precision"]) == (1.0, 0.0, 0.0)


@given(order=st.permutations(range(5)))
def test_the_order_of_features_changes_nothing(order: list[int]) -> None:
    mine = boxes([(0, 0, 5, 5), (1, 1, 5, 5), (8, 8, 4, 4), (8, 0, 3, 3), (0, 9, 3, 3)])
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    truth = TruthSet(polygons(boxes([(0, 0, 5, 6), (8, 8, 4, 3), (20, 20, 2, 2)])))
    straight = score(SPEC, truth, polygons(mine, confidence=confidence)).scores
    shuffled = score(SPEC, truth, polygons([mine[i] for i in order], confidence=confidence[order])).scores
    assert straight == shuffled


def test_nothing_against_nothing_and_too_much() -> None:
    empty = polygons([])
    assert score(SPEC, TruthSet(polygons(boxes([(0, 0, 1, 1)]))), empty).scores.overall["recall"] == 0.0
    assert score(SPEC, TruthSet(empty), polygons(boxes([(0, 0, 1, 1)]))).scores.overall["precision"] == 0.0
    many = polygons(boxes([(0, 0, 1, 1)] * 21))
    assert codes(kind.check(many, empty, SPEC)) == ["too-many-features"]
