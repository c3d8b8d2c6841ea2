"""Entries for Jura rocks: classify the nodes from the samples, then dissolve equal classes into polygons."""

from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from shapely.geometry import shape
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from portal.demo.entries.method import Entry, Make
from portal.demo.folder import Feature, write_geojson
from portal.demo.patches import Floats, Lattice, dissolve

EPSG = 2056
Probabilities = Callable[[Floats, npt.NDArray[np.int64], Floats], Floats]


def _nearest(places: Floats, codes: npt.NDArray[np.int64], nodes: Floats) -> Floats:
    return np.asarray(KNeighborsClassifier(1).fit(places, codes).predict_proba(nodes))


def _neighbours(places: Floats, codes: npt.NDArray[np.int64], nodes: Floats) -> Floats:
    return np.asarray(KNeighborsClassifier(8, weights="distance").fit(places, codes).predict_proba(nodes))


def _tree(places: Floats, codes: npt.NDArray[np.int64], nodes: Floats) -> Floats:
    """One tree on eight rotated axes, so that boundaries need not run north or east."""
    model = DecisionTreeClassifier(min_samples_leaf=4, random_state=0)
    return np.asarray(model.fit(_turned(places), codes).predict_proba(_turned(nodes)))


def _trees(places: Floats, codes: npt.NDArray[np.int64], nodes: Floats) -> Floats:
    model = ExtraTreesClassifier(300, min_samples_leaf=2, random_state=0, n_jobs=1)
    return np.asarray(model.fit(_turned(places), codes).predict_proba(_turned(nodes)))


def _gaussian_process(places: Floats, codes: npt.NDArray[np.int64], nodes: Floats) -> Floats:
    """One against the rest with a squared-exponential kernel of 350 m, stretched twice along the Jura folds."""
    model = GaussianProcessClassifier(4.0 * RBF(350.0), optimizer=None, n_jobs=1)
    return np.asarray(model.fit(_along(places), codes).predict_proba(_along(nodes)))


def _turned(places: Floats) -> Floats:
    angles = np.arange(8) * np.pi / 8
    return np.asarray(places @ np.vstack([np.cos(angles), np.sin(angles)]))


def _along(places: Floats) -> Floats:
    """Coordinates along the folds (north-east, halved) and across."""
    half = np.sqrt(0.5)
    return np.column_stack([(places[:, 0] + places[:, 1]) * half / 2.0, (places[:, 0] - places[:, 1]) * half])


def _maker(method: Probabilities, *, least: int) -> Make:
    def make(public: Path, target: Path) -> Path:
        samples, nodes = pd.read_csv(public / "samples.csv"), pd.read_csv(public / "nodes.csv")
        rocks = sorted(samples["Rock"].unique())
        codes = samples["Rock"].map({rock: code for code, rock in enumerate(rocks)}).to_numpy(np.int64)
        chances = method(samples[["E", "N"]].to_numpy(float), codes, nodes[["E", "N"]].to_numpy(float))
        return _write(target, nodes, chances, rocks, least=least)

    return make


def _write(target: Path, nodes: pd.DataFrame, chances: Floats, rocks: list[str], *, least: int) -> Path:
    """Polygons of the most probable rock, cut by sheet, with label and confidence."""
    features = list(_outlines(nodes, chances, rocks, least=least))
    if target.suffix == ".geojson":
        return write_geojson(target, features, epsg=EPSG)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    table = gpd.GeoDataFrame(
        [dict(properties) for _, properties in features], geometry=[shape(s) for s, _ in features], crs=EPSG
    )
    if target.suffix == ".gpkg":
        table.to_file(target, driver="GPKG")
    else:
        table.to_parquet(target)
    return target


def _outlines(nodes: pd.DataFrame, chances: Floats, rocks: list[str], *, least: int) -> Iterator[Feature]:
    """One feature a patch; confidence is the mean probability of its rock on its sheet, less for small patches."""
    row, column = nodes["row"].to_numpy(), nodes["column"].to_numpy()
    sheet = np.unique(nodes["sheet"].to_numpy(str), return_inverse=True)[1]
    codes = sheet * len(rocks) + chances.argmax(axis=1)
    lattice = Lattice(0.0, 0.0, 1.0, (int(row.max()) + 1, int(column.max()) + 1))
    band = lattice.fill(column.astype(float), -row.astype(float), codes)
    design = np.column_stack([column, -row, np.ones(len(nodes))]).astype(float)
    frame, *_ = np.linalg.lstsq(design, nodes[["E", "N"]].to_numpy(float), rcond=None)
    for patch in dissolve(
        band, lattice, lambda local: np.column_stack([local, np.ones(len(local))]) @ frame, least=least
    ):
        code = patch.code % len(rocks)
        certainty = float(chances[codes == patch.code, code].mean()) * patch.size / (patch.size + 10.0)
        yield patch.shape, {"rock": rocks[code], "score": round(certainty, 4)}


ENTRIES = (
    Entry("A", "nearest.geojson", "Polygons of influence: the rock of the nearest sample.", _maker(_nearest, least=1)),
    Entry("B", "one_tree.gpkg", "A single decision tree on rotated coordinates.", _maker(_tree, least=8)),
    Entry("C", "neighbours.geojson", "Eight nearest samples weighted by distance.", _maker(_neighbours, least=8)),
    Entry(
        "D", "extra_trees.parquet", "300 extremely randomised trees on rotated coordinates.", _maker(_trees, least=8)
    ),
    Entry(
        "E",
        "gaussian_process.geojson",
        "Gaussian process classification along the folds.",
        _maker(_gaussian_process, least=8),
    ),
)
