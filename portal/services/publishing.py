"""From a sponsor's upload to a published challenge: upload, look, edit, publish.

The upload is sealed for the engine as it arrives, so this process cannot read its truth again. The engine inspects
the draft and makes the publication; both happen in the queue.
"""

import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from datasets.archive import write_archive
from datasets.digest import Readable
from datasets.edits import edited_toml
from datasets.errors import EngineFault, SpecError, TooLarge, VaultError
from datasets.release import Publication
from datasets.sealing import seal
from datasets.spec import parse_spec
from datasets.store import Blob
from portal.domain.errors import Conflict, Forbidden, Invalid, NotFound
from portal.domain.permissions import Actor
from portal.domain.states import DraftState, move_draft
from portal.domain.views import DraftEdit, DraftView, DryRunRow, FaultView
from portal.services import drafting, entry_views, gates, publication, recording
from portal.services.context import Context
from portal.store import challenges, database
from portal.store import drafts as rows
from portal.store.tables import Draft
from scoring.contracts import DraftTicket, FaultReport, PublishReport

Run = Callable[[str, bytes], bytes]
_FIELDS = {
    "challenge.title": "title",
    "challenge.summary": "summary",
    "schedule.opens": "opens",
    "schedule.closes": "closes",
    "schedule": "closes",
    "bounty.pool": "pool",
    "bounty.prizes": "prizes",
    "bounty": "prizes",
}


def upload(ctx: Context, *, actor: Actor, stream: BinaryIO, filename: str) -> DraftView:
    """Take a zipped challenge directory in, sealed on arrival, and have it checked.

    Raises:
        Forbidden: the token has no scope "sponsor".
        Invalid: the file is no zip by its name.
        TooLarge: it is larger than this instance takes.
    """
    _require_scope(actor)
    shown = "".join(char if char.isprintable() and char not in "/\\" else "_" for char in filename.strip())[-200:]
    if not shown.lower().endswith(".zip"):
        raise Invalid({"file": "Zip the challenge directory and upload the .zip file."})
    blob = _sealed(ctx, stream)
    with ctx.writing() as session:
        now = ctx.now(session)
        row = Draft(
            id=uuid.uuid4(), owner_id=uuid.UUID(actor.id), filename=shown, sealed_digest=blob.digest, uploaded_at=now
        )
        row.state, row.available_at, row.attempts, row.fence = DraftState.CHECKING, now, 0, 0
        row.slug = row.title = row.kind = row.spec = row.report = row.last_error = ""
        row.faults, row.dry_run, row.edit, row.edited = [], [], None, False
        session.add(row)
        recording.event(session, now, actor=actor, kind="draft.uploaded", subject=row.id, bytes=blob.size)
        session.flush()
        return _view(row)


def drafts(ctx: Context, *, actor: Actor) -> list[DraftView]:
    """The actor's drafts, newest first."""
    _require_scope(actor)
    with ctx.reading() as session:
        return [_view(row) for row in rows.of(session, uuid.UUID(actor.id))]


