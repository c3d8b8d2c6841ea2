"""Jura rocks: outlines of the rock units from 259 samples (labelled polygons)."""

from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from portal.demo.challenges.jura_frames import EPSG, KNOWN, ROCKS, to_lv95
from portal.demo.folder import Feature, season, stamp, write_csv, write_geojson, write_text
from portal.demo.patches import Lattice, Patch, dissolve
from portal.demo.sources import frame, text

STEP = 0.05  # km between nodes
LEAST = 8  # cells of 50 m: two hectares

TOML = """\
[challenge]
slug    = "jura-rocks"
title   = "Jura: draw the geological map from soil samples"
sponsor = "Motherlode demonstration desk"
kind    = "polygons"
summary = "Outline the rock units of 15 km² of folded limestone from what 259 samples saw underfoot."
tags    = ["geology", "mapping", "real data"]

[schedule]
opens  = {opens}
closes = {closes}

[truth]
file  = "hidden/rocks.geojson"
label = "rock"

[submission]
label        = "rock"
confidence   = "score"
max_features = 500
formats      = ["geojson", "gpkg", "geoparquet"]
max_bytes    = "5 MB"
per_day      = 5
finals       = 2

[blocks]
size   = 1000.0
public = 0.5
seed   = 1997

[scoring]
primary = "f1_iou50"
metrics = ["f1_iou50", "precision", "recall", "average_precision", "mean_iou"]

[bounty]
currency = "CHF"
pool     = "9000.00"
prizes   = [
  {{rank = 1, amount = "6000.00"}},
  {{rank = 2, amount = "3000.00"}},
]
"""

OVERVIEW = """\
## The problem

Folded Jurassic limestone and marl, cut by valleys with Quaternary fill: the geological map of 15 km² near La
Chaux-de-Fonds shows five units. A soil survey noted the unit at each of 259 sampling places. **Can the map be drawn
from the notebook alone?**

| | |
|---|---|
| Known | rock, land use and seven metals at 259 places; land use at 5,957 nodes that fill the area |
| Asked | polygons with `rock` (one of {rocks}) and `score`, your confidence |
| Judged by | F1 at IoU 0.5: a polygon counts when it has the right label and covers a true outline well |

## The data

| file | content |
|---|---|
| `samples.csv` | `E, N` (m), `Xloc, Yloc` (km, local), `long, lat`, `Landuse`, `Rock`, `Cd Co Cr Cu Ni Pb Zn` (ppm) |
| `nodes.csv` | `row, column, sheet, E, N, Landuse` of every node, 50 m apart; row 0 is the northernmost |

Coordinates are CH1903+ / LV95 (EPSG:2056). Any CRS that names itself is transformed; a file without one is refused.
`sample/one_rock.geojson` is a valid entry: every sheet wholly Kimmeridgian.

## How it is scored

The true map is the grid of 50 m nodes dissolved into polygons of equal rock, cut along the kilometre lines of LV95 as
map sheets are (`sheet` names each node's square); patches below two hectares are left out. Cut yours the same way.
Your polygons are taken by falling confidence; each claims the unclaimed true polygon of its label with the largest
overlap, if their intersection is at least half of their union. Tiles of 1 km split public and private board.

## What to look out for

The folds run north-east; Quaternary lies in narrow strips that few samples hit; only three samples stand on
Portlandian.

## Source and licence

Atteia, Dubois and Webster (1994), Environmental Pollution 86, 315–327; Goovaerts (1997), *Geostatistics for Natural
Resources Evaluation*. Taken from the R package gstat 2.1-0 (Pebesma 2004), GPL-2 or later; details in `ORIGIN.txt`.
The polygons were dissolved from the package's grid. This is a demonstration: the truth is published in that package
and the bounty is not paid.
"""

