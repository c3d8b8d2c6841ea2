"""Classes on a lattice become polygons that tile it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely.geometry import shape

from portal.demo.patches import Lattice, dissolve

SMALL = arrays(np.int32, (6, 7), elements=st.integers(-1, 2))


@given(band=SMALL)
@settings(max_examples=60, deadline=None)
def test_polygons_tile_the_classified_cells(band: np.ndarray) -> None:
    lattice = Lattice(10.0, 60.0, 2.0, band.shape)
    patches = list(dissolve(band, lattice, lambda local: local))
    polygons = [shape(patch.shape) for patch in patches]
    assert all(polygon.is_valid for polygon in polygons)
    for patch, polygon in zip(patches, polygons, strict=True):
        assert polygon.area == patch.size * lattice.step**2
    for code in range(3):
        covered = sum(patch.size for patch in patches if patch.code == code)
        assert covered == np.count_nonzero(band == code)


def test_a_lattice_puts_nodes_where_they_belong() -> None:
    x, y = np.array([0.3, 0.4, 0.35]), np.array([1.7, 1.75, 1.75])
    band = Lattice.around(x, y, 0.05).fill(x, y, np.array([1, 2, 3]))
    assert band.tolist() == [[-1, 3, 2], [1, -1, -1]]


def test_small_patches_are_left_out() -> None:
    band = np.array([[0, 0, 1], [0, 0, 0]], dtype=np.int32)
    kept = list(dissolve(band, Lattice(0.0, 0.0, 1.0, band.shape), lambda local: local, least=2))
    assert [(patch.code, patch.size) for patch in kept] == [(0, 5)]
