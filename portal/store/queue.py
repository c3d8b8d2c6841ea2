"""The queue: rows that wait are claimed with a lease, kept by heartbeats, finished under a fence.

A claim gives the row a fence one higher than before. Whoever holds an older fence has lost the row and can neither
keep nor finish it. A row whose lease has run out goes back to the line, or fails when it was tried too often.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, update
from sqlalchemy.orm import Session

from portal.domain.states import DraftState, EntryState
from portal.store.tables import Draft, Submission, Worker
from scoring.contracts import LARGE_BYTES

SPARE = 4
OPEN_DRAFTS = (DraftState.CHECKING, DraftState.PUBLISHING)


@dataclass(frozen=True, slots=True)
class Claim:
    """A row this worker holds until ``until``, and the fence it holds it by. ``large``: an entry of many bytes."""

    kind: str
    id: uuid.UUID
    fence: int
    attempts: int
    until: datetime
    large: bool = False


def claim_entries(
    session: Session, worker: str, now: datetime, lease: timedelta, limit: int, *, large: int | None = None
) -> list[Claim]:
    """Take up to ``limit`` entries: each team's first before anybody's second, busy teams later, oldest first.

    At most ``large`` of them have a large upload; the small ones behind those that stay come first then.
    """
    most = limit if large is None else min(large, limit)
    line = _fair_line(now).subquery()
    order = (line.c.turn, line.c.received_at, line.c.id)
    found: list[Row[Any]] = []
    for of_size, wanted in ((line.c.file_bytes <= LARGE_BYTES, limit), (line.c.file_bytes > LARGE_BYTES, most)):
        if wanted > 0:
            found += session.execute(select(*order).where(of_size).order_by(*order).limit(wanted * SPARE))
    ids = [id_ for _, _, id_ in sorted(map(tuple, found))]
    query = (
        select(Submission)
        .where(Submission.id.in_(ids), Submission.state == EntryState.QUEUED)
        .with_for_update(skip_locked=True)
    )
    rows: list[Submission] = []
    for row in sorted(session.scalars(query), key=lambda row: ids.index(row.id)):
        is_large = row.file_bytes > LARGE_BYTES
        if len(rows) < limit and (not is_large or most > 0):
            most -= is_large
            row.state, row.progress = EntryState.SCORING, None
            rows.append(row)
    return [_take("score", row, worker, now + lease) for row in rows]


def claim_drafts(session: Session, worker: str, now: datetime, lease: timedelta, limit: int) -> list[Claim]:
    """Take up to ``limit`` drafts that wait to be checked or published, oldest first."""
    query = select(Draft).where(Draft.state.in_(OPEN_DRAFTS), Draft.lease_until.is_(None), Draft.available_at <= now)
    rows = session.scalars(query.order_by(Draft.available_at).limit(limit).with_for_update(skip_locked=True)).all()
    return [
        _take("inspect" if row.state is DraftState.CHECKING else "publish", row, worker, now + lease) for row in rows
    ]


def anything(session: Session, now: datetime) -> bool:
    """Whether a row could be claimed or its lease has run out."""
    open_entry = Submission.state.in_((EntryState.QUEUED, EntryState.SCORING)) & (Submission.available_at <= now)
    entry = (
        select(Submission.id)
        .where(open_entry, Submission.lease_until.is_(None) | (Submission.lease_until < now))
        .limit(1)
    )
    draft = select(Draft.id).where(Draft.state.in_(OPEN_DRAFTS), Draft.available_at <= now)
    draft = draft.where(Draft.lease_until.is_(None) | (Draft.lease_until < now)).limit(1)
    return session.scalars(entry).first() is not None or session.scalars(draft).first() is not None


def keep(session: Session, claim: Claim, until: datetime) -> bool:
    """Lengthen a lease. False when the row was lost, and whatever is being computed for it is of no use."""
    table = Submission if claim.kind == "score" else Draft
    query = update(table).where(*_held_by(table, claim))
    return session.scalars(query.values(lease_until=until).returning(table.id)).one_or_none() is not None


def tell(session: Session, claim: Claim, share: float) -> bool:
    """Write down how much of an entry's scoring is done. False when the row was lost."""
    query = update(Submission).where(*_held_by(Submission, claim)).values(progress=share)
    return session.scalars(query.returning(Submission.id)).one_or_none() is not None


def lost(session: Session, claims: Sequence[Claim]) -> set[Claim]:
    """The claims that are not held any more: their rows were withdrawn, or another loop has them."""
    kept: set[tuple[uuid.UUID, int]] = set()
    for table in (Submission, Draft):
        own = [claim.id for claim in claims if (claim.kind == "score") is (table is Submission)]
        if own:
            query = select(table.id, table.fence).where(table.id.in_(own), table.lease_until.is_not(None))
            kept |= {(id_, fence) for id_, fence in session.execute(query)}
    return {claim for claim in claims if (claim.id, claim.fence) not in kept}


