"""A small town for service tests: a published challenge, people in their roles, and an engine that answers at once."""

import io
import json
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.heads import head
from datasets.release import Publication, SealedTruth, StoredBlob, StoredFile
from datasets.sealing import generate_keys
from portal.adapters.clock import FixedClock
from portal.dispatch import Dispatcher
from portal.domain.permissions import Actor
from portal.domain.views import EntryView
from portal.services import accounts, agreements, challenges, publishing, submitting
from portal.services.context import Context, open_context
from portal.settings import Settings

PASSWORD = "correct horse battery"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECTIONS = """
[truth]
file = "hidden/truth.csv"
id = ["hole"]
target = "grade"
[submission]
prediction = "grade"
formats = ["csv"]
max_bytes = "10 kB"
per_day = {per_day}
finals = 2
[blocks]
by = "hole"
public = {public}
seed = 7
[scoring]
primary = "rmse"
metrics = ["rmse", "mae"]
"""
_, RECIPIENT = generate_keys()


def challenge_toml(slug: str, *, per_day: int, public: float) -> str:
    """The challenge.toml of a table of grades, open in February and March 2026."""
    opens, closes = "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"
    title, summary = f"Grades of {slug}", "Say what lies where."
    top = head("table", slug=slug, title=title, opens=opens, closes=closes, prizes=(600, 400), summary=summary)
    return top + SECTIONS.format(per_day=per_day, public=public)


def settings_for(folder: Path, url: str, **changes: Any) -> Settings:
    known: dict[str, Any] = {
        "data": folder,
        "database_url": url,
        "secret_key": SecretStr("k" * 40),
        "base_url": "http://localhost",
        "argon2_memory_kib": 8,
        "argon2_time": 1,
        "truth_recipient": RECIPIENT,
        "upload_max_bytes": 100_000,
    }
    return Settings(**(known | changes))


@dataclass
class Town:
    """A context whose clock stands still, and shortcuts to what people do."""

    ctx: Context
    clock: FixedClock
    people: dict[str, Actor] = field(default_factory=dict)

    def person(self, name: str) -> Actor:
        if name not in self.people:
            email = f"{name.lower().replace(' ', '.')}@example.org"
            self.people[name] = accounts.create_verified(self.ctx, name=name, email=email, password=PASSWORD)
        return self.people[name]

    def operator(self) -> Actor:
        person = self.person("Operator")
        accounts.make_operator(self.ctx, email=person.email)
        self.people["Operator"] = accounts.actor_by_email(self.ctx, email=person.email)
        return self.people["Operator"]

    def publish(self, slug: str = "grades", *, per_day: int = 5, public: float = 0.5) -> str:
        answer = publication(self.ctx, challenge_toml(slug, per_day=per_day, public=public), slug)
        return publishing.record_publication(self.ctx, actor=self.person("Sponsor"), answer=answer)

    def judge(self, slug: str = "grades") -> Actor:
        judge = self.person("Judge")
        challenges.grant(self.ctx, actor=self.person("Sponsor"), slug=slug, email=judge.email, role="judge")
        return judge

    def expert(self, name: str, slug: str = "grades") -> Actor:
        expert = self.person(name)
        agreements.sign(
            self.ctx, actor=expert, slug=slug, digest=agreements.page(self.ctx, actor=expert, slug=slug).digest
        )
        return expert

    def send(self, actor: Actor, content: str = "1.0", *, slug: str = "grades", key: str | None = None) -> EntryView:
        stream = io.BytesIO(content.encode())
        return submitting.submit(
            self.ctx, actor=actor, slug=slug, stream=stream, filename="entry.csv", note="kriging", key=key
        )

    def score_all(self, engine: "FakeEngine | None" = None) -> None:
        """Let a dispatcher work until nothing moves."""
        dispatcher = Dispatcher(self.ctx, engine or scoring_engine(self.ctx), slots=8)
        while dispatcher.step():
            pass

    def close(self, slug: str = "grades") -> None:
        challenges.close(self.ctx, actor=self.person("Sponsor"), slug=slug, reason="all entries are in")


