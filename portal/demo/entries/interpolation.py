"""Interpolators of scattered samples: nearest, inverse distance and ordinary kriging.

All take sample places ``(n, 2)``, sample values ``(n,)`` and wanted places ``(m, 2)`` in one length unit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist, pdist

Floats = npt.NDArray[np.float64]
CHUNK = 4096
BINS = 24


def nearest(places: Floats, values: Floats, wanted: Floats) -> Floats:
    """The value of the closest sample."""
    return values[cKDTree(places).query(wanted)[1]]


def inverse_distance(
    places: Floats, values: Floats, wanted: Floats, *, power: float = 2.0, neighbours: int = 12
) -> Floats:
    """Mean of the closest samples weighted by distance**-power (Shepard 1968); a sample's own place gives its value."""
    distance, index = cKDTree(places).query(wanted, k=min(neighbours, len(places)))
    weight = 1.0 / np.maximum(distance, 1e-9) ** power
    return np.asarray((weight * values[index]).sum(axis=1) / weight.sum(axis=1))


@dataclass(frozen=True, slots=True)
class Variogram:
    """Nugget plus one structure: ``nugget + sill * shape(h / reach)``; ``reach`` in the unit of the places."""

    nugget: float
    sill: float
    reach: float
    shape: str = "exponential"

    def covariance(self, distance: Floats) -> Floats:
        """Covariance of the continuous part at a lag; the nugget is left to the diagonal."""
        return np.asarray(self.sill * (1.0 - SHAPES[self.shape](distance / self.reach)))


def _exponential(h: Floats) -> Floats:
    return 1.0 - np.exp(-3.0 * h)


def _spherical(h: Floats) -> Floats:
    short = np.minimum(h, 1.0)
    return 1.5 * short - 0.5 * short**3


SHAPES: dict[str, Callable[[Floats], Floats]] = {"exponential": _exponential, "spherical": _spherical}


def fit_variogram(
    places: Floats, values: Floats, *, shape: str = "exponential", furthest: float | None = None
) -> Variogram:
    """Weighted least squares on the experimental variogram, weights N/h² (Cressie 1985 in the form gstat uses).

    For each candidate reach the nugget and the sill follow from a non-negative least-squares problem.
    """
    lags = pdist(places)
    halves = 0.5 * pdist(values[:, None], "sqeuclidean")
    limit = furthest if furthest is not None else float(np.quantile(lags, 0.5))
    bins = np.minimum((lags / limit * BINS).astype(int), BINS)
    count = np.bincount(bins, minlength=BINS + 1)[:BINS]
    filled = count > 0
    middle = np.bincount(bins, lags, BINS + 1)[:BINS][filled] / count[filled]
    gamma = np.bincount(bins, halves, BINS + 1)[:BINS][filled] / count[filled]
    weight = np.sqrt(count[filled]) / middle
    best: tuple[float, Variogram] | None = None
    for reach in np.geomspace(limit / 12.0, limit * 2.0, 40):
        design = np.column_stack([np.ones_like(middle), SHAPES[shape](middle / reach)])
        (nugget, sill), residual = nnls(design * weight[:, None], gamma * weight)
        if best is None or residual < best[0]:
            best = (residual, Variogram(float(nugget), float(sill), float(reach), shape))
    if best is None or best[1].sill <= 0.0:
        return Variogram(0.0, float(np.var(values)) or 1.0, limit, shape)
    return best[1]


def ordinary_kriging(places: Floats, values: Floats, wanted: Floats, model: Variogram) -> tuple[Floats, Floats]:
    """Best linear unbiased estimate from all samples and its variance (Isaaks and Srivastava 1989, chapter 12).

    The estimate is of the continuous part: the nugget counts as measurement noise.
    """
    n = len(places)
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = model.covariance(cdist(places, places)) + np.eye(n) * max(model.nugget, 1e-9 * model.sill)
    system[n, :n] = system[:n, n] = 1.0
    inverse = np.linalg.inv(system)
    padded = np.append(values, 0.0)
    estimate, variance = np.empty(len(wanted)), np.empty(len(wanted))
    for start in range(0, len(wanted), CHUNK):
        part = slice(start, start + CHUNK)
        right = np.ones((n + 1, len(wanted[part])))
        right[:n] = model.covariance(cdist(places, wanted[part]))
        weights = inverse @ right
        estimate[part] = padded @ weights
        variance[part] = np.maximum(model.sill - (weights * right).sum(axis=0), 0.0)
    return estimate, variance
