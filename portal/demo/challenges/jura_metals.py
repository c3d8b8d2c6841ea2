"""Jura metals: cobalt in the topsoil at the 100 validation places of the literature (numbers in a table)."""

from datetime import datetime
from pathlib import Path

import pandas as pd

from portal.demo.challenges.jura_frames import KNOWN, tiles, with_ids
from portal.demo.folder import season, stamp, write_csv, write_text
from portal.demo.sources import frame, text

TOML = """\
[challenge]
slug    = "jura-cobalt"
title   = "Jura: cobalt in the soil between the samples"
sponsor = "Motherlode demonstration desk"
kind    = "table"
summary = "Predict cobalt at 100 places from 259 samples, a rock map and two metals that are cheaper to measure."
tags    = ["geochemistry", "soil", "real data"]

[schedule]
opens  = {opens}
closes = {closes}

[truth]
file   = "hidden/truth.csv"
id     = ["id"]
target = "Co"

[submission]
prediction = "Co"
range      = [0.0, 200.0]
formats    = ["csv", "parquet"]
max_bytes  = "1 MB"
per_day    = 5
finals     = 2

[blocks]
by     = "tile"
public = 0.5
seed   = 1994

[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "bias", "r2", "spearman_r"]

[bounty]
currency = "CHF"
pool     = "8000.00"
prizes   = [
  {{rank = 1, amount = "5000.00"}},
  {{rank = 2, amount = "2000.00"}},
  {{rank = 3, amount = "1000.00"}},
]
"""

OVERVIEW = """\
## The problem

Seven metals were measured in the topsoil of 14.5 km² of the Swiss Jura: from the rock, from the air, from manure. Two
of them, nickel and zinc, are cheap to analyse; cobalt was left out at 100 places. **How much cobalt is there?**

| | |
|---|---|
| Known | 259 samples with seven metals; at the 100 places: position, land use, rock, nickel, zinc |
| Asked | cobalt in ppm at each of the 100 places |
| Judged by | root mean square error |

## The data

| file | content |
|---|---|
| `train.csv` | `Xloc, Yloc` (km, local frame), `long, lat` (degrees), `Landuse`, `Rock`, `Cd Co Cr Cu Ni Pb Zn` (ppm) |
| `places.csv` | `id` and the same without `Cd Co Cr Cu Pb` |
| `grid.csv` | land use and rock at 5,957 nodes, 50 m apart |

Hand in `id, Co` as CSV or Parquet, one row for each place, in any order; `sample/co_mean.csv` shows it.

## How it is scored

All ids must be there, once. The places are grouped by 1 km tiles; half of the tiles, drawn by lot beforehand, feed
the public board, the others decide after the close.

## What to look out for

Cobalt follows the rock and correlates with nickel (about 0.75 in the samples); the sampling grid of 250 m has denser
clusters down to 5 m. The rock legend: Argovian, Kimmeridgian, Sequanian, Portlandian, Quaternary.

## Source and licence

Atteia, Dubois and Webster (1994), Environmental Pollution 86, 315–327; Webster, Atteia and Dubois (1994), European
Journal of Soil Science 45, 205–218; split of Goovaerts (1997), *Geostatistics for Natural Resources Evaluation*. Taken
from the R package gstat 2.1-0 (Pebesma 2004), GPL-2 or later; details in `ORIGIN.txt`.
This is a demonstration: the truth is published in that package and the bounty is not paid.
"""

AGREEMENT = """\
# Data agreement, Jura cobalt demonstration

1. **What you receive.** Soil samples, places to predict and a map grid of the Jura data set, GPL-2 or later.
2. **What you may do.** Use, change and pass on the data under that licence, with the citations of the overview.
3. **What you promise.** Your predictions are computed from the published files. The validation values are available
   elsewhere; using them in any form is a ground for rejection by the judges.
4. **Your entries.** You keep all rights in your method. The platform may store and score the file you upload and show
   its score beside your team's name.
5. **No warranty.** The data come as they are. This is a demonstration; no bounty is paid.
"""


def build(folder: Path, now: datetime) -> None:
    """Write the challenge directory into ``folder``."""
    when = season(now, months=1)
    train, places = frame("jura", "prediction"), with_ids(frame("jura", "validation"))
    write_text(folder / "challenge.toml", TOML.format(opens=stamp(when.opens), closes=stamp(when.closes)))
    write_text(folder / "overview.md", OVERVIEW)
    write_text(folder / "agreement.md", AGREEMENT)
    write_csv(folder / "public" / "train.csv", train)
    write_csv(folder / "public" / "places.csv", places[["id", *KNOWN, "Ni", "Zn"]])
    write_csv(folder / "public" / "grid.csv", frame("jura", "grid"))
    write_text(folder / "public" / "ORIGIN.txt", text("jura/ORIGIN.txt"))
    write_csv(folder / "hidden" / "truth.csv", places[["id", "Co"]].assign(tile=tiles(places)))
    mean = pd.DataFrame({"id": places["id"], "Co": round(float(train["Co"].mean()), 3)})
    write_csv(folder / "sample" / "co_mean.csv", mean)
