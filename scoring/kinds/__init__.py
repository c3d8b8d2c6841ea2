"""The five kinds of prediction: how each pairs an entry with the truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from datasets.canonical import Canonical
from datasets.errors import Finding
from datasets.spec import Spec
from scoring.kinds import grid, points, polygons, raster, table
from scoring.kinds.pairing import Pairing, TruthSet


@dataclass(frozen=True)
class Kind:
    """What a module of this folder offers.

    ``check(prediction, template, spec)``: what keeps an entry from being scored, found without a value of the truth.
    ``pair(prediction, truth, spec)``: both aligned, block by block; raises Rejected with all findings.
    """

    check: Callable[[Canonical, Canonical, Spec], list[Finding]]
    pair: Callable[[Canonical, TruthSet, Spec], Pairing]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "table": Kind(table.check, table.pair),
        "points": Kind(points.check, points.pair),
        "polygons": Kind(polygons.check, polygons.pair),
        "raster": Kind(raster.check, raster.pair),
        "grid": Kind(grid.check, grid.pair),
    }
)
