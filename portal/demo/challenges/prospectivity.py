"""Prospectivity: a probability raster over a second synthetic camp, read at its hidden deposits."""

from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from portal.demo.camp import CELL, EPSG, HEIGHT, WIDTH, Camp, make_camp
from portal.demo.challenges.camp_layers import deposits, write_layers
from portal.demo.folder import season, stamp, write_geojson, write_text, write_tiff

SEED = 2
CORNER = (468_000.0, 5_652_000.0)
WORKED = 300.0  # metres around a known deposit that are not asked for

TOML = """\
[challenge]
slug    = "prospectivity"
title   = "Prospectivity: a probability map of a gold camp"
sponsor = "Motherlode demonstration desk"
kind    = "raster"
summary = "Turn geology, magnetics, faults and till geochemistry into a map of where gold is likely."
tags    = ["gold", "exploration", "synthetic data"]

[schedule]
opens  = {opens}
closes = {closes}

[truth]
file = "hidden/deposits.geojson"
grid = "public/grid.tif"

[submission]
band      = 1
meaning   = "probability"
range     = [0.0, 1.0]
formats   = ["geotiff"]
max_bytes = "5 MB"
per_day   = 5
finals    = 2

[blocks]
size   = 4000.0
public = 0.5
seed   = 41

[scoring]
primary = "roc_auc"
metrics = ["roc_auc", "capture_auc", "average_precision"]

[bounty]
currency = "CAD"
pool     = "40000.00"
prizes   = [
  {{rank = 1, amount = "25000.00"}},
  {{rank = 2, amount = "10000.00"}},
  {{rank = 3, amount = "5000.00"}},
]
"""

OVERVIEW = """\
## The problem

An exploration company holds a camp of 24 × 20 km with {known} known deposits and a budget for one season of drilling.
It does not want a list of targets but a **map**: for every cell of 100 m, how likely is it that gold lies there? The
map that puts the deposits nobody knows yet into its best few per cent wins.

| | |
|---|---|
| Known | geology, magnetics, faults, gold in till; {known} deposits with their ounces |
| Asked | one band between 0 and 1 on the grid of `public/grid.tif` |
| Judged by | ROC AUC against the deposits we hide |

## The data

The layers are those of an exploration data room: `geology.tif` (with `geology_units.csv`), `magnetics.tif` (nT),
`fault_distance.tif` (m), `gold_ppb.tif` (till, ice moved south-west), `faults.geojson`, `known_deposits.geojson`;
all in NAD83 / UTM zone 15N (EPSG:26915). `grid.tif` is 1 where the map is judged and nodata within 300 m of the known
deposits: nobody is paid for drilling a mine's own shafts.

## How it is scored

Every hidden deposit is a positive, every judged cell without one a negative, ties count one half. Only the order of
your values matters for the ranking. `capture_auc` is the area under the capture curve (share of deposits inside the
best x % of the area). Tiles of 4 × 4 km split public and private board.

## Origin

**This camp is synthetic**, made by a deterministic generator after the textbook picture of orogenic gold (Groves et al.
1998, Ore Geology Reviews 13, 7–27). No place and no deposit in it exists, and it is another camp than that of the
Goldfield challenge. For the classical methods see Bonham-Carter (1994), *Geographic Information Systems for
Geoscientists*. The bounty of this demonstration is not paid. Licence of the layers: Apache-2.0.
"""

AGREEMENT = """\
# Data agreement, Prospectivity demonstration

1. **What you receive.** Synthetic layers of a gold camp and its known deposits.
2. **What you may do.** Use the data for this challenge and for teaching, and pass them on under the Apache-2.0 licence.
3. **What you promise.** Your map is computed from the published layers, not read from the generator's seed.
4. **Your entries.** You keep all rights in your method and in your map; the sponsor may use the map of a paid entry.
5. **No warranty.** The data come as they are. This is a demonstration; no bounty is paid.
"""


def build(folder: Path, now: datetime) -> None:
    """Write the challenge directory into ``folder``."""
    when = season(now, months=3)
    camp = make_camp(SEED, west=CORNER[0], north=CORNER[1])
    known = int(camp.deposits.known.sum())
    write_text(folder / "challenge.toml", TOML.format(opens=stamp(when.opens), closes=stamp(when.closes)))
    write_text(folder / "overview.md", OVERVIEW.format(known=known))
    write_text(folder / "agreement.md", AGREEMENT)
    write_layers(folder / "public", camp, seed=SEED)
    write_tiff(folder / "public" / "grid.tif", judged_cells(camp), transform=camp.transform, epsg=EPSG, nodata=0)
    write_geojson(folder / "hidden" / "deposits.geojson", deposits(camp, ~camp.deposits.known, prefix="H"), epsg=EPSG)
    even = np.full((HEIGHT, WIDTH), 0.5, dtype=np.float32)
    write_tiff(folder / "sample" / "even_odds.tif", even, transform=camp.transform, epsg=EPSG)


def judged_cells(camp: Camp) -> npt.NDArray[np.uint8]:
    """1 where a cell's centre is at least WORKED metres from every known deposit, else 0."""
    x = camp.transform.c + (np.arange(WIDTH) + 0.5) * CELL
    y = camp.transform.f - (np.arange(HEIGHT) + 0.5) * CELL
    free = np.ones((HEIGHT, WIDTH), dtype=bool)
    for east, north in camp.deposits.places[camp.deposits.known]:
        free &= np.hypot(x[None, :] - east, y[:, None] - north) >= WORKED
    return free.astype(np.uint8)
