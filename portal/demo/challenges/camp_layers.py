"""The public and hidden files that both challenges on a synthetic camp share."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from portal.demo.camp import EPSG, UNITS, Camp
from portal.demo.folder import Feature, point, write_csv, write_geojson, write_text, write_tiff

ORIGIN = """\
Synthetic data. No place on earth looks like this camp and nothing in it was measured.

All layers come from the deterministic generator portal/demo/camp.py of Motherlode (seed {seed}; Apache-2.0).
The rules it follows are those of orogenic gold in a greenstone belt: faults, contacts, host rocks, fluid pulses,
till plumes down-ice, cover that hides. The coordinates are NAD83 / UTM zone 15N (EPSG:26915), metres.

geology.tif         unit number, see geology_units.csv
magnetics.tif       residual total magnetic field, nT
fault_distance.tif  distance to the nearest mapped fault, m
gold_ppb.tif        gold in till, ppb
faults.geojson      fault traces; order 1 is a crustal break, 2 a splay
known_deposits.geojson  known deposits with their endowment in troy ounces
"""


def write_layers(folder: Path, camp: Camp, *, seed: int) -> None:
    """Write the layers, the faults and the known deposits of a camp into ``folder``."""
    write_tiff(folder / "geology.tif", camp.geology, transform=camp.transform, epsg=EPSG, nodata=0)
    for name, band in (("magnetics", camp.magnetics), ("fault_distance", camp.fault_distance), ("gold_ppb", camp.gold)):
        write_tiff(folder / f"{name}.tif", band.astype(np.float32), transform=camp.transform, epsg=EPSG)
    write_csv(folder / "geology_units.csv", pd.DataFrame({"unit": range(1, len(UNITS) + 1), "name": UNITS}))
    write_geojson(folder / "faults.geojson", _faults(camp), epsg=EPSG)
    write_geojson(folder / "known_deposits.geojson", deposits(camp, camp.deposits.known, prefix="K"), epsg=EPSG)
    write_text(folder / "ORIGIN.txt", ORIGIN.format(seed=seed))


def deposits(camp: Camp, chosen: npt.NDArray[np.bool_], *, prefix: str) -> list[Feature]:
    """Point features of the chosen deposits from west to east, with ``name`` and ``ounces``."""
    places, ounces = camp.deposits.places[chosen], camp.deposits.ounces[chosen]
    order = np.argsort(places[:, 0], kind="stable")
    return [
        (point(*places[i]), {"name": f"{prefix}{rank:02d}", "ounces": float(ounces[i])})
        for rank, i in enumerate(order, start=1)
    ]


def _faults(camp: Camp) -> Iterable[Feature]:
    for number, fault in enumerate(camp.faults, start=1):
        shape = {"type": "LineString", "coordinates": fault.trace.tolist()}
        yield shape, {"name": f"F{number:02d}", "order": fault.order}
