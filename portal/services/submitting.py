"""Entries: quota, upload, receipt, state.

The file is on disk before its row is written, and the receipt exists only once the row is committed. Quota,
deadline, number and row are one transaction under the team's lock.
"""

import uuid
from dataclasses import dataclass
from typing import BinaryIO

import structlog
from sqlalchemy.orm import Session

from datasets.spec import format_of
from datasets.store import Blob
from portal.domain import quotas, receipts
from portal.domain.errors import Closed, Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from portal.domain.permissions import Actor
from portal.domain.states import EntryState, Phase, move_entry
from portal.domain.views import Download, EntryView, Quota
from portal.services import entry_views, gates, recording
from portal.services.context import Context
from portal.store import challenges, database, entries, queue
from portal.store.tables import Submission, Team
from scoring.contracts import JUDGE_ONLY

log = structlog.get_logger(__name__)
MAX_NOTE, MAX_NAME, MAX_KEY = 5_000, 200, 200


@dataclass(frozen=True, slots=True)
class _Upload:
    filename: str
    format: str
    note: str
    key: str | None


def quota(ctx: Context, *, actor: Actor, slug: str) -> Quota:
    """How many entries the actor's team has left, and when the next may be sent.

    Raises:
        NotFound: there is no such challenge.
    """
    with ctx.reading() as session:
        return quota_in(session, gates.enter(ctx, session, actor, slug))


def quota_in(session: Session, room: gates.Room) -> Quota:
    """The quota inside an open transaction; without a team nothing is used yet."""
    sent = entries.attempts(session, room.team.id, room.now - quotas.WINDOW) if room.team else []
    return quotas.quota(sent, room.spec.submission.per_day, room.now)


def submit(
    ctx: Context, *, actor: Actor, slug: str, stream: BinaryIO, filename: str, note: str, key: str | None = None
) -> EntryView:
    """Take an entry in. With an idempotency ``key``, the same file sent again gives the first receipt again.

    Raises:
        NotFound, Forbidden, AgreementNeeded: the actor may not send entries here.
        Closed: the challenge is not open when the file has arrived.
        Invalid: the name's ending is no format of the challenge, the file is empty, note or key are too long.
        QuotaExceeded: nothing is left of the quota.
        TooLarge: the file is larger than the challenge allows.
        Conflict: the key was used for another file.
    """
    with ctx.reading() as session:
        room = gates.enter(ctx, session, actor, slug)
        _admit(room, actor)
        upload = _checked(room, filename, note, key)
        if _earlier(session, room, actor, key) is None:
            _require_quota(session, room)
    blob = ctx.blobs.put(stream, max_bytes=int(room.spec.submission.max_bytes))
    if blob.size == 0:
        raise Invalid({"file": "The file is empty. Choose the file that holds your prediction."})
    with ctx.writing() as session:
        return _store(ctx, session, actor, slug, upload, blob)


def entry(ctx: Context, *, actor: Actor, entry_id: str) -> EntryView:
    """An entry of the actor's own team.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    with ctx.reading() as session:
        row, room = _own(ctx, session, actor, entry_id)
        return entry_views.one(session, room.challenge, row, final=room.stage == "final")


def mine(ctx: Context, *, actor: Actor, slug: str) -> list[EntryView]:
    """All entries of the actor's team in a challenge, newest first."""
    with ctx.reading() as session:
        room = gates.enter(ctx, session, actor, slug)
        if room.team is None or not actor.has_scope("read"):
            return []
        rows = entries.of_team(session, room.team.id)
        return entry_views.views(session, room.challenge, rows, final=room.stage == "final")


def withdraw(ctx: Context, *, actor: Actor, entry_id: str) -> EntryView:
    """Take an entry back that has no result yet; it does not count against the daily quota.

    One that is being scored is taken from its scoring loop, which ends the work within about a second; whatever it
    answers is dropped.

    Raises:
        NotFound: there is none, or it is somebody else's.
        Conflict: it has a result already.
    """
    with ctx.writing() as session:
        _own(ctx, session, actor, entry_id)
        row, room = _own(ctx, session, actor, entry_id, lock=True)
        _require_submit_scope(actor)
        row.state = move_entry(row.state, EntryState.WITHDRAWN)
        row.finished_at = room.now
        queue.release(row)
        challenges.touch(session, room.challenge.id)
        recording.event(session, room.now, actor=actor, kind="entry.withdrawn", subject=row.id)
        return entry_views.one(session, room.challenge, row, final=False)


def choose_final(ctx: Context, *, actor: Actor, entry_id: str, chosen: bool) -> EntryView:
    """Pick an entry for the final board, or drop the pick. Without picks the best public ones count.

    Raises:
        NotFound: there is none, or it is somebody else's.
        Closed: the challenge is over.
        Conflict: the entry has no score, or as many as allowed are picked already.
    """
    with ctx.writing() as session:
        row, room = _own(ctx, session, actor, entry_id)
        database.lock(session, "team", row.team_id)
        row, room = _own(ctx, session, actor, entry_id, lock=True)
        _require_submit_scope(actor)
        if room.stage == "final":
            raise Closed("The challenge is over; the picks stand as they were at its end.")
        if chosen and row.state is not EntryState.SCORED:
            raise Conflict("Only a scored entry can be picked for the final board.")
        picked = [other for other in entries.of_team(session, row.team_id) if other.is_final and other.id != row.id]
        if chosen and len(picked) >= room.spec.submission.finals:
            raise Conflict(f"{room.spec.submission.finals} entries may be picked. Drop one first.")
        row.is_final = chosen
        recording.event(
            session, room.now, actor=actor, kind="entry.picked" if chosen else "entry.dropped", subject=row.id
        )
        return entry_views.one(session, room.challenge, row, final=False)