def held(session: Session, claim: Claim) -> Submission | Draft | None:
    """The claimed row, locked, if it is still held by this fence; None when it was lost."""
    if claim.kind == "score":
        return session.scalars(select(Submission).where(*_held_by(Submission, claim)).with_for_update()).one_or_none()
    return session.scalars(select(Draft).where(*_held_by(Draft, claim)).with_for_update()).one_or_none()


def _held_by(table: type[Submission] | type[Draft], claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return table.id == claim.id, table.fence == claim.fence, table.lease_until.is_not(None)


def expired_entries(session: Session, now: datetime) -> Sequence[Submission]:
    """Entries whose worker stopped keeping its lease, locked."""
    query = select(Submission).where(Submission.state == EntryState.SCORING, Submission.lease_until < now)
    return session.scalars(query.with_for_update(skip_locked=True)).all()


def expired_drafts(session: Session, now: datetime) -> Sequence[Draft]:
    """Drafts whose worker stopped keeping its lease, locked."""
    query = select(Draft).where(Draft.state.in_(OPEN_DRAFTS), Draft.lease_until < now)
    return session.scalars(query.with_for_update(skip_locked=True)).all()


def release(row: Submission | Draft) -> None:
    """Take a row out of its worker's hands."""
    row.lease_until = None
    row.worker = None


def position(session: Session, entry_id: uuid.UUID) -> int | None:
    """The place of a waiting entry in the line (1 is next), or None when it does not wait."""
    line = _fair_line(None).subquery()
    numbered = select(
        line.c.id, func.row_number().over(order_by=(line.c.turn, line.c.received_at, line.c.id)).label("place")
    ).subquery()
    return session.scalar(select(numbered.c.place).where(numbered.c.id == entry_id))


def waiting(session: Session, limit: int) -> Sequence[Submission]:
    """Entries that wait or are being scored, oldest first."""
    query = select(Submission).where(Submission.state.in_((EntryState.QUEUED, EntryState.SCORING)))
    return session.scalars(query.order_by(Submission.received_at).limit(limit)).all()


def failed(session: Session) -> Sequence[Submission]:
    """Entries the platform failed on, locked."""
    return session.scalars(select(Submission).where(Submission.state == EntryState.FAILED).with_for_update()).all()


def open_drafts(session: Session, limit: int) -> Sequence[Draft]:
    """Drafts that wait or are being worked on, oldest first."""
    return session.scalars(
        select(Draft).where(Draft.state.in_(OPEN_DRAFTS)).order_by(Draft.available_at).limit(limit)
    ).all()


def workers(session: Session, since: datetime) -> Sequence[Worker]:
    """Workers heard of since then, last heard first."""
    return session.scalars(select(Worker).where(Worker.last_seen > since).order_by(Worker.last_seen.desc())).all()


def heartbeat(session: Session, name: str, now: datetime, *, busy: int, threads: int, memory: int) -> None:
    """Write down that a worker lives. ``memory`` in bytes."""
    row = session.get(Worker, name)
    if row is None:
        session.add(Worker(name=name, started_at=now, last_seen=now, busy=busy, threads=threads, memory=memory))
    else:
        row.last_seen, row.busy, row.threads, row.memory = now, busy, threads, memory


def _take(kind: str, row: Submission | Draft, worker: str, until: datetime) -> Claim:
    row.fence += 1
    row.attempts += 1
    row.worker, row.lease_until = worker, until
    large = isinstance(row, Submission) and row.file_bytes > LARGE_BYTES
    return Claim(kind, row.id, row.fence, row.attempts, until, large)


def _fair_line(now: datetime | None) -> Select[tuple[uuid.UUID, datetime, int, int]]:
    """Waiting entries with their turn: how many of the same team are being scored or wait before them.

    Those that pause after a fault of the platform are left out, unless ``now`` is None.
    """
    busy = (
        select(Submission.team_id, func.count().label("n"))
        .where(Submission.state == EntryState.SCORING)
        .group_by(Submission.team_id)
        .subquery()
    )
    before = func.row_number().over(
        partition_by=Submission.team_id, order_by=(Submission.received_at, Submission.number)
    )
    turn = (before + func.coalesce(busy.c.n, 0)).label("turn")
    columns = (Submission.id, Submission.received_at, turn, Submission.file_bytes)
    query = select(*columns).outerjoin(busy, busy.c.team_id == Submission.team_id)
    query = query.where(Submission.state == EntryState.QUEUED)
    if now is not None:
        query = query.where(Submission.available_at <= now)
    return query.order_by(turn, Submission.received_at, Submission.id)