def town(folder: Path, url: str, **changes: Any) -> Town:
    clock = FixedClock(START)
    return Town(open_context(settings_for(folder, url, **changes), clock=clock), clock)


def publication(ctx: Context, spec: str, slug: str) -> bytes:
    """What the engine would answer to a publish task."""

    def put(data: bytes) -> StoredBlob:
        blob = ctx.blobs.put(io.BytesIO(data))
        return StoredBlob(digest=blob.digest, bytes=blob.size)

    texts = {
        "public/holes.csv": b"hole,x\nA,1\n",
        "overview.md": b"# Overview\n",
        "agreement.md": f"Agreement of {slug}.\n".encode(),
    }
    files = tuple(StoredFile(path=path, bytes=len(data), sha256=put(data).digest) for path, data in texts.items())
    digests = {file.path: file.sha256 for file in files}
    sealed = put(b"sealed " + slug.encode())
    made = Publication(
        slug=slug,
        spec=spec,
        spec_digest="0" * 64,
        manifest=put(b"manifest").digest,
        files=files,
        archive=put(b"PK archive"),
        overview=digests["overview.md"],
        agreement=digests["agreement.md"],
        sample="sample/entry.csv",
        truth=SealedTruth(digest=sealed.digest, bytes=sealed.bytes, commitment="c" * 64),
    )
    return json.dumps({"publication": made.model_dump(mode="json"), "faults": []}).encode()


def score_answer(ctx: Context, payload: bytes, metric_version: str = "1") -> bytes:
    """A report: the public score is the number in the file, the private one that plus 100; text is rejected."""
    ticket = json.loads(payload)
    with ctx.blobs.open(ticket["file"]) as stream:
        text = stream.read().decode().split("#")[0].strip()
    scores: dict[str, Any] | None = None
    findings = []
    try:
        value = float(text)
        private = {"rmse": value + 100, "mae": value + 100}
        scores = {"overall": private, "public": {"rmse": value, "mae": value}, "private": private}
    except ValueError:
        findings = [
            {"code": "bad-number", "message": "Row 1 holds no number.", "where": {"row": 1}, "hint": "Write one."}
        ]
    report = {
        "challenge": ticket["challenge"],
        "status": "scored" if scores else "rejected",
        "file": {"sha256": ticket["file"], "bytes": 3},
        "scores": scores,
        "blocks": 2,
        "findings": findings,
        "seconds": 0.01,
        "peak_rss_mib": 1.0,
        "metric_version": metric_version,
    }
    return json.dumps(report).encode()


@dataclass
class FakeJob:
    """A job whose answer the test gives, or that is done at once."""

    answer: bytes | Exception | None
    cancelled: bool = False
    share: float | None = None
    _calls: list[Callable[[Any], None]] = field(default_factory=list)

    def done(self) -> bool:
        return self.answer is not None

    def result(self, timeout: float | None = None) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            raise TimeoutError
        return self.answer

    def cancel(self) -> None:
        self.cancelled = True

    def progress(self) -> float | None:
        return self.share

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        if self.done():
            call(self)


@dataclass
class FakeEngine:
    """Answers every task by a function; None leaves the job open."""

    respond: Callable[[str, bytes], bytes | Exception | None]
    jobs: list[FakeJob] = field(default_factory=list)
    tasks: list[tuple[str, bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, task: str, payload: bytes) -> FakeJob:
        job = FakeJob(self.respond(task, payload))
        with self.lock:
            self.jobs.append(job)
            self.tasks.append((task, payload))
        return job

    def workers(self) -> Sequence[Any]:
        return []


def scoring_engine(ctx: Context) -> FakeEngine:
    """Scores entries as ``score_answer`` does."""
    return FakeEngine(lambda _task, payload: score_answer(ctx, payload))


def new_id() -> str:
    return str(uuid.uuid4())


def later(days: float) -> datetime:
    return START + timedelta(days=days)