AGREEMENT = """\
# Data agreement, Jura rocks demonstration

1. **What you receive.** Soil samples with their rock and a grid of land use from the Jura data set, GPL-2 or later.
2. **What you may do.** Use, change and pass on the data under that licence, with the citations of the overview.
3. **What you promise.** Your map is computed from the published files. The rock grid is available elsewhere; using it
   or a geological map in any form is a ground for rejection by the judges.
4. **Your entries.** You keep all rights in your method. The platform may store and score the file you upload and show
   its score beside your team's name.
5. **No warranty.** The data come as they are. This is a demonstration; no bounty is paid.
"""


def build(folder: Path, now: datetime) -> None:
    """Write the challenge directory into ``folder``."""
    when = season(now, months=2)
    samples, grid = frame("jura", "prediction"), frame("jura", "grid")
    write_text(folder / "challenge.toml", TOML.format(opens=stamp(when.opens), closes=stamp(when.closes)))
    write_text(folder / "overview.md", OVERVIEW.format(rocks=", ".join(ROCKS)))
    write_text(folder / "agreement.md", AGREEMENT)
    metals = [name for name in samples.columns if name not in KNOWN]
    write_csv(folder / "public" / "samples.csv", pd.concat([_lv95(samples), samples[[*KNOWN, *metals]]], axis=1))
    write_csv(folder / "public" / "nodes.csv", _nodes(grid))
    write_text(folder / "public" / "ORIGIN.txt", text("jura/ORIGIN.txt"))
    write_geojson(folder / "hidden" / "rocks.geojson", outlines(grid), epsg=EPSG)
    write_geojson(folder / "sample" / "one_rock.geojson", _one_rock(grid), epsg=EPSG)


def outlines(grid: pd.DataFrame) -> list[Feature]:
    """The true polygons: patches of equal rock on one sheet of at least two hectares, with ``rock``."""
    codes = grid["Rock"].map({rock: code for code, rock in enumerate(ROCKS)}).to_numpy(np.int64)
    return [(patch.shape, {"rock": ROCKS[patch.code % len(ROCKS)]}) for patch in _patches(grid, codes)]


def _one_rock(grid: pd.DataFrame) -> list[Feature]:
    """Every sheet wholly Kimmeridgian, the most frequent rock."""
    kimmeridgian = ROCKS.index("Kimmeridgian")
    whole = _patches(grid, np.full(len(grid), kimmeridgian, dtype=np.int64))
    return [(patch.shape, {"rock": ROCKS[kimmeridgian], "score": 0.5}) for patch in whole]


def _patches(grid: pd.DataFrame, codes: npt.NDArray[np.integer]) -> list[Patch]:
    """Patches of equal code within a sheet; a patch's code is sheet number · number of rocks + code."""
    x, y = grid["Xloc"].to_numpy(float), grid["Yloc"].to_numpy(float)
    lattice = Lattice.around(x, y, STEP)
    sheet = np.unique(_sheets(grid), return_inverse=True)[1]
    return list(dissolve(lattice.fill(x, y, sheet * len(ROCKS) + codes), lattice, to_lv95, least=LEAST))


def _sheets(grid: pd.DataFrame) -> npt.NDArray[np.str_]:
    """The kilometre square of LV95 that holds each node, such as 2553-1220."""
    kilometres = np.floor(to_lv95(grid[["Xloc", "Yloc"]].to_numpy(float)) / 1000.0).astype(int)
    return np.array([f"{east}-{north}" for east, north in kilometres])


def _lv95(samples: pd.DataFrame) -> pd.DataFrame:
    east, north = np.round(to_lv95(samples[["Xloc", "Yloc"]].to_numpy(float)), 2).T
    return pd.DataFrame({"E": east, "N": north})


def _nodes(grid: pd.DataFrame) -> pd.DataFrame:
    row = np.rint((grid["Yloc"].max() - grid["Yloc"]) / STEP).astype(int)
    column = np.rint((grid["Xloc"] - grid["Xloc"].min()) / STEP).astype(int)
    index = pd.DataFrame({"row": row, "column": column, "sheet": _sheets(grid)})
    return pd.concat([index, _lv95(grid), grid[["Landuse"]]], axis=1)
