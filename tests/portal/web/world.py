"""Two challenges, and people in every role, made with the services.

The engine is stood in for by reports of the right shape; what they hold is known, so leaks show.
"""

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.heads import head
from datasets.release import Publication, SealedTruth, StoredBlob, StoredFile
from portal.domain.permissions import Actor
from portal.domain.views import EntryView
from portal.services import accounts, agreements, challenges, collecting, publishing, submitting
from portal.services.context import Context
from scoring.contracts import FileFacts, FindingModel, PublishReport, ScoreReport, Scores
from tests.portal.web.browser import new_person

SECTIONS = """
[truth]
file = "hidden/truth.csv"
id = ["well", "depth"]
target = "facies"

[submission]
prediction = "facies"
formats = ["csv"]
max_bytes = "20 kB"
per_day = 3
finals = 2

[blocks]
by = "well"
public = 0.5
seed = 7

[scoring]
primary = "rmse"
metrics = ["rmse", "mae"]
"""
FILES = {"train.csv": b"well,depth,facies\n" + b"W-1,1000.5,3\n" * 400, "notes/read me.txt": b"Units are metres.\n"}
PREVIEWS = {
    "map.geojson": b'{"type":"FeatureCollection","features":[]}',
    "judge-residuals.json": b'{"rows":[{"id":"W-1 1000.5","block":"W-1","truth":424242.5,"prediction":2.0,"off":9}]}',
    "judge-blocks.json": b'{"metrics":["rmse"],"rows":[{"block":"W-7","side":"private","scores":{"rmse":424242.25}}]}',
    "judge-confusion.json": b'{"classes":["sand","shale"],"overall":[[424251,2],[3,4]],"public":[[1,1],[1,1]],'
    b'"private":[[424250,1],[2,3]]}',
}
CANARY = 424242.424242  # the private score of every entry here
ENTRY = b"well,depth,facies\nW-1,1000.5,3\n"


@dataclass(frozen=True)
class World:
    """Who and what there is. ``entry`` is Expert A's, scored, in ``slug``; ``other`` belongs to another sponsor."""

    context: Context
    slug: str
    other: str
    sponsor: Actor
    judge: Actor
    expert: Actor
    rival: Actor
    stranger: Actor
    operator: Actor
    entry: EntryView


def build(context: Context) -> World:
    """The world; some hundred milliseconds."""
    people = {
        name: new_person(context, name)
        for name in ("Sponsor", "Judge", "Expert A", "Expert B", "Outsider", "Sponsor B", "Operator")
    }
    accounts.make_operator(context, email=people["Operator"].email)
    publish(context, "seg-facies", people["Sponsor"])
    publish(context, "other-facies", people["Sponsor B"])
    challenges.grant(context, actor=people["Sponsor"], slug="seg-facies", email=people["Judge"].email, role="judge")
    for name in ("Expert A", "Expert B"):
        join(context, people[name], "seg-facies")
    entry = send(context, people["Expert A"], "seg-facies")
    score(context, rmse=12.5)
    known = {name: accounts.actor_by_email(context, email=person.email) for name, person in people.items()}
    return World(
        context=context,
        slug="seg-facies",
        other="other-facies",
        sponsor=known["Sponsor"],
        judge=known["Judge"],
        expert=known["Expert A"],
        rival=known["Expert B"],
        stranger=known["Outsider"],
        operator=known["Operator"],
        entry=submitting.entry(context, actor=people["Expert A"], entry_id=entry.id),
    )


def publish(context: Context, slug: str, sponsor: Actor) -> None:
    """A published, open challenge."""
    publishing.record_publication(context, actor=sponsor, answer=publication(context, slug))


def challenge_toml(slug: str, *, opens: str, closes: str) -> str:
    """The challenge.toml of a table of facies."""
    title, summary = f"Facies of {slug}", "Say what lies where."
    top = head("table", slug=slug, title=title, opens=opens, closes=closes, prizes=(600, 400), summary=summary)
    return top + SECTIONS


def publication(context: Context, slug: str) -> bytes:
    """What the engine would answer to a publish task."""
    now = datetime.now(UTC).replace(microsecond=0)
    opens, closes = (now - timedelta(days=1)).isoformat(), (now + timedelta(days=30)).isoformat()
    spec = challenge_toml(slug, opens=opens, closes=closes)
    files = tuple(
        StoredFile(path=path, bytes=len(content), sha256=_put(context, content).digest)
        for path, content in FILES.items()
    )
    texts = [
        _put(context, text)
        for text in (b"# Overview\n\nFind out.\n", f"Use the data of {slug} for this only.\n".encode())
    ]
    made = Publication(
        slug=slug,
        spec=spec,
        spec_digest="0" * 64,
        manifest=_put(context, b"manifest").digest,
        files=files,
        archive=_put(context, b"PK" + b"\x00" * 5000),
        overview=texts[0].digest,
        agreement=texts[1].digest,
        sample="sample/entry.csv",
        truth=SealedTruth(digest=_put(context, b"sealed").digest, bytes=6, commitment="c" * 64),
    )
    return PublishReport(publication=made, faults=()).model_dump_json().encode()


def _put(context: Context, content: bytes) -> StoredBlob:
    blob = context.blobs.put(io.BytesIO(content))
    return StoredBlob(digest=blob.digest, bytes=blob.size)


def join(context: Context, person: Actor, slug: str) -> None:
    """Sign the agreement and declare no affiliation."""
    agreements.sign(context, actor=person, slug=slug, digest=agreements.page(context, actor=person, slug=slug).digest)
    challenges.declare_affiliation(context, actor=person, slug=slug, affiliated=False, statement="")


def send(context: Context, person: Actor, slug: str, content: bytes = ENTRY) -> EntryView:
    """An entry waiting in the queue."""
    return submitting.submit(
        context, actor=person, slug=slug, stream=io.BytesIO(content), filename="entry.csv", note="kriging"
    )


def score(context: Context, *, rmse: float | None = None) -> None:
    """Take up everything that waits and record a report for it; rejected without a score."""
    drawn = {name: _put(context, text).digest for name, text in PREVIEWS.items()}
    for work in collecting.claim(context, worker="test", limit=10):
        values = None
        if rmse is not None:
            values = Scores(
                overall={"rmse": CANARY, "mae": CANARY},
                public={"rmse": rmse, "mae": rmse / 2},
                private={"rmse": CANARY, "mae": CANARY},
            )
        finding = FindingModel(code="missing-id", message="Row W-9 is missing.", where={"row": 3}, hint="Add it.")
        report = ScoreReport(
            challenge="seg-facies",
            status="scored" if values else "rejected",
            file=FileFacts(sha256="d" * 64, bytes=1),
            scores=values,
            blocks=2,
            findings=() if values else (finding,),
            seconds=0.1,
            peak_rss_mib=1.0,
            metric_version="1",
            artifacts=drawn,
        )
        assert collecting.record(context, work=work, answer=report.model_dump_json().encode())
