"""The five kinds of prediction: how each pairs an entry with the truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from datasets.canonical import Array, Canonical
from datasets.errors import Finding
from datasets.spec import Spec
from scoring.kinds import grid, points, polygons, raster, table
from scoring.kinds.pairing import Pairing, TruthSet


def nothing(_truth: TruthSet, _spec: Spec) -> Mapping[str, Array]:
    """For kinds whose truth needs no index."""
    return {}


@dataclass(frozen=True)
class Kind:
    """What a module of this folder offers.

    ``check(prediction, template, spec)``: what keeps an entry from being scored, found without a value of the truth.
    ``pair(prediction, truth, spec)``: both aligned, block by block; raises Rejected with all findings.
    ``prepare(truth, spec)``: indexes of the truth that ``pair`` takes from ``truth.prepared``: plain arrays, kept
    memory-mapped beside an opened truth. ``pair`` makes what it needs itself when ``prepared`` is empty.
    """

    check: Callable[[Canonical, Canonical, Spec], list[Finding]]
    pair: Callable[[Canonical, TruthSet, Spec], Pairing]
    prepare: Callable[[TruthSet, Spec], Mapping[str, Array]] = nothing


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "table": Kind(table.check, table.pair, table.prepare),
        "points": Kind(points.check, points.pair, points.prepare),
        "polygons": Kind(polygons.check, polygons.pair, polygons.prepare),
        "raster": Kind(raster.check, raster.pair, raster.prepare),
        "grid": Kind(grid.check, grid.pair),
    }
)
