"""What the operator sees: queue, workers, health, outbox."""

import os
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.domain.errors import Forbidden
from portal.domain.permissions import Actor
from portal.domain.states import EntryState, move_entry
from portal.domain.views import Health, HealthCheck, MailView, OperatorView, QueueRow, WorkerView
from portal.services import recording
from portal.services.context import Context
from portal.store import challenges, database, entries, people, queue

SHOWN = 200
ALIVE = timedelta(seconds=60)
KNOWN = timedelta(days=1)
LONG_WAIT = timedelta(minutes=5)
MIN_FREE_BYTES = 1 << 30


def overview(ctx: Context, *, actor: Actor) -> OperatorView:
    """The operator's page.

    Raises:
        Forbidden: the actor is no operator.
    """
    _require_operator(actor)
    report = health(ctx)
    with ctx.reading() as session:
        now = ctx.now(session)
        workers = queue.workers(session, now - KNOWN)
        return OperatorView(
            queue=tuple(_rows(session, now)),
            counts=entries.state_counts(session),
            workers=tuple(WorkerView(row.name, row.last_seen, row.busy, row.threads, row.memory) for row in workers),
            health=report,
            outbox=_outbox(session),
        )


def outbox(ctx: Context, *, actor: Actor) -> list[MailView]:
    """Mail that has not left, newest first.

    Raises:
        Forbidden: the actor is no operator.
    """
    _require_operator(actor)
    with ctx.reading() as session:
        return list(_outbox(session))


def health(ctx: Context) -> Health:
    """Whether everything works that people rely on. Tells nothing secret: it is public."""
    checks = []
    try:
        with ctx.reading() as session:
            checks += [HealthCheck("database", ok=True, detail="answers"), _schema(session), *_scoring(ctx, session)]
    except database.Unreachable:
        checks.append(HealthCheck("database", ok=False, detail="does not answer"))
    checks.append(_store(ctx))
    sealing = bool(ctx.settings.truth_recipient)
    checks.append(HealthCheck("sealing", sealing, "ready" if sealing else "MOTHERLODE_TRUTH_RECIPIENT is not set"))
    return Health(all(check.ok for check in checks), tuple(checks))


def retry_failed(ctx: Context, *, actor: Actor) -> int:
    """Put entries that the platform failed on back into the line, once the cause is mended. How many those were.

    Their quota counts again, as the quota of any waiting entry does.

    Raises:
        Forbidden: the actor is no operator.
    """
    _require_operator(actor)
    with ctx.writing() as session:
        now = ctx.now(session)
        rows = queue.failed(session)
        for row in rows:
            row.state = move_entry(row.state, EntryState.QUEUED)
            row.attempts, row.available_at, row.finished_at = 0, now, None
            challenges.touch(session, row.challenge_id)
        recording.event(session, now, actor=actor, kind="entries.retried", subject="queue", rows=len(rows))
        return len(rows)


def _schema(session: Session) -> HealthCheck:
    found = database.revision(session)
    ok = found == database.REVISION
    return HealthCheck("schema", ok, "newest" if ok else f"at {found or 'nothing'}; run `motherlode db upgrade`")


def _scoring(ctx: Context, session: Session) -> list[HealthCheck]:
    now = ctx.now(session)
    alive = queue.workers(session, now - ALIVE)
    oldest = next((row.received_at for row in queue.waiting(session, 1)), None)
    waited = now - oldest if oldest else timedelta(0)
    return [
        HealthCheck("scorer", bool(alive), f"{len(alive)} heard of in the last minute"),
        HealthCheck("queue", waited < LONG_WAIT, f"the oldest entry waits {int(waited.total_seconds())} s"),
    ]


def _store(ctx: Context) -> HealthCheck:
    folder = ctx.settings.store_root
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return HealthCheck("store", ok=False, detail="the folder is missing or cannot be written to")
    usage = os.statvfs(folder)
    free = usage.f_bavail * usage.f_frsize
    return HealthCheck("store", free > MIN_FREE_BYTES, f"{free / (1 << 30):.1f} GiB free")


def _rows(session: Session, now: datetime) -> list[QueueRow]:
    found = [
        QueueRow(
            str(row.id),
            "score",
            row.state.value,
            row.attempts,
            (now - row.received_at).total_seconds(),
            row.lease_until,
        )
        for row in queue.waiting(session, SHOWN)
    ]
    for draft in queue.open_drafts(session, SHOWN):
        age = (now - draft.uploaded_at).total_seconds()
        found.append(QueueRow(str(draft.id), "draft", draft.state.value, draft.attempts, age, draft.lease_until))
    return found


def _outbox(session: Session) -> tuple[MailView, ...]:
    return tuple(MailView(row.to, row.subject, row.body, row.created_at) for row in people.newest_mail(session, SHOWN))


def _require_operator(actor: Actor) -> None:
    if not actor.is_operator or actor.scopes is not None:
        raise Forbidden("Only an operator who signed in may see this.")
