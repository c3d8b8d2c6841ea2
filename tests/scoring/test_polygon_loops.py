"""The compiled matching of footprints against the rule written out with GEOS."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import threads
from datasets.errors import Rejected
from scoring.engine import score
from scoring.kinds import polygons as kind
from scoring.kinds.crossing_loops import crossings
from scoring.kinds.pairing import TruthSet
from scoring.kinds.polygon_loops import EDGES, doubtful, edges, shared_area
from tests.scoring.making import polygons
from tests.scoring.test_kinds_polygons import POLYGONS, SPEC, spec_of

LABELLED = spec_of("polygons", POLYGONS.format(truth='label = "class"', submission='label = "class"', blocks=""))
TILED = spec_of("polygons", POLYGONS.format(truth="", submission="", blocks="[blocks]\nsize = 7.0\npublic = 0.5\n"))


@st.composite
def footprints(draw: Any, whole: bool = False) -> Any:
    """A valid polygon or multipolygon, perhaps concave, with holes, on a small grid or off it."""
    numbers = st.integers(0, 8) if whole or draw(st.booleans()) else st.floats(0, 8)
    corners = draw(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=7))
    shape = shapely.polygons([corners])[0] if len(set(corners)) > 2 else shapely.box(0, 0, 1, 1)
    made = shapely.make_valid(shape, method="structure")
    if draw(st.booleans()):
        x, y = draw(st.integers(0, 6)), draw(st.integers(0, 6))
        made = draw(st.sampled_from([shapely.union, shapely.difference]))(made, shapely.box(x, y, x + 2, y + 3))
    solid = made.geom_type in {"Polygon", "MultiPolygon"} and made.area > 1e-3 and made.is_valid
    return made if solid else shapely.box(0, 0, draw(st.integers(1, 8)), 3)


def by_rule(mine: list[Any], theirs: list[Any], labels: tuple[list[str], list[str]] | None) -> tuple[Any, Any, Any]:
    """Greedy matching of predictions in rank order at every threshold, with GEOS alone."""
    hit, first = np.zeros((len(mine), 10), dtype=bool), np.full(len(mine), kind.NONE)
    quality = np.zeros(len(mine))
    for step, threshold in reversed(list(enumerate(kind.THRESHOLDS))):
        free = set(range(len(theirs)))
        for who, shape in enumerate(mine):
            best = (-threshold, len(theirs))
            for which in free:
                same = shape.equals_exact(theirs[which])  # GEOS may round the area it shares with itself
                shared = shape.area if same else shape.intersection(theirs[which]).area
                iou = shared / (shape.area + theirs[which].area - shared)
                if labels is None or labels[0][who] == labels[1][which]:
                    best = min(best, (-iou, which))
            if best[1] < len(theirs):
                free.discard(best[1])
                hit[who, step], first[who], quality[who] = True, best[1], -best[0] if step == 0 else 0.0
    return hit, first, quality


@settings(deadline=None, max_examples=60)
@given(data=st.data(), shift=st.sampled_from([(0.0, 1.0), (5.7e6, 1.0), (-3e5, 0.01)]))
def test_matching_is_what_the_rule_says(data: Any, shift: tuple[float, float]) -> None:
    pool = data.draw(st.lists(footprints(), min_size=1, max_size=6))
    pool = [shapely.transform(shape, lambda xy: xy * shift[1] + shift[0]) for shape in pool]
    pool = [shape for shape in pool if shape.is_valid and shape.area > 0] or [shapely.box(0, 0, 1, 1)]
    pick = st.lists(st.sampled_from(range(len(pool))), max_size=8)
    mine, theirs = ([pool[i] for i in data.draw(pick)] for _ in range(2))
    labels = tuple([data.draw(st.sampled_from("ab")) for _ in rows] for rows in (mine, theirs))
    spec, given_ = (LABELLED, labels) if data.draw(st.booleans()) and mine and theirs else (SPEC, None)
    confidence = np.linspace(1, 0, len(mine))
    more: list[Any] = [{} if given_ is None else {"label": rows} for rows in labels]
    found = kind.match(polygons(mine, confidence=confidence, **more[0]), polygons(theirs, **more[1]), spec)
    hit, first, quality = by_rule(mine, theirs, given_)
    assert found.hit.tolist() == hit.tolist()
    for one, other in zip(found.taken.tolist(), first.tolist(), strict=True):  # GEOS may give the same area two values
        assert one == other or (min(one, other) >= 0 and theirs[one].equals(theirs[other]))
    assert found.iou == pytest.approx(quality, rel=1e-7 if shift[0] else 1e-11, abs=0)


@settings(deadline=None, max_examples=60)
@given(one=footprints(), other=footprints())
def test_shared_area_is_that_of_geos(one: Any, other: Any) -> None:
    wanted, own = one.intersection(other).area, []
    for shape in (one, other):
        arrays = kind.footprints(polygons([shape]))
        room = np.empty((5, EDGES))
        count = edges(arrays.coords, kind.measured(arrays)["weight"], 0, len(arrays.coords), 4.0, 4.0, room)
        own += [room, count]
    assert shared_area(*own, np.empty(EDGES)) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(shapes=st.lists(footprints(), min_size=1, max_size=5))
def test_measures_and_inner_points_are_those_of_geos(shapes: list[Any]) -> None:
    canonical = polygons(shapes)
    facts = kind.measured(kind.footprints(canonical))["facts"]
    assert np.array_equal(facts[:, :4], shapely.bounds(shapes))
    assert facts[:, 4] == pytest.approx(shapely.area(shapes), rel=1e-12)
    inside = shapely.point_on_surface(kind.geometries(canonical))
    assert kind.centres(canonical).tolist() == shapely.get_coordinates(inside).tolist()


def crowd(count: int, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    low, size = rng.uniform(0, 40, (count, 2)), rng.uniform(1, 4, (count, 2)) * rng.choice([1, 1, 6], (count, 1))
    return list(shapely.box(*low.T, *(low + size).T))


def test_pieces_threads_and_a_kept_index_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = crowd(600, 1)
    mine = [*crowd(300, 2), *theirs[:200]]
    entry, truth = polygons(mine, confidence=np.sin(np.arange(500.0))), polygons(theirs)
    plain = score(TILED, TruthSet(truth), entry)
    kept = {name: np.asarray(array) for name, array in kind.prepare(TruthSet(truth), TILED).items()}
    for array in kept.values():
        array.flags.writeable = False
    for step, pairs, chunk, count in ((4096, 32_768, 1 << 18, 3), (16, 32_768, 64, 1), (50, 7, 200, 3), (3, 1, 9, 1)):
        monkeypatch.setattr(threads, "allowed", lambda count=count: count)
        for name, value in (("STEP", step), ("PAIRS", pairs), ("CHUNK", chunk)):
            monkeypatch.setattr(kind, name, value)
        assert score(TILED, TruthSet(truth, prepared=kept), entry).scores == plain.scores


def test_stacked_footprints_are_matched_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "PAIRS", 50)
    shapes = [shapely.box(0, 0, 10, 10 + i % 3) for i in range(60)]
    found = kind.match(polygons(shapes), polygons(shapes), SPEC)
    assert found.taken.tolist() == list(range(60))
    assert found.hit.all()


def refused(mine: list[Any], theirs: list[Any]) -> list[str]:
    try:
        kind.match(polygons(mine), polygons(theirs), SPEC)
    except Rejected as error:
        return [finding.code for finding in error.findings]
    return []


def comb(teeth: int) -> Any:
    """A back along x = 0 with long teeth to the right."""
    corners = [(0.0, 0.0)]
    for i in range(teeth):
        corners += [(100.0, i), (100.0, i + 0.5), (1.0, i + 0.5), (1.0, i + 1.0)]
    return shapely.Polygon([*corners, (0.0, float(teeth))])


def test_a_pile_of_footprints_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "MOST", 200_000)
    pile, apart = [shapely.box(0, 0, 10, 10)] * 40, [shapely.box(20 * i, 0, 20 * i + 10, 10) for i in range(40)]
    assert refused(pile, pile) == ["too-slow"]
    assert kind.match(polygons(apart), polygons(apart), SPEC).hit.all()
    assert int(kind.match(polygons(pile), polygons(apart), SPEC).hit[:, 0].sum()) == 1


def test_outlines_that_cross_without_end_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    one = comb(100)
    other = shapely.transform(one, lambda xy: xy[:, ::-1])
    assert refused([one], [other]) == []
    monkeypatch.setattr(kind, "CROSSED", 10_000)  # 200 long edges across 200 others
    assert refused([one], [other]) == ["too-slow"]
    assert refused([one], [shapely.transform(one, lambda xy: xy + 0.01)]) == []
    monkeypatch.setattr(kind, "CROSSED", 1 << 22)
    monkeypatch.setattr(kind, "MOST", 20_000_000)
    assert refused([one], [other]) == ["too-slow"]


def test_a_verdict_does_not_depend_on_threads_and_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = crowd(400, 2), crowd(400, 1)
    monkeypatch.setattr(kind, "STEP", 16)
    paid: list[int] = []
    pay = kind._Search._pay

    def noted(search: Any, spent: int) -> None:
        paid.append(spent)
        pay(search, spent)

    monkeypatch.setattr(kind._Search, "_pay", noted)
    assert refused(mine, theirs) == []
    whole = sum(paid)
    for count in (1, 3):
        monkeypatch.setattr(threads, "allowed", lambda count=count: count)
        for most, codes in ((whole, []), (whole - 1, ["too-slow"]), (whole // 2, ["too-slow"])):
            monkeypatch.setattr(kind, "MOST", most)
            assert refused(mine, theirs) == codes


@settings(deadline=None, max_examples=60)
@given(one=footprints(), other=footprints())
def test_edges_that_may_cross_are_counted(one: Any, other: Any) -> None:
    own = [kind.footprints(polygons([shape])) for shape in (one, other)]
    weights = [kind.measured(shapes)["weight"] for shapes in own]
    lows, highs = [], []
    for shapes, weight in zip(own, weights, strict=True):
        steps = np.stack([shapes.coords[:-1], shapes.coords[1:]])[:, weight[:-1] != 0]
        lows.append(steps.min(axis=0))
        highs.append(steps.max(axis=0))
    touch = (lows[0][:, None] <= highs[1]).all(axis=2) & (lows[1] <= highs[0][:, None]).all(axis=2)
    ends = [np.array([[0, len(shapes.coords)]]) for shapes in own]
    count = np.zeros(1, dtype=np.int64)
    looked = crossings(own[0].coords, ends[0], weights[0], own[1].coords, ends[1], weights[1], 1 << 40, count)
    assert count.tolist() == [touch.sum()]
    assert looked >= count[0]
    assert (
        crossings(own[0].coords, ends[0], weights[0], own[1].coords, ends[1], weights[1], looked - 1, count) >= looked
    )


def test_the_index_is_the_same_wherever_it_is_made() -> None:
    far = [shapely.box(1e300, 0, 1.5e300, 1e10), shapely.box(-1e300, 0, 1, 1)]
    for shapes in (crowd(900, 5), crowd(1, 5), [shapely.box(0, 0, 1, 1)] * 300, [*far, *crowd(40, 6)]):
        facts = kind.measured(kind.footprints(polygons(shapes)))["facts"]
        tree = kind.tree_of(facts)
        assert sorted(tree["items"].tolist()) == list(range(len(shapes)))
        assert np.array_equal(tree["leaves"], facts[tree["items"]])
        levels, boxes = tree["levels"], tree["boxes"]
        assert levels[-1] == len(boxes)
        for low, middle, high in zip(levels[:-2], levels[1:-1], levels[2:], strict=True):
            above = boxes[middle:high].transpose(0, 2, 1).reshape(-1, 6)[: middle - low]
            below = boxes[low:middle]
            assert np.array_equal(above[:, [0, 1, 4]], below.min(axis=2)[:, [0, 1, 4]])
            assert np.array_equal(above[:, [2, 3, 5]], below.max(axis=2)[:, [2, 3, 5]])


def test_footprints_of_many_vertices_are_left_to_geos() -> None:
    disc, other = shapely.Point(0, 0).buffer(10, quad_segs=2000), shapely.Point(1, 0).buffer(10, quad_segs=300)
    found = kind.match(polygons([disc, other]), polygons([other, disc]), SPEC)
    assert found.taken.tolist() == [1, 0]
    assert found.iou == pytest.approx([1.0, 1.0], abs=1e-12)
    few = polygons([shapely.Point(0.3, 0.1).buffer(10, quad_segs=9)])
    same = kind.match(few, few, SPEC)
    assert same.iou[0] == 1.0


def test_truth_without_extent_and_far_away() -> None:
    thin = shapely.Polygon([(0, 0), (1e-200, 0), (1e-200, 1e-200)])
    far = shapely.Polygon([(1e200, 0), (2e200, 0), (2e200, 1e200)])
    found = kind.match(polygons([thin, far, thin]), polygons([shapely.box(0, 0, 1, 1), thin]), SPEC)
    assert not found.hit.any()


def test_pairs_that_tie_are_in_doubt_together() -> None:
    one, other = 0.61, 0.61 + 1e-13
    for values in ([one, one, other], [other, one, one], [one, other, one], [one, one, one, other, other, 0.72]):
        iou = np.array([[value, 1e-12] for value in values])
        doubt = np.zeros(len(values), dtype=np.bool_)
        doubtful(np.zeros(len(values), dtype=np.int64), iou, np.array([0.5]), doubt)
        assert doubt.tolist() == [value < 0.7 for value in values]
