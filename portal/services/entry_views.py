"""Entries as their own team sees them. Reads nothing of the private side before the close."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from portal.domain.states import EntryState
from portal.domain.views import EntryView, FindingView
from portal.store import entries, queue
from portal.store.tables import Challenge, Score, Submission
from scoring.contracts import JUDGE_ONLY


def views(session: Session, challenge: Challenge, rows: Sequence[Submission], *, final: bool) -> list[EntryView]:
    """The rows as views; ``final``: the challenge is over, so final scores are shown too."""
    scores = entries.scores_of(session, [row.id for row in rows])
    return [_view(session, challenge, row, scores.get(row.id), final) for row in rows]


def finding_views(findings: Sequence[Mapping[str, Any]]) -> tuple[FindingView, ...]:
    """Findings as stored in a report."""
    return tuple(
        FindingView(str(item["code"]), str(item["message"]), item.get("where") or {}, str(item.get("hint") or ""))
        for item in findings
    )


def _view(session: Session, challenge: Challenge, row: Submission, score: Score | None, final: bool) -> EntryView:
    done = score if row.state in {EntryState.SCORED, EntryState.REJECTED} else None
    private = entries.private_of(session, done.id) if done and final else None
    return EntryView(
        id=str(row.id),
        challenge_slug=challenge.slug,
        number=row.number,
        received_at=row.received_at,
        file_sha256=row.file_digest,
        file_bytes=row.file_bytes,
        filename=row.filename,
        note=row.note,
        state=row.state,
        position=queue.position(session, row.id) if row.state is EntryState.QUEUED else None,
        progress=row.progress if row.state is EntryState.SCORING else None,
        public_scores=done.public if done else None,
        findings=finding_views(done.findings) if done else (),
        attempts=row.attempts,
        scored_at=done.recorded_at if done else None,
        artifacts=tuple(sorted(name for name in done.artifacts if not name.startswith(JUDGE_ONLY))) if done else (),
        receipt=row.receipt,
        final_scores=private.private if private else None,
        is_final_pick=row.is_final,
    )


def one(session: Session, challenge: Challenge, row: Submission, *, final: bool) -> EntryView:
    """A single entry."""
    return views(session, challenge, [row], final=final)[0]


def judged_artifacts(session: Session, entry_id: uuid.UUID) -> tuple[str, ...]:
    """Every preview of an entry, also those that show truth: for judges only."""
    score = entries.scores_of(session, [entry_id]).get(entry_id)
    return tuple(sorted(score.artifacts)) if score else ()


def artifact_digest(session: Session, entry_id: uuid.UUID, name: str) -> str | None:
    """The blob of a preview of an entry, or None."""
    score = entries.scores_of(session, [entry_id]).get(entry_id)
    return score.artifacts.get(name) if score else None
