"""Walker Lake: a continuous raster from 470 samples, in local coordinates without a CRS."""

from datetime import datetime
from pathlib import Path

import numpy as np
from rasterio.transform import Affine

from portal.demo.folder import season, stamp, write_csv, write_text, write_tiff
from portal.demo.sources import exhaustive_v, frame, text

GRID = Affine(1.0, 0.0, 0.5, 0.0, -1.0, 300.5)  # cell centres at X = 1 … 260, Y = 300 … 1

TOML = """\
[challenge]
slug    = "walker-lake"
title   = "Walker Lake: map the grade between the drill holes"
sponsor = "Motherlode demonstration desk"
kind    = "raster"
summary = "Estimate V at every one of 78,000 nodes from 470 preferentially placed samples."
tags    = ["geostatistics", "raster", "real data"]

[schedule]
opens  = {opens}
closes = {closes}

[truth]
file = "hidden/v.tif"
band = 1

[submission]
band      = 1
meaning   = "continuous"
range     = [-500.0, 5000.0]
formats   = ["geotiff"]
max_bytes = "5 MB"
per_day   = 5
finals    = 2

[blocks]
size   = 50.0
public = 0.5
seed   = 19

[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "bias", "r2", "pearson_r"]

[bounty]
currency = "USD"
pool     = "12000.00"
prizes   = [
  {{rank = 1, amount = "7000.00"}},
  {{rank = 2, amount = "3500.00"}},
  {{rank = 3, amount = "1500.00"}},
]
"""

OVERVIEW = """\
## The problem

A mineral was sampled in three campaigns: 195 samples on a near-regular grid, then 150 and 125 more where the first
results were rich. The mean of the samples is therefore far above the mean of the ground. You get the samples;
we keep the **exhaustive map**, one value for each of 300 × 260 nodes, and ask how well you can draw it.

| | |
|---|---|
| Known | 470 samples of V (and 275 of U), their places, the campaign-dependent clustering, the type T (1 or 2) |
| Asked | V at every node, as a one-band GeoTIFF on the template's grid |
| Judged by | root mean square error over all nodes; MAE, bias, r² and correlation are shown beside it |

## The data

`public/samples.csv` holds `Id, X, Y, V, U, T`. X runs east from 1 to 260, Y north from 1 to 300, in local units:
there is **no coordinate reference system**, and your raster must carry none. V and U are concentrations in ppm-like
units, never below zero. U was measured only in the later campaigns and is empty elsewhere. Nine of the samples
differ from the exhaustive value of their node; they do so in the published source.

`sample/v_mean.tif` is a valid entry (the samples' mean everywhere) and fixes the grid: 260 × 300 cells of one unit,
row 0 is the northernmost.

## How it is scored

The map is cut into tiles of 50 × 50 units. Half of them, drawn by lot beforehand, feed the public board; the other
half decides after the close. Every cell counts once; a missing or not-a-number cell is refused, not skipped.

## What to look out for

Clustering (decluster before you trust the histogram), skewness, strong anisotropy along the ridges, and zeros: one
node in thirteen is barren.

## Source and licence

Isaaks, E. H. and Srivastava, R. M. (1989), *An Introduction to Applied Geostatistics*, Oxford University Press: values
derived from a digital elevation model of the Walker Lake area, Nevada. Taken from the R package gstat 2.1-0
(Pebesma 2004, Computers & Geosciences 30, 683–691), GPL-2 or later; details in `public/ORIGIN.txt`.
This is a demonstration: the truth is printed in a textbook and the bounty is not paid.
"""

AGREEMENT = """\
# Data agreement, Walker Lake demonstration

1. **What you receive.** The sample set of the Walker Lake data under the GNU General Public License, version 2 or
   later.
2. **What you may do.** Use, change and pass on the data under that licence, with the citation of the overview.
3. **What you promise.** Your entries are computed from the published samples. The exhaustive set is available
   elsewhere; using it in any form is a ground for rejection by the judges.
4. **Your entries.** You keep all rights in your method. The platform may store and score the file you upload and show
   its score beside your team's name.
5. **No warranty.** The data come as they are. This is a demonstration; no bounty is paid.
"""


def build(folder: Path, now: datetime) -> None:
    """Write the challenge directory into ``folder``."""
    when = season(now, months=2)
    samples = frame("walker-lake", "samples")
    write_text(folder / "challenge.toml", TOML.format(opens=stamp(when.opens), closes=stamp(when.closes)))
    write_text(folder / "overview.md", OVERVIEW)
    write_text(folder / "agreement.md", AGREEMENT)
    write_csv(folder / "public" / "samples.csv", samples)
    write_text(folder / "public" / "ORIGIN.txt", text("walker-lake/ORIGIN.txt"))
    truth = exhaustive_v().astype(np.float32)
    write_tiff(folder / "hidden" / "v.tif", truth, transform=GRID, epsg=None)
    mean = np.full(truth.shape, samples["V"].mean(), dtype=np.float32)
    write_tiff(folder / "sample" / "v_mean.tif", mean, transform=GRID, epsg=None)
