"""A draft in the engine's hands: the ticket it gets, what its answers change, what happens when it fails."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from datasets.edits import Edits
from datasets.errors import Fault, SpecError
from datasets.release import FaultModel, Inspection
from datasets.spec import Spec, parse_spec
from portal.domain.states import DraftState, move_draft
from portal.domain.views import DraftEdit, PrizeEdit
from portal.services import publication, recording
from portal.services.context import Context
from portal.store import challenges, database, drafts, queue
from portal.store.queue import Claim
from portal.store.tables import Draft
from scoring.contracts import DraftTicket, InspectReport, PublishReport

log = structlog.get_logger(__name__)


class KeptEdit(BaseModel):
    """A draft's texts, dates and money as kept in its row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edits: Edits
    currency: str

    @classmethod
    def of(cls, edit: DraftEdit) -> "KeptEdit":
        edits = Edits(
            title=edit.title,
            summary=edit.summary,
            overview=edit.overview_md,
            agreement=edit.agreement_md,
            opens=edit.opens,
            closes=edit.closes,
            pool=edit.pool,
            prizes=tuple({"rank": p.rank, "amount": p.amount} for p in edit.prizes),  # type: ignore[misc]
        )
        return cls(edits=edits, currency=edit.currency)

    def view(self) -> DraftEdit:
        """As shown in the form."""
        edits = self.edits
        if edits.opens is None or edits.closes is None or edits.pool is None:
            raise ValueError("a kept edit holds every value")
        return DraftEdit(
            title=edits.title or "",
            summary=edits.summary or "",
            overview_md=edits.overview or "",
            agreement_md=edits.agreement or "",
            opens=edits.opens,
            closes=edits.closes,
            pool=edits.pool,
            currency=self.currency,
            prizes=tuple(PrizeEdit(prize.rank, prize.amount) for prize in edits.prizes or ()),
        )


def ticket(session: Session, work: Claim) -> bytes | None:
    """What the engine needs to inspect or publish a draft; None when the row was lost."""
    row = drafts.by_id(session, work.id)
    if row is None or row.fence != work.fence:
        return None
    edits = KeptEdit.model_validate(row.edit).edits if row.edited and row.edit else None
    return DraftTicket(draft=str(row.id), archive=row.sealed_digest, edits=edits).model_dump_json().encode()


def record(ctx: Context, *, work: Claim, answer: bytes) -> bool:
    """Record what the engine found or made. False when the row was lost."""
    inspected = InspectReport.model_validate_json(answer) if work.kind == "inspect" else None
    published = PublishReport.model_validate_json(answer) if inspected is None else None
    with ctx.writing() as session:
        row = queue.held(session, work)
        if not isinstance(row, Draft):
            return False
        row.last_error = ""
        if inspected:
            _inspected(row, inspected)
        elif published:
            _published(ctx, session, row, published)
        queue.release(row)
    log.info("draft recorded", draft=str(work.id), state=row.state.value)
    return True


def failed(session: Session, row: Draft, now: datetime, *, for_good: bool) -> None:
    """The platform failed on a draft; for good after too many tries."""
    if for_good:
        row.state = move_draft(row.state, DraftState.FAILED)
        row.report = "The platform failed while working on this draft. Save it again to have it checked anew."
        recording.event(session, now, actor=None, kind="draft.failed", subject=row.id, attempts=row.attempts)


def _inspected(row: Draft, report: InspectReport) -> None:
    found = report.inspection
    row.slug, row.title, row.kind = found.slug or row.slug, found.title or row.title, found.kind or row.kind
    row.spec = found.spec or ""
    row.faults = [fault.model_dump(mode="json") for fault in found.faults]
    row.dry_run = list((report.dry_run or {}).get("rows", []))
    proved = bool(report.dry_run and report.dry_run.get("ok"))
    if found.ok and not proved:
        row.faults = [_unproved()]
    row.state = move_draft(row.state, DraftState.READY if found.ok and proved else DraftState.FAULTY)
    row.report = _report(found, proved)
    spec = _parsed(found.spec)
    if spec is not None:
        row.edit = KeptEdit.of(_edit(spec, found)).model_dump(mode="json")


def _published(ctx: Context, session: Session, row: Draft, report: PublishReport) -> None:
    made = report.publication
    if made is None:
        row.faults = [fault.model_dump(mode="json") for fault in report.faults]
        row.state = move_draft(row.state, DraftState.FAULTY)
        return
    database.lock(session, "slug", made.slug)
    if challenges.by_slug(session, made.slug) is not None:
        row.faults = [slug_taken(made.slug)]
        row.state = move_draft(row.state, DraftState.FAULTY)
        return
    challenge = publication.store(ctx, session, made, owner=row.owner_id)
    row.challenge_id = challenge.id
    row.state = move_draft(row.state, DraftState.PUBLISHED)
    row.report = ""


def fault_of(fault: FaultModel) -> Fault:
    """A fault as the engine reports it."""
    return Fault(fault.file, fault.key, fault.message, fault.remedy)


def slug_taken(slug: str) -> dict[str, str]:
    """The fault of a slug that another challenge has."""
    message = f"{slug!r} is the slug of another challenge."
    return {
        "file": "challenge.toml",
        "key": "challenge.slug",
        "message": message,
        "remedy": "Choose another one and upload again.",
    }


def _unproved() -> dict[str, str]:
    return {
        "file": "sample/",
        "key": "",
        "message": "The dry run did not come out as it must; its rows show where.",
        "remedy": "Mend what the rows point at, so that a perfect entry scores best and broken ones are refused.",
    }


def _parsed(text: str | None) -> Spec | None:
    try:
        return parse_spec(text) if text else None
    except SpecError:
        return None


def _edit(spec: Spec, found: Inspection) -> DraftEdit:
    prizes: Sequence[Any] = spec.bounty.prizes
    return DraftEdit(
        title=spec.challenge.title,
        summary=spec.challenge.summary,
        overview_md=found.overview,
        agreement_md=found.agreement,
        opens=spec.schedule.opens,
        closes=spec.schedule.closes,
        pool=spec.bounty.pool,
        currency=spec.bounty.currency,
        prizes=tuple(PrizeEdit(prize.rank, prize.amount) for prize in prizes),
    )


def _report(found: Inspection, proved: bool) -> str:
    sizes = "; ".join(
        f"{part}: {', '.join(f'{name} {value}' for name, value in facts.items())}"
        for part, facts in found.facts.items()
    )
    lead = "Ready to publish." if found.ok and proved else "Not ready yet."
    return f"{lead} Read {sizes}." if sizes else lead
