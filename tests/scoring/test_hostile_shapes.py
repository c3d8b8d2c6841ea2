"""Footprints no planet holds: they match nothing, and nothing is computed for them."""

from typing import Any

import numpy as np
import pytest
import shapely

from datasets.canonical import Canonical
from scoring.kinds import polygons
from tests.datasets import controls

SPEC = controls.spec("polygons", "", 'confidence = "score"', metric="f1_iou50")


def footprints(shapes: list[Any]) -> Canonical:
    _, coords, (rings, parts, features) = shapely.to_ragged_array([shapely.MultiPolygon([shape]) for shape in shapes])
    offsets = {
        name: np.asarray(item, dtype=np.int64)
        for name, item in zip(("rings", "parts", "features"), (rings, parts, features), strict=True)
    }
    arrays = {"coords": np.ascontiguousarray(coords[:, :2]), **offsets, "confidence": np.linspace(1, 0, len(shapes))}
    return Canonical("polygons", arrays, {"crs": None})


def ring(size: float) -> Any:
    return shapely.Polygon([(-size, -size), (size, -size), (size, size), (-size, size)])


@pytest.mark.parametrize("size", [1e308, 1e160, 1e150])
def test_endless_footprints_cost_nothing(size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = [shapely.box(30 * at, 0, 30 * at + 20, 10) for at in range(200)]
    asked: list[int] = []
    iou = polygons._iou

    def counted(left: Any, right: Any) -> Any:
        asked.append(len(left))
        return iou(left, right)

    monkeypatch.setattr(polygons, "_iou", counted)
    found = polygons.match(footprints([ring(size)] * 50 + truth), footprints(truth), SPEC)
    assert not found.hit[:50].any()
    assert found.hit[50:].all()
    assert sum(asked) == 0
    found = polygons.match(
        footprints(truth), footprints([ring(size), *truth]), SPEC
    )  # nor hides one in the truth others
    assert found.hit.all()
    assert found.taken.tolist() == list(range(1, 201))
