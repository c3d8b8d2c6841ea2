"""Playing the demo: publish, sign, download, compute, submit and wait, all through the portal's services."""

import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from datasets.digest import digest_file
from datasets.errors import EngineFault
from portal.adapters.work import Engine
from portal.demo.cast import Cast, address
from portal.demo.entries.method import Entry
from portal.demo.programme import DemoChallenge
from portal.domain.errors import NotFound
from portal.domain.permissions import Actor
from portal.domain.views import EntryView
from portal.services import agreements, challenges, downloading, publishing, submitting, verifying
from portal.services.context import Context

AFFILIATED: Mapping[tuple[str, str], str] = {("goldfield", "F"): "Works for the demonstration desk on other days."}
CLOSED = "sic2004"  # a past contest: closed, judged and paid, so that those pages have something to show
CLOSED_REASON = "Demonstration: closed early to show the final board, the rulings and the prizes."
SAME = "Recomputed from the public files by the method of the note: the file has the same sha256."
DIFFERENT = "Recomputed from the public files by the method of the note: the file differs. Please explain."
WAITING = frozenset({"queued", "scoring"})
WAIT_S, LOOK_S = 600.0, 0.2
Say = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """Where the demo is played: services, engine, people, a folder for work, the time, and where to report."""

    ctx: Context
    engine: Engine
    cast: Cast
    room: Path
    now: datetime
    say: Say

    def run(self, task: str, payload: bytes) -> bytes:
        """One task of the engine, waited for."""
        return self.engine.submit(task, payload).result(WAIT_S)


def publish(stage: Stage, challenge: DemoChallenge) -> None:
    """Build and publish a challenge unless it is there, and give it a judge."""
    sponsor = stage.cast["sponsor"]
    try:
        challenges.page(stage.ctx, actor=None, slug=challenge.slug)
    except NotFound:
        with tempfile.TemporaryDirectory(dir=stage.room) as folder:
            challenge.build(Path(folder), stage.now)
            publishing.publish_directory(stage.ctx, actor=sponsor, folder=Path(folder), run=stage.run)
        stage.say(f"{challenge.slug}: published")
    people = challenges.people(stage.ctx, actor=sponsor, slug=challenge.slug)
    if not any(person.role == "judge" for person in people):
        challenges.grant(stage.ctx, actor=sponsor, slug=challenge.slug, email=address("judge"), role="judge")


def enter_all(stage: Stage, challenge: DemoChallenge) -> None:
    """Hand in every entry that is not there yet, each by its expert from the files that this expert downloaded."""
    for expert in sorted({entry.expert for entry in challenge.entries}):
        actor = stage.cast.expert(expert)
        there = {entry.filename for entry in submitting.mine(stage.ctx, actor=actor, slug=challenge.slug)}
        missing = [entry for entry in challenge.entries if entry.expert == expert and entry.filename not in there]
        if missing:
            _join(stage, challenge.slug, expert, actor)
            with tempfile.TemporaryDirectory(dir=stage.room) as folder:
                public = download(stage.ctx, actor, challenge.slug, Path(folder))
                for entry in missing:
                    _enter(stage, challenge.slug, actor, entry, public)


def _join(stage: Stage, slug: str, expert: str, actor: Actor) -> None:
    """Sign the agreement and answer the question about ties to the sponsor."""
    agreements.sign(stage.ctx, actor=actor, slug=slug, digest=agreements.page(stage.ctx, actor=actor, slug=slug).digest)
    tie = AFFILIATED.get((slug, expert), "")
    challenges.declare_affiliation(stage.ctx, actor=actor, slug=slug, affiliated=bool(tie), statement=tie)


def download(ctx: Context, actor: Actor, slug: str, folder: Path) -> Path:
    """Fetch a release as its expert does; the folder of its public files."""
    got = downloading.fetch(ctx, actor=actor, slug=slug, path=None)
    with ctx.blobs.open(got.blob_digest) as stream, zipfile.ZipFile(stream) as archive:
        archive.extractall(folder)
    return folder / slug / "public"


def _enter(stage: Stage, slug: str, actor: Actor, entry: Entry, public: Path) -> EntryView:
    began = time.monotonic()
    file = entry.make(public, public.parent / "entries" / entry.filename)
    spent = time.monotonic() - began
    with file.open("rb") as stream:
        view = submitting.submit(
            stage.ctx, actor=actor, slug=slug, stream=stream, filename=entry.filename, note=entry.note
        )
    stage.say(f"{slug}: {actor.name} sent {entry.filename} (computed in {spent:.1f} s)")
    return view


def await_scores(stage: Stage, challenge: DemoChallenge) -> int:
    """Wait until every entry of a challenge has its final state; how many there are.

    Raises:
        EngineFault: an entry got no score, or none within ten minutes.
    """
    end = time.monotonic() + WAIT_S
    while True:
        entries = _entries(stage, challenge)
        if not any(entry.state in WAITING for entry in entries):
            break
        if time.monotonic() > end:
            raise EngineFault(f"entries of {challenge.slug} are still waiting after {WAIT_S / 60:.0f} minutes")
        time.sleep(LOOK_S)
    for entry in entries:
        if entry.state != "scored":
            found = "; ".join(f"{finding.code}: {finding.message}" for finding in entry.findings)
            raise EngineFault(f"{challenge.slug}: {entry.filename} is {entry.state}. {found}".rstrip())
    return len(entries)


def _entries(stage: Stage, challenge: DemoChallenge) -> list[EntryView]:
    experts = sorted({entry.expert for entry in challenge.entries})
    every = (submitting.mine(stage.ctx, actor=stage.cast.expert(expert), slug=challenge.slug) for expert in experts)
    return [entry for entries in every for entry in entries]


def close_and_judge(stage: Stage, challenge: DemoChallenge) -> None:
    """The last act: end the challenge, rule on the prize ranks after recomputing their files, prizes are posted."""
    slug, judge = challenge.slug, stage.cast["judge"]
    if challenges.page(stage.ctx, actor=None, slug=slug).card.phase == "open":
        challenges.close(stage.ctx, actor=stage.cast["sponsor"], slug=slug, reason=CLOSED_REASON)
    places = len(challenges.page(stage.ctx, actor=None, slug=slug).prizes)
    open_rows = [row for row in verifying.desk(stage.ctx, actor=judge, slug=slug).rows[:places] if row.verdict is None]
    if not open_rows:
        return
    known = recomputed(stage, challenge)
    for row in open_rows:
        same = verifying.entry(stage.ctx, actor=judge, entry_id=row.entry_id).file_sha256 in known
        verdict, reason = ("verified", SAME) if same else ("question", DIFFERENT)
        verifying.rule(stage.ctx, actor=judge, entry_id=row.entry_id, verdict=verdict, reason=reason)
        stage.say(f"{slug}: the judge ruled on rank {row.rank_label or row.rank}: {verdict}")


def recomputed(stage: Stage, challenge: DemoChallenge) -> frozenset[str]:
    """The sha256 of every entry of a challenge, made once more from a download of the judge's own."""
    judge, slug = stage.cast["judge"], challenge.slug
    agreements.sign(stage.ctx, actor=judge, slug=slug, digest=agreements.page(stage.ctx, actor=judge, slug=slug).digest)
    with tempfile.TemporaryDirectory(dir=stage.room) as folder:
        public = download(stage.ctx, judge, slug, Path(folder))
        again = (entry.make(public, Path(folder) / "again" / entry.filename) for entry in challenge.entries)
        return frozenset(digest_file(file) for file in again)
