"""What every vector reader hands on: geometries in file order, the few properties asked for, and the CRS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS

from datasets.formats.ragged import Ragged

MAX_VERTICES = 50_000_000
MAX_VERTICES_EACH = 500_000
Geometries = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a vector reader: the geometry, the properties to keep, and the most features it may have.

    ``label``: the one of ``names`` that is a text.
    """

    geometry: Literal["points", "polygons"]
    names: Sequence[str]
    limit: int
    label: str | None = None


@dataclass(frozen=True)
class Layer:
    """``points`` (n, 2) or ``shapes`` (n) of shapely geometries; ``crs`` None means the file names none.

    Points of a table come as ``columns`` x and y (n,) instead of ``points``.
    Polygons may come as ``ragged`` arrays instead of ``shapes``: then all of them could be read.
    ``properties`` by name: one Python value per feature, None where it is missing; empty when it could not be read,
    which is noted already. ``names``: all property names. ``lost`` (n) marks points that could not be read and hold
    a placeholder; a shape that could not be read is None. Both are noted already.
    """

    crs: CRS | None
    points: npt.NDArray[np.float64] | None = None
    shapes: Geometries | None = None
    properties: Mapping[str, Sequence[Any] | npt.NDArray[np.float64]] = field(default_factory=dict)
    names: Sequence[str] = ()
    local: bool = False
    lost: npt.NDArray[np.bool_] | None = None
    ragged: Ragged | None = None
    columns: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None

    def __len__(self) -> int:
        if self.columns is not None:
            return len(self.columns[0])
        given = next((item for item in (self.points, self.shapes, self.ragged) if item is not None), ())
        return len(given)


def readable(layer: Layer) -> npt.NDArray[np.int64]:
    """The features whose geometry could be read, ascending."""
    lost = shapely.is_missing(layer.shapes) if layer.shapes is not None else layer.lost
    return np.arange(len(layer), dtype=np.int64) if lost is None else np.flatnonzero(~lost)


def parse_wkb(blobs: Sequence[bytes | None]) -> Geometries:
    """Geometries of WKB texts; None where a blob is missing or damaged."""
    values = np.empty(len(blobs), dtype=object)
    values[:] = blobs
    shapes: Geometries = shapely.from_wkb(values, on_invalid="ignore")
    return shapely.force_2d(shapes)
