"""The queue's life: claim, ticket, heartbeat, record under the fence, retry, sweep. One transaction each.

A result is recorded only by whoever still holds the row's fence, and a score row is unique by entry, truth and metric
version, so work done twice is recorded once.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from datasets.digest import digest_bytes
from portal.domain.states import EntryState, move_entry
from portal.services import drafting, recording
from portal.services.context import Context
from portal.store import challenges, entries, people, queue
from portal.store.queue import Claim
from portal.store.tables import Draft, PrivateScore, Score, Submission
from scoring.contracts import ScoreReport, ScoreTicket, TruthRef

log = structlog.get_logger(__name__)
PAUSES = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=60))
KEPT_FAULT = 500


def claim(ctx: Context, *, worker: str, limit: int, large: int | None = None) -> list[Claim]:
    """Take up to ``limit`` rows of work: drafts (few, somebody waits in front of a form) before entries.

    At most ``large`` entries have a large upload; None sets no bound.
    """
    with ctx.writing() as session:
        now, lease = ctx.now(session), timedelta(seconds=ctx.settings.lease_seconds)
        drafts = queue.claim_drafts(session, worker, now, lease, limit)
        return drafts + queue.claim_entries(session, worker, now, lease, limit - len(drafts), large=large)


def waiting(ctx: Context) -> bool:
    """Whether anything could be claimed now; cheap, takes no lock."""
    with ctx.reading() as session:
        return queue.anything(session, ctx.now(session))


def ticket(ctx: Context, *, work: Claim) -> bytes | None:
    """What the engine needs for this claim, as JSON; None when the row was lost meanwhile."""
    with ctx.reading() as session:
        if work.kind != "score":
            return drafting.ticket(session, work)
        found = entries.by_id(session, work.id)
        if found is None or found[0].fence != work.fence:
            return None
        row, challenge = found
        truth = challenges.truth(session, challenge.id)
        return (
            ScoreTicket(
                submission=str(row.id),
                challenge=challenge.slug,
                file=row.file_digest,
                bytes=row.file_bytes,
                format=row.format,
                spec=challenge.spec,
                truth=TruthRef(version=truth.version, digest=truth.sealed_digest, commitment=truth.commitment),
            )
            .model_dump_json()
            .encode()
        )


def keep(ctx: Context, *, held: list[Claim]) -> set[Claim]:
    """Lengthen the leases; the claims that were lost and whose work is of no use any more."""
    with ctx.writing() as session:
        until = ctx.now(session) + timedelta(seconds=ctx.settings.lease_seconds)
        return {work for work in held if not queue.keep(session, work, until)}


def lost(ctx: Context, *, held: list[Claim]) -> set[Claim]:
    """The claims that are not held any more, so that nobody wants their answers; cheap, takes no lock."""
    with ctx.reading() as session:
        return queue.lost(session, held)


def tell(ctx: Context, *, shares: Mapping[Claim, float]) -> set[Claim]:
    """Write down how much of each entry's scoring is done; the claims that were lost meanwhile."""
    with ctx.writing() as session:
        return {work for work, share in shares.items() if not queue.tell(session, work, share)}


def record(ctx: Context, *, work: Claim, answer: bytes) -> bool:
    """Record the engine's answer. False when the row was lost and the answer is dropped.

    Raises:
        pydantic.ValidationError: the answer is no report; treat it as a fault of the engine.
    """
    if work.kind != "score":
        return drafting.record(ctx, work=work, answer=answer)
    report = ScoreReport.model_validate_json(answer)
    with ctx.writing() as session:
        row = queue.held(session, work)
        if not isinstance(row, Submission):
            return False
        now = ctx.now(session)
        _add_score(session, row, report, now)
        row.state = move_entry(row.state, EntryState(report.status))
        row.finished_at, row.last_error = now, ""
        queue.release(row)
        challenges.touch(session, row.challenge_id)
        if row.state is EntryState.REJECTED:
            _tell(
                ctx, session, row, now, "was rejected", "What was found, and how to mend it, stands on the entry's page"
            )
    log.info("entry recorded", entry=str(work.id), status=report.status, seconds=report.seconds, attempt=work.attempts)
    return True


