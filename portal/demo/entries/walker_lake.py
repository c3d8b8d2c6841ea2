"""Entries for Walker Lake: mean, nearest sample, inverse distance, ordinary kriging."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from rasterio.transform import Affine

from portal.demo.entries.interpolation import Floats, fit_variogram, inverse_distance, nearest, ordinary_kriging
from portal.demo.entries.method import Entry, Make
from portal.demo.folder import write_tiff

WIDTH, HEIGHT = 260, 300
GRID = Affine(1.0, 0.0, 0.5, 0.0, -1.0, 300.5)
Interpolate = Callable[[Floats, Floats, Floats], Floats]


def nodes() -> Floats:
    """All nodes (78000, 2) in raster order: north to south, west to east."""
    x, y = np.meshgrid(np.arange(1.0, WIDTH + 1), np.arange(float(HEIGHT), 0.0, -1.0))
    return np.column_stack([x.ravel(), y.ravel()])


def _mean(places: Floats, values: Floats, wanted: Floats) -> Floats:
    """Cell-declustered mean: each 20 × 20 cell counts once, so rich clusters do not."""
    cells = pd.Series(values).groupby([places[:, 0] // 20, places[:, 1] // 20]).mean()
    return np.full(len(wanted), float(cells.mean()))


def _kriging(places: Floats, values: Floats, wanted: Floats) -> Floats:
    model = fit_variogram(places, values, shape="spherical", furthest=100.0)
    return np.maximum(ordinary_kriging(places, values, wanted, model)[0], 0.0)


def _root_kriging(places: Floats, values: Floats, wanted: Floats) -> Floats:
    """Kriging of √V; the square of the estimate plus its variance is the mean of V."""
    roots = np.sqrt(values)
    model = fit_variogram(places, roots, shape="exponential", furthest=100.0)
    estimate, variance = ordinary_kriging(places, roots, wanted, model)
    return np.asarray(np.maximum(estimate, 0.0) ** 2 + variance)


def _maker(interpolate: Interpolate) -> Make:
    def make(public: Path, target: Path) -> Path:
        samples = pd.read_csv(public / "samples.csv")
        places = samples[["X", "Y"]].to_numpy(float)
        values = interpolate(places, samples["V"].to_numpy(float), nodes())
        return write_tiff(target, values.reshape(HEIGHT, WIDTH).astype(np.float32), transform=GRID, epsg=None)

    return make


ENTRIES = (
    Entry("A", "declustered_mean.tif", "One number everywhere: the mean after cell declustering.", _maker(_mean)),
    Entry("B", "nearest.tif", "Polygons of influence: the nearest sample.", _maker(nearest)),
    Entry("C", "inverse_distance.tif", "Inverse distance squared, 12 nearest samples.", _maker(inverse_distance)),
    Entry(
        "D", "ordinary_kriging.tif", "Ordinary kriging, spherical variogram fitted up to 100 units.", _maker(_kriging)
    ),
    Entry(
        "D",
        "root_kriging.tif",
        "Ordinary kriging of the square root, back-transformed with its variance.",
        _maker(_root_kriging),
    ),
)
