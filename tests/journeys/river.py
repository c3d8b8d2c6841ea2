"""A small instance with the real engine in this process: publish, send, score, close, and read what the judge reads."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datasets.sealing import generate_keys
from portal.dispatch import Dispatcher
from portal.domain.permissions import Actor
from portal.domain.states import EntryState
from portal.domain.views import EntryView, JudgeEntry
from portal.services import accounts, agreements, challenges, publishing, submitting, verifying
from portal.services.context import Context, open_context
from scoring.jobs import Inline
from scoring.worker import EngineSettings
from tests.portal.town import PASSWORD, settings_for

AT_ONCE = 16


@dataclass
class River:
    """Services on one database, and the engine that answers in the calling thread."""

    ctx: Context
    engine: Inline
    _people: dict[str, Actor] = field(default_factory=dict)

    def person(self, name: str) -> Actor:
        if name not in self._people:
            email = f"{name.lower().replace(' ', '-')}@example.org"
            self._people[name] = accounts.create_verified(self.ctx, name=name, email=email, password=PASSWORD)
        return self._people[name]

    def publish(self, folder: Path) -> str:
        """The slug of a directory published by the sponsor, with a judge."""
        sponsor, judge = self.person("Sponsor"), self.person("Judge")
        slug = publishing.publish_directory(
            self.ctx, actor=sponsor, folder=folder, run=lambda task, payload: self.engine.submit(task, payload).result()
        )
        challenges.grant(self.ctx, actor=sponsor, slug=slug, email=judge.email, role="judge")
        return slug

    def send(self, team: str, slug: str, file: Path) -> EntryView:
        """An expert's entry; the agreement is signed first."""
        expert = self.person(team)
        digest = agreements.page(self.ctx, actor=expert, slug=slug).digest
        agreements.sign(self.ctx, actor=expert, slug=slug, digest=digest)
        with file.open("rb") as stream:
            return submitting.submit(self.ctx, actor=expert, slug=slug, stream=stream, filename=file.name, note="")

    def score_all(self) -> None:
        """Let a dispatcher work until nothing moves."""
        dispatcher = Dispatcher(self.ctx, self.engine, slots=AT_ONCE)
        while dispatcher.step():
            pass

    def close(self, slug: str) -> None:
        challenges.close(self.ctx, actor=self.person("Sponsor"), slug=slug, reason="All entries are in.")

    def seen_by_judge(self, entry: EntryView) -> JudgeEntry:
        return verifying.entry(self.ctx, actor=self.person("Judge"), entry_id=entry.id)

    def play(self, folder: Path, files: Mapping[str, Path]) -> dict[str, JudgeEntry]:
        """Publish a directory, send every file by a team of its own, score, close: what the judge sees, by team."""
        slug = self.publish(folder)
        sent = {team: self.send(team, slug, file) for team, file in files.items()}
        self.score_all()
        self.close(slug)
        return {team: self.seen_by_judge(entry) for team, entry in sent.items()}


@contextmanager
def river(folder: Path, url: str) -> Iterator[River]:
    """An instance in ``folder`` on the migrated database ``url``."""
    identity, recipient = generate_keys()
    settings = settings_for(folder, url, truth_recipient=recipient, upload_max_bytes=1_000_000_000)
    engine = EngineSettings(
        store=settings.store_root, scratch=settings.scratch_root, truth_key=identity, recipient=recipient
    )
    ctx = open_context(settings)
    try:
        yield River(ctx, Inline(engine))
    finally:
        ctx.close()


def overall(judged: JudgeEntry) -> Mapping[str, float | None]:
    """The values over public and private blocks together, of an entry that has a score."""
    assert judged.entry.state is EntryState.SCORED, judged.entry.findings
    assert judged.scores_overall is not None
    return judged.scores_overall
