"""Reading a camp's public layers and turning evidence into prospectivity scores and ranked targets."""

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import Affine
from scipy.ndimage import distance_transform_edt, gaussian_filter
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = npt.NDArray[np.float64]
AVOID = 300.0  # metres around known deposits that are not drilled again


@dataclass(frozen=True, slots=True)
class Layers:
    """The public layers of a camp on one grid (height, width), and the known deposits (n, 2) with ounces."""

    geology: npt.NDArray[np.int64]
    magnetics: Floats
    fault_distance: Floats
    gold: Floats
    known: Floats
    ounces: Floats
    transform: Affine
    epsg: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.gold.shape[0], self.gold.shape[1]

    def centres(self) -> Floats:
        """Map coordinates (height, width, 2) of the cell centres."""
        row, column = np.indices(self.shape)
        x = self.transform.c + (column + 0.5) * self.transform.a
        y = self.transform.f + (row + 0.5) * self.transform.e
        return np.stack([x, y], axis=-1)

    def distance_to_known(self) -> Floats:
        """Metres from each cell centre to the closest known deposit."""
        centres = self.centres()
        nearest = np.full(self.shape, np.inf)
        for place in self.known:
            np.minimum(nearest, np.hypot(*np.moveaxis(centres - place, -1, 0)), out=nearest)
        return nearest


def read_layers(public: Path) -> Layers:
    """Read the layers as published."""
    bands = {}
    for name in ("geology", "magnetics", "fault_distance", "gold_ppb"):
        with rasterio.open(public / f"{name}.tif") as source:
            bands[name], transform, epsg = source.read(1), source.transform, source.crs.to_epsg()
    known = gpd.read_file(public / "known_deposits.geojson")
    return Layers(
        geology=bands["geology"].astype(np.int64),
        magnetics=bands["magnetics"].astype(float),
        fault_distance=bands["fault_distance"].astype(float),
        gold=bands["gold_ppb"].astype(float),
        known=np.column_stack([known.geometry.x, known.geometry.y]),
        ounces=known["ounces"].to_numpy(float),
        transform=transform,
        epsg=int(epsg),
    )


def gold_anomaly(layers: Layers, *, smooth: float = 1.5) -> Floats:
    """Smoothed logarithm of gold in till above its regional level."""
    logs = np.log(layers.gold + 1.0)
    return np.asarray(gaussian_filter(logs, smooth) - gaussian_filter(logs, 30.0))


def evidence(layers: Layers) -> Floats:
    """Predictors per cell, (height·width, 12): structure, contacts, host rock, magnetics and geochemistry."""
    edge = np.zeros(layers.shape, dtype=bool)
    edge[1:] |= layers.geology[1:] != layers.geology[:-1]
    edge[:, 1:] |= layers.geology[:, 1:] != layers.geology[:, :-1]
    contact = distance_transform_edt(~edge) * layers.transform.a
    near_fault, near_contact = np.exp(-layers.fault_distance / 400.0), np.exp(-contact / 300.0)
    up_ice = np.roll(gold_anomaly(layers, smooth=2.5), (-3, 4), axis=(0, 1))  # gold seen down-ice points back up-ice
    broad = gold_anomaly(layers, smooth=6.0)
    columns = [
        near_fault, near_contact, near_fault * near_contact, gold_anomaly(layers), up_ice, broad,
        gaussian_filter(layers.magnetics, 1.0) / 100.0, *(layers.geology == unit for unit in range(1, 6)),
    ]  # fmt: skip
    return np.column_stack([np.asarray(column, dtype=float).ravel() for column in columns])


def logistic_score(layers: Layers, *, columns: slice = slice(None)) -> Floats:
    """Probability by logistic regression of known deposits against all other cells, balanced classes."""
    table, labels = evidence(layers)[:, columns], _labels(layers)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced", max_iter=500))
    return np.asarray(model.fit(table, labels).predict_proba(table)[:, 1]).reshape(layers.shape)


def forest_score(layers: Layers, *, seed: int = 0) -> Floats:
    """Probability by a random forest of known deposits against 3,000 random cells; leaves of at least ten."""
    table, labels = evidence(layers), _labels(layers)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([np.flatnonzero(labels), rng.choice(np.flatnonzero(~labels), 3000, replace=False)])
    model = RandomForestClassifier(300, min_samples_leaf=10, class_weight="balanced", random_state=seed, n_jobs=1)
    return np.asarray(model.fit(table[rows], labels[rows]).predict_proba(table)[:, 1]).reshape(layers.shape)


def weights_of_evidence(layers: Layers) -> Floats:
    """Sum of the weights W+ or W- of four binary layers (Bonham-Carter et al. 1989), as a probability."""
    known = _labels(layers).reshape(layers.shape)
    anomaly = gold_anomaly(layers)
    patterns = (
        layers.fault_distance <= 300.0,
        anomaly >= np.quantile(anomaly, 0.9),
        np.isin(layers.geology, (2, 4)),
        evidence(layers)[:, 1].reshape(layers.shape) >= np.exp(-1.0),
    )
    logit = np.full(layers.shape, np.log(known.mean() / (1.0 - known.mean())))
    for pattern in patterns:
        inside, outside = (_share(known, pattern), _share(~known, pattern))
        logit += np.where(pattern, np.log(inside / outside), np.log((1.0 - inside) / (1.0 - outside)))
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def _share(group: npt.NDArray[np.bool_], pattern: npt.NDArray[np.bool_]) -> float:
    return float((np.count_nonzero(group & pattern) + 0.5) / (np.count_nonzero(group) + 1.0))


def _labels(layers: Layers) -> npt.NDArray[np.bool_]:
    """Whether a cell lies within 150 m of a known deposit, in raster order."""
    return layers.distance_to_known().ravel() <= 150.0


def pick(layers: Layers, score: Floats, *, count: int, apart: float) -> Floats:
    """The ``count`` best cell centres (n, 2), best first, ``apart`` metres from each other, none at known deposits."""
    left = np.where(layers.distance_to_known() >= AVOID, score, -np.inf)
    centres = layers.centres()
    chosen = []
    for _ in range(count):
        best = np.unravel_index(int(np.argmax(left)), left.shape)
        chosen.append(centres[best])
        left[np.hypot(*np.moveaxis(centres - centres[best], -1, 0)) < apart] = -np.inf
    return np.array(chosen)
