"""A publication made by the engine becomes challenge, release, truth version, agreement, prizes and funded pool."""

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from datasets.release import Publication
from datasets.spec import Spec, parse_spec
from portal.domain.states import Role
from portal.services import challenges as roles
from portal.services import paying, recording
from portal.services.context import Context
from portal.store.tables import Agreement, Challenge, Prize, Release, ReleaseFile, TruthVersion

MAX_TEXT = 2_000_000


def store(ctx: Context, session: Session, made: Publication, *, owner: uuid.UUID) -> Challenge:
    """Write every row of a publication inside an open transaction; hold the slug's lock and know that it is free."""
    spec, now = parse_spec(made.spec), ctx.now(session)
    challenge = _challenge(spec, made, _text(ctx, made.overview), now)
    session.add(challenge)
    session.flush()
    _truth(session, challenge, made, now)
    _release(session, challenge, made, now)
    text = _text(ctx, made.agreement)
    session.add(Agreement(challenge_id=challenge.id, version=1, digest=made.agreement, text=text, created_at=now))
    for prize in spec.bounty.prizes:
        session.add(Prize(challenge_id=challenge.id, rank=prize.rank, amount_minor=spec.bounty.prize_minor(prize.rank)))
    roles.put_inside(session, challenge, owner, Role.SPONSOR, by=owner, now=now)
    paying.fund(session, challenge, now)
    recording.event(
        session,
        now,
        actor=None,
        kind="challenge.published",
        subject=challenge.slug,
        by=str(owner),
        manifest=made.manifest,
        commitment=made.truth.commitment,
        agreement=made.agreement,
    )
    return challenge


def _challenge(spec: Spec, made: Publication, overview: str, now: datetime) -> Challenge:
    head = spec.challenge
    challenge = Challenge(
        id=uuid.uuid4(), slug=head.slug, title=head.title, sponsor=head.sponsor, kind=head.kind, summary=head.summary
    )
    challenge.tags, challenge.spec, challenge.overview = list(head.tags), made.spec, overview
    challenge.opens, challenge.closes, challenge.published_at = spec.schedule.opens, spec.schedule.closes, now
    challenge.currency, challenge.pool_minor = spec.bounty.currency, spec.bounty.pool_minor
    challenge.layers = [layer.model_dump(mode="json") for layer in made.layers]
    challenge.change = 0
    return challenge


def _truth(session: Session, challenge: Challenge, made: Publication, now: datetime) -> None:
    truth = TruthVersion(
        challenge_id=challenge.id, version=1, sealed_digest=made.truth.digest, commitment=made.truth.commitment
    )
    truth.created_at = now
    session.add(truth)


def _release(session: Session, challenge: Challenge, made: Publication, now: datetime) -> None:
    release = Release(
        id=uuid.uuid4(), challenge_id=challenge.id, version=1, manifest_digest=made.manifest, published_at=now
    )
    release.zip_digest, release.zip_bytes = made.archive.digest, made.archive.bytes
    session.add(release)
    session.flush()
    session.add_all(
        ReleaseFile(release_id=release.id, path=file.path, bytes=file.bytes, sha256=file.sha256) for file in made.files
    )


def _text(ctx: Context, digest: str) -> str:
    with ctx.blobs.open(digest) as stream:
        return stream.read(MAX_TEXT).decode("utf-8")
