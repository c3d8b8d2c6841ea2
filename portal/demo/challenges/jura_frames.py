"""What the Jura challenges share: ids, tiles and the map frame."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
KNOWN = ("Xloc", "Yloc", "long", "lat", "Landuse", "Rock")
ROCKS = ("Argovian", "Kimmeridgian", "Portlandian", "Quaternary", "Sequanian")
EPSG = 2056  # CH1903+ / LV95

# The local frame (km) on LV95 (m), fitted to the 5,957 grid nodes of the source: E = x · (Xloc, Yloc, 1), likewise N;
# the nodes' longitude and latitude agree with it to 2e-5 m.
EAST = (994.427678, -5.563031, 2553023.1329)
NORTH = (3.17379, 997.367593, 1217990.9059)


def with_ids(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with a first column ``id``: v001, v002 … in the source's order."""
    named = samples.copy()
    named.insert(0, "id", [f"v{row:03d}" for row in range(1, len(named) + 1)])
    return named


def tiles(samples: pd.DataFrame) -> list[str]:
    """The 1 km tile of each sample: x2y3 holds Xloc in [2, 3) and Yloc in [3, 4)."""
    return [f"x{int(x)}y{int(y)}" for x, y in zip(samples["Xloc"], samples["Yloc"], strict=True)]


def to_lv95(local: Floats) -> Floats:
    """Local coordinates in km (n, 2) to LV95 metres (n, 2)."""
    padded = np.column_stack([local, np.ones(len(local))])
    return np.column_stack([padded @ np.array(EAST), padded @ np.array(NORTH)])
