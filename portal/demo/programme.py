"""The demo's programme: which challenges there are, in the order of the front page, and who enters what."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from portal.demo.challenges import (
    goldfield,
    jura_classes,
    jura_metals,
    jura_rocks,
    prospectivity,
    sic2004,
    walker_lake,
    walker_panels,
)
from portal.demo.entries import goldfield as goldfield_entries
from portal.demo.entries import jura_classes as jura_classes_entries
from portal.demo.entries import jura_metals as jura_metals_entries
from portal.demo.entries import jura_rocks as jura_rocks_entries
from portal.demo.entries import prospectivity as prospectivity_entries
from portal.demo.entries import sic2004 as sic2004_entries
from portal.demo.entries import walker_lake as walker_lake_entries
from portal.demo.entries import walker_panels as walker_panels_entries
from portal.demo.entries.method import Entry


@dataclass(frozen=True, slots=True)
class DemoChallenge:
    """A challenge of the demo. ``build(folder, now)`` writes its directory; entries are in the order of submission."""

    slug: str
    build: Callable[[Path, datetime], None]
    entries: tuple[Entry, ...]


PROGRAMME = (
    DemoChallenge("goldfield", goldfield.build, goldfield_entries.ENTRIES),
    DemoChallenge("walker-lake", walker_lake.build, walker_lake_entries.ENTRIES),
    DemoChallenge("prospectivity", prospectivity.build, prospectivity_entries.ENTRIES),
    DemoChallenge("jura-rocks", jura_rocks.build, jura_rocks_entries.ENTRIES),
    DemoChallenge("jura-cobalt", jura_metals.build, jura_metals_entries.ENTRIES),
    DemoChallenge("jura-parent-rock", jura_classes.build, jura_classes_entries.ENTRIES),
    DemoChallenge("sic2004", sic2004.build, sic2004_entries.ENTRIES),
    DemoChallenge("sic2004-joker", sic2004.build_joker, sic2004_entries.JOKER_ENTRIES),
    DemoChallenge("walker-panels", walker_panels.build, walker_panels_entries.ENTRIES),
)
