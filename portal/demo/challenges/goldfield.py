"""Goldfield: ranked drill targets in a synthetic gold camp, after the challenge that started it all."""

from datetime import datetime
from pathlib import Path

from portal.demo.camp import CELL, EPSG, HEIGHT, WIDTH, Camp, make_camp
from portal.demo.challenges.camp_layers import deposits, write_layers
from portal.demo.folder import Feature, point, season, stamp, write_geojson, write_text

SEED = 1
CORNER = (432_000.0, 5_660_000.0)
TARGETS = 110

TOML = """\
[challenge]
slug    = "goldfield"
title   = "Goldfield: name the next 110 drill targets"
sponsor = "Motherlode demonstration desk"
kind    = "points"
summary = "Fifty years of layers and 38 known deposits of a gold camp. Say where the rest of the gold is."
tags    = ["gold", "exploration", "synthetic data"]

[schedule]
opens  = {opens}
closes = {closes}

[truth]
file   = "hidden/deposits.geojson"
value  = "ounces"
radius = 300.0

[submission]
rank         = "rank"
max_features = {targets}
formats      = ["geojson", "gpkg", "geoparquet", "csv"]
max_bytes    = "2 MB"
per_day      = 5
finals       = 2

[blocks]
size   = 4000.0
public = 0.5
seed   = 1999

[scoring]
primary = "captured_value"
metrics = ["captured_value", "hits", "precision", "recall", "average_precision", "mean_distance"]

[bounty]
currency = "USD"
pool     = "575000.00"
prizes   = [
  {{rank = 1, amount = "105000.00"}},
  {{rank = 2, amount = "85000.00"}},
  {{rank = 3, amount = "75000.00"}},
  {{rank = 4, amount = "65000.00"}},
  {{rank = 5, amount = "55000.00"}},
  {{rank = 6, amount = "50000.00"}},
  {{rank = 7, amount = "45000.00"}},
  {{rank = 8, amount = "40000.00"}},
  {{rank = 9, amount = "35000.00"}},
  {{rank = 10, amount = "20000.00"}},
]
"""

OVERVIEW = """\
## The problem

A mine has worked the rich end of a greenstone belt for fifty years. Its shafts know {known} deposits; its geologists
believe that most of the gold is still in the ground, under till and lakes. The mine opens its files and asks everybody:
**where should we drill next?** Name up to {targets} targets, best first.

| | |
|---|---|
| Known | geology, magnetics, faults and gold in till over 24 × 20 km, and {known} deposits with their ounces |
| Asked | up to {targets} ranked targets; a target within 300 m of a hidden deposit finds it |
| Judged by | the share of the hidden ounces that your targets find |

## The data

All layers are GeoTIFFs of 240 × 200 cells of 100 m in NAD83 / UTM zone 15N (EPSG:26915).

| file | content |
|---|---|
| `geology.tif`, `geology_units.csv` | five rock units |
| `magnetics.tif` | residual total field, nT; iron formation and ultramafics shine, altered faults are dull |
| `fault_distance.tif`, `faults.geojson` | distance to faults, m; traces, order 1 (crustal break) or 2 (splay) |
| `gold_ppb.tif` | gold in till; ice moved south-west, cover thins the signal, single nuggets mislead |
| `known_deposits.geojson` | name and troy ounces of the known deposits |

The known deposits are no random half: prospectors found the rich ones under thin cover first.

## What you hand in

Points as GeoJSON, GeoPackage, GeoParquet, or CSV with `lon` and `lat`, with a whole-number column `rank` (1 is drilled
first). Any CRS that names itself is transformed. `sample/targets.geojson` is a valid entry: a regular lattice.

## How it is scored

Targets are taken in rank order; each claims the closest unclaimed deposit within 300 m, one to one. A second target on
the same deposit is a dry hole. `captured_value` is the share of ounces claimed. The camp is cut into tiles of
4 × 4 km; half of the tiles, drawn by lot beforehand, feed the public board, the rest decide after the close.

## Origin

**This camp is synthetic.** It was made by a deterministic generator that follows the textbook picture of orogenic gold
(Groves et al. 1998, Ore Geology Reviews 13, 7–27): no place, no company and no deposit in it exists. The rules of the
game are those of the Goldcorp Challenge of 2000, which paid USD 575,000 for drill targets at Red Lake, Ontario.
The bounty of this demonstration is not paid. Licence of the layers: Apache-2.0.
"""

AGREEMENT = """\
# Data agreement, Goldfield demonstration

1. **What you receive.** Synthetic layers of a gold camp: geology, magnetics, faults, till geochemistry, known deposits.
2. **What you may do.** Use the data for this challenge and for teaching, and pass them on under the Apache-2.0 licence.
3. **What you promise.** Your targets are computed from the published layers, not read from the generator's seed. You
   enter with one team only. You declare any affiliation with the sponsor; affiliated teams are shown and receive no
   prize.
4. **Your entries.** You keep all rights in your method. A team in a prize rank explains its method to the judges. The
   sponsor may drill every target named in any entry.
5. **Prizes.** Ranks follow the private board after the close; a prize is posted when a judge has verified the entry.
6. **No warranty.** The data come as they are. This is a demonstration; no bounty is paid.
"""


def build(folder: Path, now: datetime) -> None:
    """Write the challenge directory into ``folder``."""
    when = season(now, months=4)
    camp = make_camp(SEED, west=CORNER[0], north=CORNER[1])
    known = int(camp.deposits.known.sum())
    toml = TOML.format(opens=stamp(when.opens), closes=stamp(when.closes), targets=TARGETS)
    write_text(folder / "challenge.toml", toml)
    write_text(folder / "overview.md", OVERVIEW.format(known=known, targets=TARGETS))
    write_text(folder / "agreement.md", AGREEMENT)
    write_layers(folder / "public", camp, seed=SEED)
    write_geojson(folder / "hidden" / "deposits.geojson", deposits(camp, ~camp.deposits.known, prefix="H"), epsg=EPSG)
    write_geojson(folder / "sample" / "targets.geojson", lattice(camp, TARGETS), epsg=EPSG)


def lattice(camp: Camp, count: int) -> list[Feature]:
    """Targets on a regular lattice of ``count`` places (a multiple of 11), ranked row by row."""
    across, down = 11, count // 11
    features: list[Feature] = []
    for rank in range(count):
        x = camp.transform.c + (rank % across + 0.5) * WIDTH * CELL / across
        y = camp.transform.f - (rank // across + 0.5) * HEIGHT * CELL / down
        features.append((point(x, y), {"rank": rank + 1}))
    return features
