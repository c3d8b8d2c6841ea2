"""Judges: a blind desk, the evidence of an entry, rulings with reasons, and the prizes that follow from them."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from portal.domain import prizes
from portal.domain.errors import Conflict, Invalid, NotFound
from portal.domain.permissions import Actor, refusal
from portal.domain.states import EntryState, Role, Verdict
from portal.domain.views import Download, JudgeDesk, JudgeEntry, JudgeRow, RulingView
from portal.services import challenges as pages
from portal.services import entry_views, gates, paying, recording, standing
from portal.services.context import Context
from portal.store import challenges, database, entries
from portal.store import people as persons
from portal.store.tables import ConflictNote, Ruling, Submission
from scoring.contracts import JUDGE_ONLY

MAX_REASON = 5_000
MAPS = (".geojson", ".png")


def desk(ctx: Context, *, actor: Actor, slug: str) -> JudgeDesk:
    """The standing with teams hidden behind aliases; private scores only once the challenge is over.

    A judge with a declared conflict sees the desk without its rows.

    Raises:
        NotFound: no such challenge, or the actor is no judge of it.
    """
    with ctx.reading() as session:
        room = gates.enter(ctx, session, actor, slug)
        _require_judge(room, actor)
        rows = () if room.standing.conflicted else tuple(_desk_rows(ctx, session, room))
        return JudgeDesk(
            slug=slug,
            title=room.challenge.title,
            stage=room.stage,
            metric=room.spec.scoring.primary,
            rows=rows,
            conflict_declared=room.standing.conflicted,
            currency=room.challenge.currency,
        )


def declare_conflict(ctx: Context, *, actor: Actor, slug: str, conflicted: bool, statement: str) -> None:
    """Declare a conflict of interest, or that it has ended. While it holds, the judge sees no entries and cannot rule.

    Raises:
        NotFound: no such challenge, or the actor is no judge of it.
        Invalid: no statement, or one that is too long.
    """
    if not 1 <= len(statement.strip()) <= MAX_REASON:
        raise Invalid(
            {"statement": f"Say in 1 to {MAX_REASON:,} characters what the conflict is, or why it has ended."}
        )
    with ctx.writing() as session:
        room = gates.enter(ctx, session, actor, slug)
        _require_judge(room, actor)
        note = ConflictNote(
            challenge_id=room.challenge.id, user_id=uuid.UUID(actor.id), conflicted=conflicted, at=room.now
        )
        note.statement = statement.strip()
        session.add(note)
        recording.event(session, room.now, actor=actor, kind="conflict.declared", subject=slug, conflicted=conflicted)


def entry(ctx: Context, *, actor: Actor, entry_id: str) -> JudgeEntry:
    """Everything a judge needs to decide about one entry, its team hidden.

    Raises:
        NotFound: no such entry, or the actor is no judge of its challenge.
        Forbidden: the actor declared a conflict.
    """
    with ctx.reading() as session:
        row, room = _judged(ctx, session, actor, entry_id)
        final = room.stage == "final"
        view = replace(entry_views.one(session, room.challenge, row, final=final), receipt="")
        shown = entry_views.judged_artifacts(session, row.id) if final else view.artifacts
        score = entries.scores_of(session, [row.id]).get(row.id)
        private = entries.private_of(session, score.id) if final and score else None
        found = next((item for item in _desk_rows(ctx, session, room) if item.entry_id == view.id), None)
        return JudgeEntry(
            entry=view,
            alias=_alias(ctx, row.team_id),
            rank=found.rank if found else None,
            scores_overall=private.overall if private else None,
            scores_public=view.public_scores,
            scores_private=private.private if private else None,
            rules=pages.rules_view(room.spec),
            stage=room.stage,
            rulings=tuple(_ruling_view(session, item) for item in entries.rulings(session, room.challenge.id, row.id)),
            prize_minor=found.prize_minor if found else None,
            currency=room.challenge.currency,
            file_sha256=row.file_digest,
            artifacts=shown,
            map=tuple(name for name in shown if name.endswith(MAPS)),
            title=room.challenge.title,
        )


def rule(ctx: Context, *, actor: Actor, entry_id: str, verdict: str, reason: str) -> RulingView:
    """Record a ruling and, in the same transaction, every prize that is due by it.

    Raises:
        NotFound: no such entry, or the actor is no judge of its challenge.
        Forbidden: the actor declared a conflict.
        Invalid: unknown verdict, or no reason.
        Conflict: the challenge is not over, entries are still being scored, the entry has no score, or a
            prize was paid that this ruling would take back.
    """
    _check_ruling(verdict, reason)
    with ctx.writing() as session:
        row, room = _judged(ctx, session, actor, entry_id)
        database.lock(session, "ledger", room.challenge.id)
        _require_rulable(session, row, room)
        ruling = Ruling(
            submission_id=row.id, challenge_id=row.challenge_id, judge_id=uuid.UUID(actor.id), verdict=Verdict(verdict)
        )
        ruling.reason, ruling.at = reason.strip(), room.now
        session.add(ruling)
        session.flush()
        verdicts = {str(key): value for key, value in entries.verdicts(session, room.challenge.id).items()}
        placed = standing.project(ctx, session, room.challenge, "final").placed(verdicts)
        posted = paying.award(session, room.challenge, placed, ruling, room.now)
        challenges.touch(session, room.challenge.id)
        recording.event(
            session,
            room.now,
            actor=actor,
            kind="entry.ruled",
            subject=row.id,
            verdict=verdict,
            prizes=[item.place for item in posted],
        )
        for item in posted:
            _tell_winner(ctx, session, room, item)
        return _ruling_view(session, ruling)


def artifact(ctx: Context, *, actor: Actor, entry_id: str, name: str) -> Download:
    """A preview of an entry on the judge's desk.

    Raises:
        NotFound, Forbidden: as ``entry``; there is no such preview.
    """
    with ctx.reading() as session:
        row, room = _judged(ctx, session, actor, entry_id)
        hidden = name.startswith(JUDGE_ONLY) and room.stage != "final"  # it shows truth of the private side
        digest = None if hidden else entry_views.artifact_digest(session, row.id, name)
    if digest is None:
        raise NotFound("preview")
    return Download(digest, ctx.blobs.path(digest), name, ctx.blobs.size(digest))


def fetch(ctx: Context, *, actor: Actor, entry_id: str) -> Download:
    """The file of an entry; that a judge took it is recorded.

    Raises:
        NotFound, Forbidden: as ``entry``.
    """
    with ctx.writing() as session:
        row, room = _judged(ctx, session, actor, entry_id)
        recording.event(session, room.now, actor=actor, kind="entry.fetched", subject=row.id)
        ending = row.filename.rpartition(".")[2]
        name = f"{room.challenge.slug}-{_alias(ctx, row.team_id).rpartition(' ')[2]}-{row.number}.{ending}"
        return Download(row.file_digest, ctx.blobs.path(row.file_digest), name, row.file_bytes)


def _require_judge(room: gates.Room, actor: Actor) -> None:
    if Role.JUDGE not in room.standing.roles or not actor.has_scope("judge"):
        raise NotFound("challenge to judge")


def _judged(ctx: Context, session: Session, actor: Actor, entry_id: str) -> tuple[Submission, gates.Room]:
    found = entries.by_id(session, gates.to_id(entry_id, "entry"))
    if found is None:
        raise NotFound("entry")
    row, challenge = found
    room = gates.room(ctx, session, actor, challenge)
    if Role.JUDGE not in room.standing.roles or refusal(actor, "judge", replace(room.standing, conflicted=False)):
        raise NotFound("entry")
    room.require(actor, "judge")
    return row, room


def _desk_rows(ctx: Context, session: Session, room: gates.Room) -> Sequence[JudgeRow]:
    projection = standing.project(ctx, session, room.challenge, room.stage)
    public = standing.project(ctx, session, room.challenge, "public") if room.stage == "final" else projection
    promised = prizes.promised(projection.placed(), challenges.prizes(session, room.challenge.id))
    primary, split = room.spec.scoring.primary, room.stage == "final" and standing.has_private(room.spec)
    return [
        JudgeRow(
            rank=row.rank,
            alias=_alias(ctx, uuid.UUID(row.team)),
            score_public=standing.finite(public.public_scores.get(row.entry_id, {}).get(primary)),
            score_private=row.score if split else None,
            entry_id=row.entry_id,
            verdict=projection.verdicts.get(row.entry_id),
            prize_minor=promised.get(row.entry_id),
            rank_label=row.label,
        )
        for row in projection.rows
    ]


def _alias(ctx: Context, team_id: uuid.UUID) -> str:
    """A name that says nothing and stays the same: made from the team's id with the instance's secret."""
    mac = hmac.digest(ctx.settings.secret_key.get_secret_value().encode(), b"alias" + team_id.bytes, hashlib.sha256)
    return f"Team {base64.b32encode(mac)[:6].decode()}"


def _check_ruling(verdict: str, reason: str) -> None:
    faults = {}
    if verdict not in set(Verdict):
        faults["verdict"] = f"Choose one of {', '.join(Verdict)}."
    if not 1 <= len(reason.strip()) <= MAX_REASON:
        faults["reason"] = f"Give a reason of 1 to {MAX_REASON:,} characters; the team will read it."
    if faults:
        raise Invalid(faults)


def _require_rulable(session: Session, row: Submission, room: gates.Room) -> None:
    if room.stage != "final":
        raise Conflict(f"Rulings begin when the challenge is over, at {room.challenge.ends:%Y-%m-%d %H:%M} UTC.")
    left = entries.unfinished(session, room.challenge.id)
    if left:
        raise Conflict(f"{left} entries are still being scored. Rule when the final standing is complete.")
    if row.state is not EntryState.SCORED:
        raise Conflict(f"This entry is {row.state}; only a scored one can be ruled on.")


def _ruling_view(session: Session, ruling: Ruling) -> RulingView:
    judge = persons.by_id(session, ruling.judge_id)
    return RulingView(ruling.at, judge.name if judge else "", ruling.verdict, ruling.reason, str(ruling.submission_id))


def _tell_winner(ctx: Context, session: Session, room: gates.Room, item: prizes.Award) -> None:
    link = f"{ctx.settings.base_url.rstrip('/')}/challenges/{room.challenge.slug}/bounty"
    body = (
        f"Your entry to “{room.challenge.title}” was verified and holds place {item.place}. "
        f"The prize is posted:\n\n{link}\n"
    )
    for person in challenges.members(session, uuid.UUID(item.team)):
        recording.mail(
            session, room.now, to=person.email, subject=f"Place {item.place}: {room.challenge.title}"[:200], body=body
        )
