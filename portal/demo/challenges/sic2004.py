"""SIC2004: ambient radioactivity at 808 stations from 200, on a calm day and on the day of the joker."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from portal.demo.folder import season, stamp, write_csv, write_text
from portal.demo.sources import frame, text

TILE = 100_000.0  # metres


@dataclass(frozen=True, slots=True)
class Exercise:
    """One of the two data sets of SIC2004."""

    slug: str
    target: str
    title: str
    summary: str
    primary: str
    months: int
    story: str
    caution: str


ROUTINE = Exercise(
    slug="sic2004",
    target="dayx",
    title="SIC2004: radioactivity on an ordinary day",
    summary="Interpolate the gamma dose rate at 808 German stations from 200, as the contestants of 2004 did.",
    primary="mae",
    months=1,
    story="""Germany's monitoring network reports the ambient gamma dose rate. In 2004 the Joint Research Centre gave
contestants ten earlier days to tune an automatic procedure and then one day, `dayx`, at 200 stations, with minutes to
answer. **What do the 808 other stations read?**""",
    caution="""A smooth field with a north-south pattern of geology and altitude, a few very local highs, coastal
lows. The prior days have the same structure: ten variograms instead of one.""",
)
JOKER = Exercise(
    slug="sic2004-joker",
    target="joker",
    title="SIC2004 joker: the day of the release",
    summary="The same 808 stations after a simulated release of radioactivity in the south-west. Two stations saw it.",
    primary="rmse",
    months=2,
    story="""The second data set of SIC2004 looked like the first until one opened it: a simulated release of
radioactivity had lifted two of the 200 stations ten times above the rest. An automatic mapper has to decide whether
that is an error to be filtered or an emergency to be mapped. **What do the 808 other stations read?**""",
    caution="""Two of 200 stations carry the event. A variogram fitted without care is destroyed by them; a robust one
ignores them. Both can be expensive.""",
)

TOML = """\
[challenge]
slug    = "{slug}"
title   = "{title}"
sponsor = "Motherlode demonstration desk"
kind    = "table"
summary = "{summary}"
tags    = ["environment", "interpolation", "real data"]

[schedule]
opens  = {opens}
closes = {closes}

[truth]
file   = "hidden/truth.csv"
id     = ["record"]
target = "{target}"

[submission]
prediction = "{target}"
range      = [0.0, 10000.0]
formats    = ["csv", "parquet"]
max_bytes  = "1 MB"
per_day    = 5
finals     = 2

[blocks]
by     = "tile"
public = 0.5
seed   = 2004

[scoring]
primary = "{primary}"
metrics = ["mae", "rmse", "bias", "pearson_r", "r2"]

[bounty]
currency = "EUR"
pool     = "10000.00"
prizes   = [
  {{rank = 1, amount = "6000.00"}},
  {{rank = 2, amount = "3000.00"}},
  {{rank = 3, amount = "1000.00"}},
]
"""

OVERVIEW = """\
## The problem

{story}

| | |
|---|---|
| Known | `{target}` at 200 stations, ten earlier days at the same stations, the places of all |
| Asked | `{target}` in nSv/h at 808 stations |
| Judged by | {primary_text} |

## The data

| file | content |
|---|---|
| `stations.csv` | `record, x, y, {target}` at 200 stations |
| `prior_days.csv` | `record, x, y, day01 … day10`, the same stations on ten earlier days |
| `places.csv` | `record, x, y` of the 808 stations to predict |

x and y are metres in a local projection. Hand in `record, {target}` as CSV or Parquet; `sample/mean.csv` shows it.

## How it is scored

All records once, in any order. Stations are grouped by tiles of 100 km; half of the tiles, drawn by lot beforehand,
feed the public board, the others decide after the close.

## What to look out for

{caution}

## Source and licence

Dubois, G. and Galmarini, S. (2005), Introduction to the Spatial Interpolation Comparison (SIC) 2004 exercise, Applied
GIS 1(2). Data of the German Federal Office for Radiation Protection (BfS), taken from the R package gstat 2.1-0
(Pebesma 2004), GPL-2 or later; details in `ORIGIN.txt`. The split is that of the exercise.
This is a demonstration: the truth is published in that package and the bounty is not paid.
"""

AGREEMENT = """\
# Data agreement, {title}

1. **What you receive.** Readings and places of monitoring stations from the SIC2004 data sets, GPL-2 or later.
2. **What you may do.** Use, change and pass on the data under that licence, with the citation of the overview.
3. **What you promise.** Your predictions are computed from the published files. The readings of the 808 stations are
   available elsewhere; using them in any form is a ground for rejection by the judges.
4. **Your entries.** You keep all rights in your method. The platform may store and score the file you upload and show
   its score beside your team's name.
5. **No warranty.** The data come as they are. This is a demonstration; no bounty is paid.
"""
PRIMARY_TEXT = {
    "mae": "mean absolute error, as in the exercise",
    "rmse": "root mean square error: a missed plume costs most",
}


def build(folder: Path, now: datetime) -> None:
    """Write the ordinary day into ``folder``."""
    _build(folder, now, ROUTINE)


def build_joker(folder: Path, now: datetime) -> None:
    """Write the day of the release into ``folder``."""
    _build(folder, now, JOKER)


def _build(folder: Path, now: datetime, exercise: Exercise) -> None:
    when, target = season(now, months=exercise.months), exercise.target
    stations, test = frame("sic2004", "train"), frame("sic2004", "test")
    toml = TOML.format(
        slug=exercise.slug, title=exercise.title, summary=exercise.summary, target=target, primary=exercise.primary,
        opens=stamp(when.opens), closes=stamp(when.closes),
    )  # fmt: skip
    overview = OVERVIEW.format(
        story=exercise.story, caution=exercise.caution, target=target, primary_text=PRIMARY_TEXT[exercise.primary]
    )
    write_text(folder / "challenge.toml", toml)
    write_text(folder / "overview.md", overview)
    write_text(folder / "agreement.md", AGREEMENT.format(title=exercise.title))
    write_csv(folder / "public" / "stations.csv", stations[["record", "x", "y", target]])
    write_csv(folder / "public" / "prior_days.csv", frame("sic2004", "prior_days"))
    write_csv(folder / "public" / "places.csv", test[["record", "x", "y"]])
    write_text(folder / "public" / "ORIGIN.txt", text("sic2004/ORIGIN.txt"))
    write_csv(folder / "hidden" / "truth.csv", test[["record", target]].assign(tile=_tiles(test)))
    mean = pd.DataFrame({"record": test["record"], target: round(float(stations[target].mean()), 3)})
    write_csv(folder / "sample" / "mean.csv", mean)


def _tiles(stations: pd.DataFrame) -> list[str]:
    """The tile of 100 km that holds each station, such as e1n5."""
    return [f"e{int(x // TILE)}n{int(y // TILE)}" for x, y in zip(stations["x"], stations["y"], strict=True)]
