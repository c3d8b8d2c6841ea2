"""Entries for the Prospectivity challenge: one layer at a time, then the learned maps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from portal.demo.entries.method import Entry, Make
from portal.demo.entries.targeting import (
    Floats,
    Layers,
    forest_score,
    gold_anomaly,
    logistic_score,
    read_layers,
    weights_of_evidence,
)  # fmt: skip
from portal.demo.folder import write_tiff


def _near_known(layers: Layers) -> Floats:
    return np.asarray(np.exp(-layers.distance_to_known() / 2000.0))


def _near_faults(layers: Layers) -> Floats:
    return np.asarray(np.exp(-layers.fault_distance / 400.0))


def _geochemistry(layers: Layers) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-4.0 * gold_anomaly(layers))))


def _maker(method: Callable[[Layers], Floats]) -> Make:
    def make(public: Path, target: Path) -> Path:
        layers = read_layers(public)
        chance = np.clip(method(layers), 0.0, 1.0).astype(np.float32)
        return write_tiff(target, chance, transform=layers.transform, epsg=layers.epsg)

    return make


ENTRIES = (
    Entry("A", "geochemistry.tif", "Gold in till above its regional level.", _maker(_geochemistry)),
    Entry("B", "near_known.tif", "Mines lie near mines.", _maker(_near_known)),
    Entry("C", "near_faults.tif", "Distance to the nearest fault alone.", _maker(_near_faults)),
    Entry("D", "weights_of_evidence.tif", "Weights of evidence from four binary layers.", _maker(weights_of_evidence)),
    Entry("E", "logistic.tif", "Logistic regression on 12 predictors.", _maker(logistic_score)),
    Entry("F", "forest.tif", "Random forest on the same 12 predictors.", _maker(forest_score)),
)
