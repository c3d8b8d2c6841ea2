"""Walker Lake panels: an ensemble of possible grades for each mining panel (NetCDF with members)."""

from datetime import datetime
from pathlib import Path

import numpy as np
import xarray as xr

from portal.demo.folder import season, stamp, write_csv, write_netcdf, write_text
from portal.demo.sources import Floats, exhaustive_v, frame, text

PANEL = 10  # nodes along an edge

TOML = """\
[challenge]
slug    = "walker-panels"
title   = "Walker Lake panels: how sure are you of the grade?"
sponsor = "Motherlode demonstration desk"
kind    = "grid"
summary = "An ensemble of possible mean grades for each of 780 mining panels, judged by CRPS."
tags    = ["geostatistics", "uncertainty", "ensemble", "real data"]

[schedule]
opens  = {opens}
closes = {closes}

[truth]
file     = "hidden/panels.nc"
variable = "v"
member   = "member"

[submission]
variable  = "v"
member    = "member"
range     = [0.0, 5000.0]
formats   = ["netcdf", "zarr-zip"]
max_bytes = "10 MB"
per_day   = 5
finals    = 2

[blocks]
by     = "y"
public = 0.5
seed   = 1989

[scoring]
primary = "crps"
metrics = ["crps", "spread_skill", "rpss", "rmse", "bias"]

[scoring.options.crps]
estimator = "fair"

[scoring.options.rpss]
thresholds = [100.0, 300.0, 600.0]

[bounty]
currency = "USD"
pool     = "15000.00"
prizes   = [
  {{rank = 1, amount = "10000.00"}},
  {{rank = 2, amount = "5000.00"}},
]
"""

OVERVIEW = """\
## The problem

Ore is not mined by the node but by the panel, and a plan needs more than one number for each: a panel that is *perhaps*
rich is drilled again, a panel that is *surely* poor is left. Draw, from the same 470 samples as in the Walker Lake
challenge, an **ensemble** of possible mean grades of every panel of 10 × 10 units.

| | |
|---|---|
| Known | 470 samples of V (and 275 of U), their places and types |
| Asked | 2 to 200 equally probable members of the mean of V in each of 30 × 26 panels |
| Judged by | CRPS (fair estimator): the distance between your ensemble and what came true, in the unit of V |

## The data

`samples.csv` holds `Id, X, Y, V, U, T`; X runs east from 1 to 260, Y north from 1 to 300. Panel (y, x) is named by its
centre: y = 5.5, 15.5 … 295.5 and x = 5.5 … 255.5; it holds the 100 nodes within 5 units of the centre.

Hand in one variable `v` with the dimensions `member, y, x` and these coordinates, as NetCDF-4 or zipped Zarr.
`sample/all_samples.nc` is a valid entry: 20 members, quantiles of the samples, the same everywhere.

## How it is scored

The fair CRPS does not punish small ensembles. `spread_skill` is 1 for a calibrated ensemble, below 1 for a
too confident one; `rpss` looks at the classes cut at 100, 300 and 600; `rmse` and `bias` are those of the ensemble
mean. Rows of panels are the blocks; half of them, drawn by lot beforehand, feed the public board.

## What to look out for

Panel means vary less than node values (support effect), the samples cluster where it is rich, the distribution is
skewed and bounded at zero.

## Source and licence

Isaaks, E. H. and Srivastava, R. M. (1989), *An Introduction to Applied Geostatistics*, Oxford University Press; from
the R package gstat 2.1-0 (Pebesma 2004), GPL-2 or later; details in `ORIGIN.txt`. The panel means were
computed from the exhaustive set. This is a demonstration: the truth is printed in a textbook, the bounty is not paid.
"""

AGREEMENT = """\
# Data agreement, Walker Lake panels demonstration

1. **What you receive.** The sample set of the Walker Lake data under the GNU General Public License, version 2 or
   later.
2. **What you may do.** Use, change and pass on the data under that licence, with the citation of the overview.
3. **What you promise.** Your ensembles are computed from the published samples. The exhaustive set is available
   elsewhere; using it in any form is a ground for rejection by the judges.
4. **Your entries.** You keep all rights in your method. The platform may store and score the file you upload and show
   its score beside your team's name.
5. **No warranty.** The data come as they are. This is a demonstration; no bounty is paid.
"""


def build(folder: Path, now: datetime) -> None:
    """Write the challenge directory into ``folder``."""
    when, samples = season(now, months=3), frame("walker-lake", "samples")
    write_text(folder / "challenge.toml", TOML.format(opens=stamp(when.opens), closes=stamp(when.closes)))
    write_text(folder / "overview.md", OVERVIEW)
    write_text(folder / "agreement.md", AGREEMENT)
    write_csv(folder / "public" / "samples.csv", samples)
    write_text(folder / "public" / "ORIGIN.txt", text("walker-lake/ORIGIN.txt"))
    truth = xr.DataArray(panel_means(exhaustive_v()), dims=("y", "x"), coords=_centres(), name="v")
    write_netcdf(folder / "hidden" / "panels.nc", truth)
    levels = np.quantile(samples["V"], (np.arange(20) + 0.5) / 20).astype(np.float32)
    everywhere = np.broadcast_to(levels[:, None, None], (20, 30, 26)).copy()
    coords = {"member": np.arange(20), **_centres()}
    sample = xr.DataArray(everywhere, dims=("member", "y", "x"), coords=coords, name="v")
    write_netcdf(folder / "sample" / "all_samples.nc", sample)


def panel_means(nodes: Floats) -> Floats:
    """Mean of each panel (30, 26), south first, from all nodes (300, 260), north first."""
    south_first = nodes[::-1]
    return np.asarray(np.round(south_first.reshape(30, PANEL, 26, PANEL).mean(axis=(1, 3)), 4), dtype=np.float64)


def _centres() -> dict[str, Floats]:
    return {"y": np.arange(5.5, 300.0, PANEL, dtype=np.float64), "x": np.arange(5.5, 260.0, PANEL, dtype=np.float64)}
