"""Turning a grid of classes into polygons of equal class, and back into the map frame."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.features import shapes
from rasterio.transform import Affine

Floats = npt.NDArray[np.float64]
ToMap = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Lattice:
    """Regular nodes: node (row, column) lies at (west + column · step, north − row · step) of a local frame."""

    west: float
    north: float
    step: float
    shape: tuple[int, int]

    @classmethod
    def around(cls, x: Floats, y: Floats, step: float) -> "Lattice":
        """The smallest lattice that holds all the given nodes."""
        width, height = round(float(np.ptp(x)) / step) + 1, round(float(np.ptp(y)) / step) + 1
        return cls(float(x.min()), float(y.max()), step, (height, width))

    def fill(self, x: Floats, y: Floats, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Codes on the lattice (height, width); −1 where no node is given."""
        band = np.full(self.shape, -1, dtype=np.int32)
        row, column = (
            np.rint((self.north - y) / self.step).astype(int),
            np.rint((x - self.west) / self.step).astype(int),
        )
        band[row, column] = codes
        return band

    @property
    def cells(self) -> Affine:
        """Cell corners: each node is the centre of a cell one step wide."""
        return Affine(self.step, 0.0, self.west - self.step / 2, 0.0, -self.step, self.north + self.step / 2)


@dataclass(frozen=True, slots=True)
class Patch:
    """Cells of one class that touch along edges: code, GeoJSON polygon in map coordinates, number of cells."""

    code: int
    shape: dict[str, Any]
    size: int


def dissolve(band: npt.NDArray[np.int32], lattice: Lattice, to_map: ToMap, *, least: int = 1) -> Iterator[Patch]:
    """Polygons of the connected patches (4 neighbours) of at least ``least`` cells, in raster order.

    ``to_map`` takes local coordinates (n, 2) to map metres (n, 2); results are rounded to the centimetre.
    """
    for shape, code in shapes(band, mask=band >= 0, connectivity=4, transform=lattice.cells):
        rings = [np.array(ring, dtype=float) for ring in shape["coordinates"]]
        size = round(sum(_signed_area(ring) for ring in rings) / lattice.step**2)
        if abs(size) >= least:
            turned = [np.round(to_map(ring), 2).tolist() for ring in rings]
            yield Patch(int(code), {"type": "Polygon", "coordinates": turned}, abs(size))


def _signed_area(ring: Floats) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
