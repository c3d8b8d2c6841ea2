"""Jura rock classes: which rock lies under the soil, as probabilities (classes in a table)."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from portal.demo.challenges.jura_frames import ROCKS, tiles, with_ids
from portal.demo.folder import season, stamp, write_csv, write_text
from portal.demo.sources import frame, text

PLACES = ("Xloc", "Yloc", "long", "lat", "Landuse")
METALS = ("Cd", "Co", "Cr", "Cu", "Ni", "Pb", "Zn")

TOML = """\
[challenge]
slug    = "jura-parent-rock"
title   = "Jura: which rock made this soil?"
sponsor = "Motherlode demonstration desk"
kind    = "table"
summary = "Give the probability of each of five parent rocks from a soil's metals, its land use and its place."
tags    = ["geochemistry", "soil", "classes", "real data"]

[schedule]
opens  = {opens}
closes = {closes}

[truth]
file    = "hidden/truth.csv"
id      = ["id"]
target  = "Rock"
classes = [{classes}]

[submission]
probabilities = {{{probabilities}}}
formats       = ["csv", "parquet"]
max_bytes     = "1 MB"
per_day       = 5
finals        = 2

[blocks]
by     = "tile"
public = 0.5
seed   = 1997

[scoring]
primary = "log_loss"
metrics = ["log_loss", "brier", "ece"]

[bounty]
currency = "CHF"
pool     = "4000.00"
prizes   = [
  {{rank = 1, amount = "3000.00"}},
  {{rank = 2, amount = "1000.00"}},
]
"""

OVERVIEW = """\
## The problem

Soil remembers the rock it came from: marl holds cobalt and nickel, limestone cadmium. At 100 places of the Swiss Jura
the soil was analysed but nobody looked at the rock. **Which of five units is it, and how sure are you?**

| | |
|---|---|
| Known | 259 samples with seven metals, land use, place and rock; the same without rock at 100 places |
| Asked | five probabilities for each place that add up to 1 |
| Judged by | log loss: the mean of −ln of what you gave to the truth. Being sure and wrong is expensive |

## The data

| file | content |
|---|---|
| `train.csv` | `Xloc, Yloc` (km, local frame), `long, lat` (degrees), `Landuse`, `Rock`, `Cd Co Cr Cu Ni Pb Zn` (ppm) |
| `places.csv` | `id` and the same without `Rock` |

Hand in `id` and the columns {columns}; `sample/frequencies.csv` shows it with the training frequencies.

## How it is scored

All ids once; probabilities between 0 and 1. The places are grouped by 1 km tiles; half of the tiles feed the public
board, the others decide after the close.

## Source and licence

Atteia, Dubois and Webster (1994), Environmental Pollution 86, 315–327; split of Goovaerts (1997), *Geostatistics for
Natural Resources Evaluation*. Taken from the R package gstat 2.1-0 (Pebesma 2004), GPL-2 or later; details in
`ORIGIN.txt`. This is a demonstration: the truth is published in that package and the bounty is not paid.
"""

AGREEMENT = """\
# Data agreement, Jura parent rock demonstration

1. **What you receive.** Soil samples of the Jura data set, GPL-2 or later.
2. **What you may do.** Use, change and pass on the data under that licence, with the citations of the overview.
3. **What you promise.** Your probabilities are computed from the published files; geological maps are not used.
4. **Your entries.** You keep all rights in your method. The platform may store and score the file you upload and show
   its score beside your team's name.
5. **No warranty.** The data come as they are. This is a demonstration; no bounty is paid.
"""


def build(folder: Path, now: datetime) -> None:
    """Write the challenge directory into ``folder``."""
    when = season(now, months=5)
    train, places = frame("jura", "prediction"), with_ids(frame("jura", "validation"))
    columns = {rock: f"p_{rock.lower()}" for rock in ROCKS}
    toml = TOML.format(
        opens=stamp(when.opens),
        closes=stamp(when.closes),
        classes=", ".join(f'"{rock}"' for rock in ROCKS),
        probabilities=", ".join(f'{rock} = "{column}"' for rock, column in columns.items()),
    )
    write_text(folder / "challenge.toml", toml)
    write_text(folder / "overview.md", OVERVIEW.format(columns=", ".join(f"`{column}`" for column in columns.values())))
    write_text(folder / "agreement.md", AGREEMENT)
    write_csv(folder / "public" / "train.csv", train)
    write_csv(folder / "public" / "places.csv", places[["id", *PLACES, *METALS]])
    write_text(folder / "public" / "ORIGIN.txt", text("jura/ORIGIN.txt"))
    write_csv(folder / "hidden" / "truth.csv", places[["id", "Rock"]].assign(tile=tiles(places)))
    shares = np.round([float((train["Rock"] == rock).mean()) for rock in ROCKS], 6)
    shares[-1] = round(1.0 - float(shares[:-1].sum()), 6)
    sample = pd.DataFrame({"id": places["id"], **dict(zip(columns.values(), shares.tolist(), strict=True))})
    write_csv(folder / "sample" / "frequencies.csv", sample)