def artifact(ctx: Context, *, actor: Actor, entry_id: str, name: str) -> Download:
    """A preview of the actor's own entry.

    Raises:
        NotFound: no such entry or preview, or somebody else's.
    """
    with ctx.reading() as session:
        row, _ = _own(ctx, session, actor, entry_id)
        digest = None if name.startswith(JUDGE_ONLY) else entry_views.artifact_digest(session, row.id, name)
    if digest is None:
        raise NotFound("preview")
    return Download(digest, ctx.blobs.path(digest), name, ctx.blobs.size(digest))


def verify_receipt(ctx: Context, *, text: str) -> receipts.Receipt | None:
    """What a receipt of this instance says, or None when the instance did not sign it."""
    return receipts.verify(text, ctx.settings.secret_key.get_secret_value())


def _store(ctx: Context, session: Session, actor: Actor, slug: str, upload: _Upload, blob: Blob) -> EntryView:
    team = gates.enter(ctx, session, actor, slug).team
    database.lock(session, "team", team.id if team else actor.id)
    room = gates.enter(ctx, session, actor, slug)  # again, now that nobody of the team can come between
    row = _earlier(session, room, actor, upload.key)
    if row is not None:
        if row.file_digest != blob.digest:
            raise Conflict("This idempotency key was used for another file. Send a new key with a new file.")
        return entry_views.one(session, room.challenge, row, final=room.stage == "final")
    _admit(room, actor)
    _require_quota(session, room)
    if room.team is None:
        raise Forbidden("Read and sign the data agreement first.")
    row = _row(ctx, session, actor, room, room.team, upload, blob)
    session.add(row)
    challenges.touch(session, room.challenge.id)
    session.flush()
    log.info("entry received", entry=str(row.id), challenge=slug, bytes=blob.size)
    return entry_views.one(session, room.challenge, row, final=False)


def _row(
    ctx: Context, session: Session, actor: Actor, room: gates.Room, team: Team, upload: _Upload, blob: Blob
) -> Submission:
    row = Submission(id=uuid.uuid4(), challenge_id=room.challenge.id, team_id=team.id, user_id=uuid.UUID(actor.id))
    row.number = entries.next_number(session, team.id)
    row.received_at = row.available_at = room.now
    row.file_digest, row.file_bytes = blob.digest, blob.size
    row.filename, row.format, row.note, row.key = upload.filename, upload.format, upload.note, upload.key
    row.state, row.is_final, row.attempts, row.fence, row.last_error = EntryState.QUEUED, False, 0, 0, ""
    receipt = receipts.Receipt(str(row.id), room.challenge.slug, team.name, blob.digest, blob.size, room.now)
    row.receipt = receipts.sign(receipt, ctx.settings.secret_key.get_secret_value())
    return row


def _admit(room: gates.Room, actor: Actor) -> None:
    room.require(actor, "submit")
    if room.phase is Phase.UPCOMING:
        raise Closed(f"The challenge opens at {room.challenge.opens:%Y-%m-%d %H:%M} UTC.")
    if room.phase is not Phase.OPEN:
        raise Closed(f"The challenge closed at {room.challenge.ends:%Y-%m-%d %H:%M:%S} UTC; it takes no more entries.")


def _checked(room: gates.Room, filename: str, note: str, key: str | None) -> _Upload:
    shown = "".join(char if char.isprintable() and char not in "/\\" else "_" for char in filename.strip())[-MAX_NAME:]
    form = format_of(shown, room.spec.challenge.kind)
    faults = {}
    if form is None or form not in room.spec.submission.formats:
        faults["file"] = (
            f"The file's ending names no format taken here. Send one of: {', '.join(room.spec.submission.formats)}."
        )
    if len(note) > MAX_NOTE or "\x00" in note:
        faults["note"] = f"Use at most {MAX_NOTE:,} characters."
    if key is not None and (not 1 <= len(key) <= MAX_KEY or not key.isprintable()):
        faults["key"] = f"An idempotency key has 1 to {MAX_KEY} printable characters."
    if faults or form is None:
        raise Invalid(faults)
    return _Upload(shown, form, note, key)


def _require_quota(session: Session, room: gates.Room) -> None:
    left = quota_in(session, room)
    if left.left <= 0 and left.next_at is not None:
        raise QuotaExceeded(left.next_at)


def _earlier(session: Session, room: gates.Room, actor: Actor, key: str | None) -> Submission | None:
    return entries.by_key(session, room.challenge.id, uuid.UUID(actor.id), key) if key is not None else None


def _own(
    ctx: Context, session: Session, actor: Actor, entry_id: str, *, lock: bool = False
) -> tuple[Submission, gates.Room]:
    found = entries.by_id(session, gates.to_id(entry_id, "entry"))
    if found is None:
        raise NotFound("entry")
    row, challenge = found
    room = gates.room(ctx, session, actor, challenge)
    if room.team is None or room.team.id != row.team_id or not actor.has_scope("read"):
        raise NotFound("entry")
    if lock:
        session.refresh(row, with_for_update=True)
    return row, room


def _require_submit_scope(actor: Actor) -> None:
    if not actor.has_scope("submit"):
        raise Forbidden("This token has no scope 'submit'. Issue one that has it.")
