"""Maps moved, turned, mirrored or drawn to another scale, truth and entry alike: the same pairs and the same scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given

from scoring.contracts import MetricValues
from scoring.engine import score
from scoring.kinds.pairing import TruthSet
from scoring.metrics.registry import METRICS
from tests.properties.making import examples, seeds
from tests.scoring.making import points, polygons, spec_of

FOUND = {
    "points": 'value = "ounces"\nradius = {radius}',
    "polygons": "",
}
METRIC_NAMES = {kind: [name for other, name in METRICS if other == kind] for kind in FOUND}
CHANGES: dict[str, Callable[[Any], Any]] = {
    "moved": lambda xy: xy + np.array([1024.0, -512.0]),
    "turned": lambda xy: np.stack([-xy[..., 1], xy[..., 0]], axis=-1),
    "mirrored": lambda xy: xy[..., ::-1],
    "larger": lambda xy: 4 * xy,
    "smaller": lambda xy: xy / 1024,
}
SCALE = {"larger": 4.0, "smaller": 1 / 1024}


def scores_of(kind: str, truth: Any, entry: Any, radius: float = 3.0) -> MetricValues:
    sections = f"""
[truth]
file = "hidden/truth.gpkg"
{FOUND[kind].format(radius=radius)}
[submission]
confidence = "score"
[scoring]
primary = "precision"
metrics = {METRIC_NAMES[kind]}
"""
    return score(spec_of(kind, sections.replace("'", '"')), TruthSet(truth), entry).scores.overall


def same(found: MetricValues, wanted: MetricValues) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def boxes(rng: np.random.Generator, change: Callable[[Any], Any], *, backwards: bool = False) -> tuple[Any, Any]:
    """Twelve true boxes and twenty near them, on whole numbers; each ring may begin elsewhere and run backwards."""
    corner, size = 12 * rng.integers(0, 6, (12, 2)), rng.integers(3, 9, (12, 2))
    near = rng.integers(0, 12, 20)
    moved = corner[near] + rng.integers(-1, 2, (20, 2)), size[near] + rng.integers(-1, 2, (20, 2))
    shapes = []
    for low, extent in ((corner, size), moved):
        rings = low[:, None] + extent[:, None] * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        rings = np.roll(rings, 1, axis=1)[:, ::-1] if backwards else rings
        shapes.append([shapely.Polygon(change(ring.astype(float))) for ring in rings])
    return polygons(shapes[0]), polygons(shapes[1], confidence=np.linspace(1, 0.1, 20))


@pytest.mark.parametrize("name", CHANGES)
@examples
@given(seed=seeds)
def test_polygons(name: str, seed: int) -> None:
    plain, changed = (boxes(np.random.default_rng(seed), change) for change in (lambda xy: xy, CHANGES[name]))
    same(scores_of("polygons", *changed), scores_of("polygons", *plain))


@examples
@given(seed=seeds)
def test_how_a_ring_is_written_does_not_matter(seed: int) -> None:
    plain, other = (boxes(np.random.default_rng(seed), np.asarray, backwards=back) for back in (False, True))
    same(scores_of("polygons", *other), scores_of("polygons", *plain))


@pytest.mark.parametrize("name", CHANGES)
@examples
@given(seed=seeds)
def test_points(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # places of a unit of their own, so that no two distances are equal but for rounding
    deposits, targets = rng.uniform(0, 30, (15, 2)), rng.uniform(0, 30, (25, 2))
    ounces, confidence = rng.integers(1, 9, 15), np.linspace(1, 0.1, 25)
    scale = SCALE.get(name, 1.0)
    found = []
    for change, radius in ((np.asarray, 3.0), (CHANGES[name], 3.0 * scale)):
        truth, entry = points(change(deposits), value=ounces), points(change(targets), confidence=confidence)
        found.append(scores_of("points", truth, entry, radius))
    plain, changed = found
    if plain["mean_distance"] is not None:
        plain["mean_distance"] *= scale
    same(changed, plain)
