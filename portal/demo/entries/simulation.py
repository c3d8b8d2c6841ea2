"""Conditional simulation on a regular grid: equally probable fields that honour the samples."""

import numpy as np
import numpy.typing as npt
from scipy.fft import fft2, ifft2
from scipy.spatial.distance import cdist

from portal.demo.entries.interpolation import CHUNK, Floats, Variogram


def unconditional(model: Variogram, shape: tuple[int, int], count: int, rng: np.random.Generator) -> Floats:
    """``count`` Gaussian fields (count, height, width) with the model's covariance and unit cells.

    By circulant embedding on a torus of twice the size (Dietrich and Newsam 1997); negative eigenvalues are cut.
    """
    height, width = 2 * shape[0], 2 * shape[1]
    rows = np.minimum(np.arange(height), height - np.arange(height))
    columns = np.minimum(np.arange(width), width - np.arange(width))
    power = np.maximum(fft2(model.covariance(np.hypot(rows[:, None], columns[None, :]))).real, 0.0)
    scale = np.sqrt(power * height * width)
    fields = np.empty((count, *shape))
    for start in range(0, count, 2):
        white = rng.standard_normal((height, width)) + 1j * rng.standard_normal((height, width))
        pair = ifft2(scale * white)[: shape[0], : shape[1]]
        fields[start : start + 2] = np.stack([pair.real, pair.imag])[: count - start]
    return fields


def conditional(
    cells: npt.NDArray[np.intp], values: Floats, model: Variogram, *, shape: tuple[int, int], count: int, seed: int
) -> Floats:
    """``count`` realisations (count, height, width) given samples in cells ``(n, 2)`` of (row, column).

    Conditioning by kriging (Journel and Huijbregts 1978, chapter VII): a simulated field is corrected by the kriged
    difference between the samples and its own values there. The nugget counts as measurement noise.
    """
    rng = np.random.default_rng(seed)
    fields = unconditional(model, shape, count, rng)
    noise = np.sqrt(model.nugget) * rng.standard_normal((count, len(values)))
    gaps = values - (fields[:, cells[:, 0], cells[:, 1]] + noise)
    n = len(values)
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = model.covariance(cdist(cells, cells)) + np.eye(n) * max(model.nugget, 1e-9 * model.sill)
    system[n, :n] = system[:n, n] = 1.0
    dual = np.linalg.solve(system, np.vstack([gaps.T, np.zeros(count)]))
    nodes = np.argwhere(np.ones(shape, dtype=bool)).astype(float)
    flat = fields.reshape(count, -1)
    for start in range(0, len(nodes), CHUNK):
        part = slice(start, start + CHUNK)
        flat[:, part] += (model.covariance(cdist(nodes[part], cells)) @ dual[:n] + dual[n]).T
    return fields
