"""A compiled loop over footprints: a point inside each."""

# ruff: noqa: PLR0912, C901  loops of numbers: no objects, and calls cost

import numpy as np
import numpy.typing as npt

from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_F2, _I1 = "Array(float64, 2, 'C', True)", "Array(int64, 1, 'C', True)"


@compiled(f"void({_F2}, {_I1}, {_I1}, {_I1}, int64, float64[:, ::1])")
def inner_points(coords: Floats, rings: Ints, parts: Ints, features: Ints, largest: int, out: Floats) -> None:
    """A point inside each footprint (n, 2): the middle of the widest stretch of a level line of each part.

    The line lies half-way between the vertices nearest above and below the middle of the part's height, as in JTS'
    InteriorPointArea. ``largest``: the most vertices of a part.
    """
    crossings = np.empty(largest + 1)
    for i in range(len(features) - 1):
        widest = -1.0
        for part in range(features[i], features[i + 1]):
            start, stop = rings[parts[part]], rings[parts[part + 1]]
            if stop <= start:
                continue
            low, high = np.inf, -np.inf
            for k in range(start, rings[parts[part] + 1]):
                low, high = min(low, coords[k, 1]), max(high, coords[k, 1])
            centre = (low + high) / 2.0
            for k in range(start, stop):
                y = coords[k, 1]
                if y <= centre:
                    low = max(low, y)
                else:
                    high = min(high, y)
            line, count, width = (high + low) / 2.0, 0, 0.0
            at_x, at_y = coords[start, 0], coords[start, 1]
            for ring in range(parts[part], parts[part + 1]):
                for k in range(rings[ring] + 1, rings[ring + 1]):
                    x0, y0, x1, y1 = coords[k - 1, 0], coords[k - 1, 1], coords[k, 0], coords[k, 1]
                    if (y0 > line and y1 > line) or (y0 < line and y1 < line) or y0 == y1:
                        continue
                    if (y0 == line and y1 < line) or (y1 == line and y0 < line):
                        continue
                    crossings[count] = x0 if x0 == x1 else x0 + (line - y0) / ((y1 - y0) / (x1 - x0))
                    count += 1
            ranked = np.sort(crossings[:count])
            for k in range(0, count - 1, 2):
                if ranked[k + 1] - ranked[k] > width:
                    width = ranked[k + 1] - ranked[k]
                    at_x, at_y = (ranked[k] + ranked[k + 1]) / 2.0, line
            if width > widest:
                widest, out[i, 0], out[i, 1] = width, at_x, at_y
