"""Entries for the Goldfield challenge: a lattice, the neighbours of the known, faults, geochemistry, learned maps."""

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np

from portal.demo.entries.method import Entry, Make
from portal.demo.entries.targeting import (
    Floats,
    Layers,
    forest_score,
    gold_anomaly,
    logistic_score,
    pick,
    read_layers,
    weights_of_evidence,
)  # fmt: skip
from portal.demo.folder import write_csv

COUNT = 110
APART = 500.0  # metres between targets: nearly twice the radius within which a target finds a deposit


def _lattice(layers: Layers) -> Floats:
    """A regular lattice of 11 × 10 places: what an uninformed driller does."""
    height, width = layers.shape
    column, row = np.meshgrid((np.arange(11) + 0.5) * width / 11, (np.arange(10) + 0.5) * height / 10)
    x, y = layers.transform.c + column * layers.transform.a, layers.transform.f + row * layers.transform.e
    return np.column_stack([x.ravel(), y.ravel()])


def _around_known(layers: Layers) -> Floats:
    return pick(layers, -layers.distance_to_known(), count=COUNT, apart=APART)


def _on_faults(layers: Layers) -> Floats:
    """Cells on faults, those closer to known ground first."""
    return pick(layers, -layers.fault_distance - 0.02 * layers.distance_to_known(), count=COUNT, apart=APART)


def _anomalies(layers: Layers) -> Floats:
    return pick(layers, gold_anomaly(layers), count=COUNT, apart=APART)


def _evidence(layers: Layers) -> Floats:
    return pick(layers, weights_of_evidence(layers), count=COUNT, apart=APART)


def _structure(layers: Layers) -> Floats:
    return pick(layers, logistic_score(layers, columns=slice(0, 3)), count=COUNT, apart=APART)


def _logistic(layers: Layers) -> Floats:
    return pick(layers, logistic_score(layers), count=COUNT, apart=APART)


def _forest(layers: Layers) -> Floats:
    return pick(layers, forest_score(layers), count=COUNT, apart=APART)


def _maker(method: Callable[[Layers], Floats]) -> Make:
    def make(public: Path, target: Path) -> Path:
        layers = read_layers(public)
        return write_targets(target, method(layers), epsg=layers.epsg)

    return make


def write_targets(target: Path, places: Floats, *, epsg: int) -> Path:
    """Ranked targets in the format that the file's ending names; CSV is longitude and latitude on WGS 84."""
    target.parent.mkdir(parents=True, exist_ok=True)
    points = gpd.GeoDataFrame({"rank": np.arange(1, len(places) + 1)}, geometry=gpd.points_from_xy(*places.T), crs=epsg)
    if target.suffix == ".csv":
        degrees = points.to_crs(4326).geometry
        table = points[["rank"]].assign(lon=degrees.x.round(7), lat=degrees.y.round(7))
        return write_csv(target, table)
    if target.suffix == ".parquet":
        points.to_parquet(target)
    else:
        target.unlink(missing_ok=True)
        points.to_file(target, driver={".geojson": "GeoJSON", ".gpkg": "GPKG"}[target.suffix])
    return target


ENTRIES = (
    Entry("A", "lattice.geojson", "A regular lattice of 110 holes: the price of knowing nothing.", _maker(_lattice)),
    Entry("B", "around_known.csv", "As close to the known deposits as the rules allow.", _maker(_around_known)),
    Entry("C", "on_faults.gpkg", "Along the faults, 500 m apart.", _maker(_on_faults)),
    Entry("B", "anomalies.geojson", "Peaks of smoothed gold in till.", _maker(_anomalies)),
    Entry("D", "weights_of_evidence.geojson", "Weights of evidence from four binary layers.", _maker(_evidence)),
    Entry("E", "structure.parquet", "Logistic regression on distance to faults and contacts.", _maker(_structure)),
    Entry("E", "logistic.parquet", "Logistic regression on all layers, 12 predictors.", _maker(_logistic)),
    Entry("F", "forest.gpkg", "Random forest on the same 12 predictors.", _maker(_forest)),
)
