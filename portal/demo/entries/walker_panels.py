"""Entries for Walker Lake panels: sample quantiles, neighbours, trees, conditional simulations."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial import cKDTree
from sklearn.ensemble import ExtraTreesRegressor

from portal.demo.entries.interpolation import Floats, fit_variogram
from portal.demo.entries.method import Entry, Make
from portal.demo.entries.simulation import conditional
from portal.demo.folder import write_netcdf, write_zarr_zip

HEIGHT, WIDTH, PANEL = 300, 260, 10
MEMBERS = 40
Y, X = np.arange(30) * PANEL + 5.5, np.arange(26) * PANEL + 5.5
Ensemble = Callable[[pd.DataFrame], Floats]


def _quantiles(samples: pd.DataFrame) -> Floats:
    """Quantiles of the cell-declustered samples, the same in every panel."""
    cells = samples.groupby([samples["X"] // 20, samples["Y"] // 20])["V"]
    weights = 1.0 / cells.transform("size").to_numpy(float)
    order = np.argsort(samples["V"].to_numpy(float))
    share = np.cumsum(weights[order]) / weights.sum()
    levels = np.interp((np.arange(MEMBERS) + 0.5) / MEMBERS, share, samples["V"].to_numpy(float)[order])
    return np.broadcast_to(levels[:, None, None], (MEMBERS, 30, 26)).copy()


def _neighbours(samples: pd.DataFrame) -> Floats:
    """The values of the ten samples nearest to the panel's centre."""
    east, north = np.meshgrid(X, Y)
    index = cKDTree(samples[["X", "Y"]].to_numpy(float)).query(np.column_stack([east.ravel(), north.ravel()]), k=10)[1]
    return np.asarray(samples["V"].to_numpy(float)[index].T.reshape(10, 30, 26))


def _trees(samples: pd.DataFrame) -> Floats:
    """Each member is one extremely randomised tree, averaged over 5 × 5 places of the panel."""
    places, values = samples[["X", "Y"]].to_numpy(float), samples["V"].to_numpy(float)
    model = ExtraTreesRegressor(MEMBERS, min_samples_leaf=2, random_state=0, n_jobs=1).fit(places, values)
    east, north = np.meshgrid(np.arange(1.5, WIDTH, 2.0), np.arange(1.5, HEIGHT, 2.0))
    wanted = np.column_stack([east.ravel(), north.ravel()])
    return np.stack([tree.predict(wanted).reshape(30, 5, 26, 5).mean(axis=(1, 3)) for tree in model.estimators_])


def _gaussian(samples: pd.DataFrame) -> Floats:
    """Conditional simulation of V itself; panel means below zero are cut."""
    return np.maximum(_panels(_simulate(samples, samples["V"].to_numpy(float))), 0.0)


def _roots(samples: pd.DataFrame) -> Floats:
    """Conditional simulation of √V: squares are never negative and skewed as the samples are."""
    return _panels(np.maximum(_simulate(samples, np.sqrt(samples["V"].to_numpy(float))), 0.0) ** 2)


def _simulate(samples: pd.DataFrame, values: Floats) -> Floats:
    """Realisations (members, 300, 260), south first, of an attribute with a fitted exponential variogram."""
    model = fit_variogram(samples[["X", "Y"]].to_numpy(float), values, furthest=100.0)
    cells = samples[["Y", "X"]].to_numpy(np.intp) - 1
    return conditional(cells, values, model, shape=(HEIGHT, WIDTH), count=MEMBERS, seed=0)


def _panels(fields: Floats) -> Floats:
    return np.asarray(fields.reshape(len(fields), 30, PANEL, 26, PANEL).mean(axis=(2, 4)))


def _maker(method: Ensemble) -> Make:
    def make(public: Path, target: Path) -> Path:
        members = method(pd.read_csv(public / "samples.csv")).astype(np.float32)
        coords = {"member": np.arange(len(members)), "y": Y, "x": X}
        data = xr.DataArray(members, dims=("member", "y", "x"), coords=coords, name="v")
        return write_netcdf(target, data) if target.suffix == ".nc" else write_zarr_zip(target, data)

    return make


ENTRIES = (
    Entry("A", "quantiles.nc", "Quantiles of the declustered samples, the same everywhere.", _maker(_quantiles)),
    Entry("B", "neighbours.nc", "The ten nearest samples as they are.", _maker(_neighbours)),
    Entry("C", "trees.zarr.zip", "Forty extremely randomised trees.", _maker(_trees)),
    Entry(
        "D", "gaussian_simulation.nc", "Forty conditional simulations of V, averaged over panels.", _maker(_gaussian)
    ),
    Entry("D", "root_simulation.nc", "Forty conditional simulations of the square root.", _maker(_roots)),
)