def fault(ctx: Context, *, work: Claim, reason: str) -> None:
    """The platform failed on this row: it waits and is tried again, or fails for good after too many tries."""
    with ctx.writing() as session:
        row = queue.held(session, work)
        if row is not None:
            _put_back(ctx, session, row, ctx.now(session), reason)


def give_back(ctx: Context, *, work: Claim) -> None:
    """Return a row untouched, as when this worker stops; the try does not count."""
    with ctx.writing() as session:
        row = queue.held(session, work)
        if row is None:
            return
        queue.release(row)
        row.attempts -= 1
        if isinstance(row, Submission):
            row.state = move_entry(row.state, EntryState.QUEUED)


def sweep(ctx: Context) -> int:
    """Put rows back whose worker was not heard of in time. How many those were."""
    with ctx.writing() as session:
        now = ctx.now(session)
        lost: list[Submission | Draft] = [*queue.expired_entries(session, now), *queue.expired_drafts(session, now)]
        for row in lost:
            _put_back(ctx, session, row, now, "the worker was not heard of in time", pause=timedelta(0))
    if lost:
        log.warning("lost work taken up again", rows=len(lost))
    return len(lost)


def heartbeat(ctx: Context, *, worker: str, busy: int, threads: int, memory: int) -> None:
    """Write down that a worker lives. ``memory`` in bytes."""
    with ctx.writing() as session:
        queue.heartbeat(session, worker, ctx.now(session), busy=busy, threads=threads, memory=memory)


def forget(ctx: Context) -> None:
    """Delete what has expired: counted tries, old links, sessions that ended long ago."""
    with ctx.writing() as session:
        now = ctx.now(session)
        people.forget_expired(session, now, now - timedelta(days=30))


def _add_score(session: Session, row: Submission, report: ScoreReport, now: datetime) -> None:
    truth = challenges.truth(session, row.challenge_id)
    metric_version = report.metric_version or digest_bytes(b"")[:12]
    if entries.score_of(session, row.id, truth.id, metric_version) is not None:
        return
    score = Score(
        submission_id=row.id, challenge_id=row.challenge_id, truth_version_id=truth.id, metric_version=metric_version
    )
    score.status, score.public = report.status, report.scores.public if report.scores else None
    score.findings = [finding.model_dump(mode="json") for finding in report.findings]
    score.artifacts, score.environment = dict(report.artifacts), dict(report.environment)
    score.seconds, score.worker, score.fence, score.recorded_at = report.seconds, row.worker or "", row.fence, now
    session.add(score)
    session.flush()
    if report.scores:
        kept = report.model_dump(mode="json", exclude={"scores", "findings", "artifacts", "environment"})
        session.add(
            PrivateScore(score_id=score.id, overall=report.scores.overall, private=report.scores.private, report=kept)
        )


def _put_back(
    ctx: Context,
    session: Session,
    row: Submission | Draft,
    now: datetime,
    reason: str,
    *,
    pause: timedelta | None = None,
) -> None:
    row.last_error = reason[:KEPT_FAULT]
    queue.release(row)
    for_good = row.attempts >= ctx.settings.score_attempts
    row.available_at = now + (PAUSES[min(row.attempts, len(PAUSES)) - 1] if pause is None else pause)
    log.warning("work failed", row=str(row.id), attempt=row.attempts, reason=reason[:KEPT_FAULT], for_good=for_good)
    if isinstance(row, Draft):
        drafting.failed(session, row, now, for_good=for_good)
        return
    row.state = move_entry(row.state, EntryState.FAILED if for_good else EntryState.QUEUED)
    if for_good:
        row.finished_at = now
        challenges.touch(session, row.challenge_id)
        recording.event(session, now, actor=None, kind="entry.failed", subject=row.id, attempts=row.attempts)
        _tell(
            ctx,
            session,
            row,
            now,
            "could not be scored",
            "The fault is ours: the entry does not count against your quota",
        )


def _tell(ctx: Context, session: Session, row: Submission, now: datetime, what: str, more: str) -> None:
    challenge = challenges.by_id(session, row.challenge_id)
    link = f"{ctx.settings.base_url.rstrip('/')}/entries/{row.id}"
    body = f"Entry {row.number} to “{challenge.title}” {what}.\n{more}:\n\n{link}\n"
    for person in challenges.members(session, row.team_id):
        recording.mail(session, now, to=person.email, subject=f"Entry {row.number} {what}", body=body)