def draft(ctx: Context, *, actor: Actor, draft_id: str) -> DraftView:
    """One of the actor's drafts.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    with ctx.reading() as session:
        return _view(_own(rows.by_id(session, gates.to_id(draft_id, "draft")), actor))


def edit(ctx: Context, *, actor: Actor, draft_id: str, changes: DraftEdit) -> DraftView:
    """Keep new texts, dates and prizes, and have the draft checked again with them.

    Raises:
        NotFound: there is none, or it is somebody else's.
        Invalid: a value is not acceptable.
        Conflict: the draft is being worked on, or was published.
    """
    kept = drafting.KeptEdit.of(changes)
    with ctx.writing() as session:
        row = _own(rows.locked(session, gates.to_id(draft_id, "draft")), actor)
        if row.edit is None:
            raise Conflict("This draft could not be read well enough to be edited. Mend its files and upload it again.")
        _check_edit(row, kept, changes)
        row.state = move_draft(row.state, DraftState.CHECKING)
        row.edit, row.edited = kept.model_dump(mode="json"), True
        row.attempts, row.available_at = 0, ctx.now(session)
        return _view(row)


def publish(ctx: Context, *, actor: Actor, draft_id: str) -> DraftView:
    """Have a checked draft published; its state tells when that is done.

    Raises:
        NotFound: there is none, or it is somebody else's.
        Conflict: it is not ready, its slug is taken, or it would close in the past.
    """
    with ctx.writing() as session:
        row = _own(rows.locked(session, gates.to_id(draft_id, "draft")), actor)
        now = ctx.now(session)
        row.state = move_draft(row.state, DraftState.PUBLISHING)
        if challenges.by_slug(session, row.slug) is not None:
            raise Conflict(
                f"{row.slug!r} is the slug of another challenge. Choose another one in challenge.toml and upload again."
            )
        if row.edit and drafting.KeptEdit.model_validate(row.edit).view().closes <= now:
            raise Conflict("The challenge would close in the past. Move its closing date and save.")
        row.attempts, row.available_at = 0, now
        recording.event(session, now, actor=actor, kind="draft.publishing", subject=row.id)
        return _view(row)


def publish_directory(ctx: Context, *, actor: Actor, folder: Path, run: Run) -> str:
    """Publish a directory on this machine; ``run(task, payload)`` is the engine. Returns the slug.

    Raises:
        SpecError: the directory has faults, all of them listed.
        Conflict: the slug is taken.
        EngineFault: the platform failed.
    """
    with tempfile.TemporaryFile() as archive:
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        write_archive(archive, files)
        archive.seek(0)
        blob = _sealed(ctx, archive)
    payload = DraftTicket(draft=str(uuid.uuid4()), archive=blob.digest).model_dump_json().encode()
    return record_publication(ctx, actor=actor, answer=run("publish", payload))


def record_publication(ctx: Context, *, actor: Actor, answer: bytes) -> str:
    """Record what the engine answered to a ``publish`` task; the actor becomes its sponsor. Returns the slug.

    Raises:
        SpecError, Conflict, EngineFault: as in ``publish_directory``.
    """
    made = published(answer)
    with ctx.writing() as session:
        database.lock(session, "slug", made.slug)
        if challenges.by_slug(session, made.slug) is not None:
            raise Conflict(f"{made.slug!r} is the slug of another challenge.")
        publication.store(ctx, session, made, owner=uuid.UUID(actor.id))
    return made.slug


def published(answer: bytes) -> Publication:
    """The publication in an engine's answer. Raises SpecError or EngineFault when it holds none."""
    if b'"fault":' in answer[:12]:
        report = FaultReport.model_validate_json(answer)
        raise EngineFault(f"{report.fault}: {report.message}")
    found = PublishReport.model_validate_json(answer)
    if found.publication is None:
        raise SpecError(drafting.fault_of(fault) for fault in found.faults)
    return found.publication


class _Counted:
    """A stream that refuses to give more than ``limit`` bytes."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream, self._limit, self._left = stream, limit, limit

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise TooLarge(self._limit)
        return block


def _sealed(ctx: Context, stream: Readable) -> Blob:
    if not ctx.settings.truth_recipient:
        raise VaultError("MOTHERLODE_TRUTH_RECIPIENT is not set, so nothing can be sealed; see docs/operations.md")
    ctx.settings.scratch_root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=ctx.settings.scratch_root) as sealed:
        seal(_Counted(stream, ctx.settings.upload_max_bytes), sealed, ctx.settings.truth_recipient)
        sealed.seek(0)
        return ctx.blobs.put(sealed)


def _check_edit(row: Draft, kept: drafting.KeptEdit, changes: DraftEdit) -> None:
    faults: dict[str, str] = {}
    was = drafting.KeptEdit.model_validate(row.edit)
    if changes.currency != was.currency:
        faults["currency"] = f"The currency is {was.currency}. Change it in challenge.toml and upload again."
    for name, text in (("overview_md", changes.overview_md), ("agreement_md", changes.agreement_md)):
        if not text.strip():
            faults[name] = "Write something: experts read it before anything else."
    try:
        parse_spec(edited_toml(row.spec, kept.edits))
    except SpecError as error:
        for fault in error.faults:
            field = next(
                (name for key, name in _FIELDS.items() if fault.key == key or fault.key.startswith(f"{key}.")), None
            )
            if field:
                faults.setdefault(field, f"{fault.message} {fault.remedy}")
    if faults:
        raise Invalid(faults)


def _own(row: Draft | None, actor: Actor) -> Draft:
    if row is None or str(row.owner_id) != actor.id or not actor.has_scope("sponsor"):
        raise NotFound("draft")
    return row


def _require_scope(actor: Actor) -> None:
    if not actor.has_scope("sponsor"):
        raise Forbidden("This token has no scope 'sponsor'. Issue one that has it.")


def _view(row: Draft) -> DraftView:
    return DraftView(
        id=str(row.id),
        slug=row.slug,
        title=row.title,
        state=row.state,
        faults=tuple(FaultView(**fault) for fault in row.faults),
        dry_run=tuple(_row_view(item) for item in row.dry_run),
        uploaded_at=row.uploaded_at,
        report_text=row.report,
        filename=row.filename,
        edit=drafting.KeptEdit.model_validate(row.edit).view() if row.edit else None,
        kind=row.kind,
    )


def _row_view(item: Mapping[str, Any]) -> DryRunRow:
    findings = entry_views.finding_views(item["findings"])
    return DryRunRow(item["entry"], item["status"], item["scores"], findings, item["expected"], item["ok"])
