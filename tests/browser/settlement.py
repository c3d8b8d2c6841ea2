"""What the pages show: an open and a closed challenge, drafts, entries of every state, people in every role.

Made through the services while the site runs; its own scorer does the work.
"""

import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from portal.domain.permissions import Actor
from portal.domain.views import DraftView, EntryView
from portal.services import accounts, agreements, challenges, publishing, submitting, verifying
from portal.services.context import Context
from tests.browser.instance import Instance
from tests.challenges import BUILDERS, Example, write_raster

PASSWORD = "four quiet words here"
OPEN, CLOSED = "table-numbers", "raster-continuous"
WAIT_S, LOOK_S = 120.0, 0.1
View = TypeVar("View", DraftView, EntryView)


def address(name: str) -> str:
    return f"{name.lower().replace(' ', '.')}@example.org"


def zipped(folder: Path) -> bytes:
    """A challenge directory as a sponsor uploads it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return out.getvalue()


def spoil(folder: Path) -> None:
    """Three faults a sponsor may make: an unknown metric, prizes beyond the pool, no agreement."""
    file = folder / "challenge.toml"
    text = file.read_text(encoding="utf-8")
    primary = next(line for line in text.splitlines() if line.startswith("primary"))
    text = text.replace(primary, 'primary = "goodness"').replace('"600.00"', '"6000.00"')
    file.write_text(text, encoding="utf-8")
    (folder / "agreement.md").unlink()


@dataclass(frozen=True)
class Settlement:
    """People by name, and the addresses of what they made."""

    instance: Instance
    entries: dict[str, str]
    drafts: dict[str, str]

    @property
    def people(self) -> tuple[str, ...]:
        return ("Operator", "Sponsor", "Judge", "Expert A", "Expert B")


class Builder:
    """Does what people do, and waits for the engine."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.ctx: Context = instance.context()
        self.folder = folder
        self.actors: dict[str, Actor] = {}

    def person(self, name: str) -> Actor:
        if name not in self.actors:
            self.actors[name] = accounts.create_verified(self.ctx, name=name, email=address(name), password=PASSWORD)
        return self.actors[name]

    def operator(self) -> None:
        accounts.make_operator(self.ctx, email=self.person("Operator").email)

    def example(self, name: str) -> Example:
        folder = self.folder / name
        return BUILDERS[name](folder)

    def upload(self, folder: Path) -> DraftView:
        stream = io.BytesIO(zipped(folder))
        return publishing.upload(self.ctx, actor=self.person("Sponsor"), stream=stream, filename=f"{folder.name}.zip")

    def draft(self, draft_id: str) -> DraftView:
        sponsor = self.person("Sponsor")
        return settled(lambda: publishing.draft(self.ctx, actor=sponsor, draft_id=draft_id))

    def publish(self, draft_id: str) -> None:
        found = self.draft(draft_id)
        if found.state != "ready":
            raise AssertionError(f"{found.slug} is {found.state}: {found.faults} {found.report_text}")
        publishing.publish(self.ctx, actor=self.person("Sponsor"), draft_id=draft_id)

    def join(self, name: str, slug: str, *, affiliated: bool = False) -> None:
        actor = self.person(name)
        digest = agreements.page(self.ctx, actor=actor, slug=slug).digest
        agreements.sign(self.ctx, actor=actor, slug=slug, digest=digest)
        statement = "Advised the survey last year." if affiliated else ""
        challenges.declare_affiliation(self.ctx, actor=actor, slug=slug, affiliated=affiliated, statement=statement)

    def send(self, name: str, slug: str, file: Path, note: str = "") -> str:
        with file.open("rb") as stream:
            actor = self.person(name)
            sent = submitting.submit(self.ctx, actor=actor, slug=slug, stream=stream, filename=file.name, note=note)
        return sent.id

    def entry(self, name: str, entry_id: str) -> EntryView:
        actor = self.person(name)
        return settled(lambda: submitting.entry(self.ctx, actor=actor, entry_id=entry_id))


def settled(look: Callable[[], View]) -> View:
    """What ``look`` finds once the engine is done with it."""
    end = time.monotonic() + WAIT_S
    while (found := look()).state in {"checking", "publishing", "queued", "scoring"}:
        if time.monotonic() > end:
            raise AssertionError(f"still {found.state} after {WAIT_S:.0f} s")
        time.sleep(LOOK_S)
    return found


def build(instance: Instance, folder: Path) -> Settlement:
    """Everything, in some seconds."""
    make = Builder(instance, folder)
    make.operator()
    table, raster = make.example(OPEN), make.example(CLOSED)
    faulty, ready = make.example("points"), make.example("polygons")
    spoil(faulty.folder)
    drafts = {
        "published": make.upload(table.folder).id,
        "closed": make.upload(raster.folder).id,
        "faulty": make.upload(faulty.folder).id,
        "ready": make.upload(ready.folder).id,
    }
    for name in ("published", "closed"):
        make.publish(drafts[name])
    for draft_id in drafts.values():
        make.draft(draft_id)
    sponsor, judge = make.person("Sponsor"), make.person("Judge")
    for slug in (OPEN, CLOSED):
        challenges.grant(make.ctx, actor=sponsor, slug=slug, email=judge.email, role="judge")
    entries = {**_enter_table(make, table), **_enter_raster(make, raster)}
    challenges.close(make.ctx, actor=sponsor, slug=CLOSED, reason="All entries are in.")
    _judge(make)
    make.ctx.close()
    return Settlement(instance, entries, drafts)


def _enter_table(make: Builder, table: Example) -> dict[str, str]:
    bad = table.perfect.with_name("holes.csv")
    frame = pd.read_csv(table.perfect)
    frame.loc[[1, 5], "porosity"] = [np.nan, 7.0]
    frame.drop(index=9).to_csv(bad, index=False)
    make.join("Expert A", OPEN)
    make.join("Expert B", OPEN, affiliated=True)
    sent = {
        "scored": make.send("Expert A", OPEN, table.sample, "The mean of everything"),
        "rejected": make.send("Expert A", OPEN, bad, "With holes"),
        "affiliated": make.send("Expert B", OPEN, table.perfect),
    }
    for name, expert in (("scored", "Expert A"), ("rejected", "Expert A"), ("affiliated", "Expert B")):
        make.entry(expert, sent[name])
    return sent


def _enter_raster(make: Builder, raster: Example) -> dict[str, str]:
    rough = raster.perfect.with_name("rough.tif")
    row, column = np.mgrid[0:48, 0:64]
    write_raster(rough, (5 + 3 * np.sin(row / 9) * np.cos(column / 7)).astype("float32"))
    sent = {}
    for expert, name, file in (("Expert A", "map", raster.sample), ("Expert B", "winner", rough)):
        make.join(expert, CLOSED)
        sent[name] = make.send(expert, CLOSED, file, "Waves fitted by hand" if name == "winner" else "")
        make.entry(expert, sent[name])
    return sent


def _judge(make: Builder) -> None:
    judge = make.person("Judge")
    best = verifying.desk(make.ctx, actor=judge, slug=CLOSED).rows[0]
    verifying.rule(
        make.ctx, actor=judge, entry_id=best.entry_id, verdict="verified", reason="Recomputed from the note; same file."
    )
