"""Queries about entries, their scores and the rulings on them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, null, select
from sqlalchemy.orm import Session

from portal.domain.quotas import Attempt
from portal.domain.states import EntryState, Verdict
from portal.store.tables import Challenge, PrivateScore, Ruling, Score, Submission


@dataclass(frozen=True, slots=True)
class Scored:
    """One entry as the board needs it. ``private`` is None unless it was asked for."""

    id: uuid.UUID
    team_id: uuid.UUID
    received_at: datetime
    scored_at: datetime | None
    is_final: bool
    public: dict[str, Any] | None
    private: dict[str, Any] | None


def by_id(session: Session, entry_id: uuid.UUID) -> tuple[Submission, Challenge] | None:
    """An entry and its challenge."""
    query = (
        select(Submission, Challenge)
        .join(Challenge, Challenge.id == Submission.challenge_id)
        .where(Submission.id == entry_id)
    )
    row = session.execute(query).one_or_none()
    return (row[0], row[1]) if row else None


def locked(session: Session, entry_id: uuid.UUID) -> Submission | None:
    """An entry nobody else can change until this transaction ends."""
    return session.scalars(select(Submission).where(Submission.id == entry_id).with_for_update()).one_or_none()


def by_key(session: Session, challenge_id: uuid.UUID, user_id: uuid.UUID, key: str) -> Submission | None:
    """The entry a person sent under an idempotency key."""
    query = select(Submission).where(
        Submission.challenge_id == challenge_id, Submission.user_id == user_id, Submission.key == key
    )
    return session.scalars(query).one_or_none()


def of_team(session: Session, team_id: uuid.UUID) -> Sequence[Submission]:
    """A team's entries, newest first."""
    return session.scalars(
        select(Submission).where(Submission.team_id == team_id).order_by(Submission.number.desc())
    ).all()


def attempts(session: Session, team_id: uuid.UUID, since: datetime) -> list[Attempt]:
    """What a team sent after ``since``, for the quota."""
    query = select(Submission.received_at, Submission.state).where(
        Submission.team_id == team_id, Submission.received_at > since
    )
    return [Attempt(at, state) for at, state in session.execute(query)]


def next_number(session: Session, team_id: uuid.UUID) -> int:
    """The number of a team's next entry; hold the team's lock."""
    return (session.scalar(select(func.max(Submission.number)).where(Submission.team_id == team_id)) or 0) + 1


def unfinished(session: Session, challenge_id: uuid.UUID) -> int:
    """How many entries of a challenge wait or are being scored."""
    waiting = Submission.state.in_((EntryState.QUEUED, EntryState.SCORING))
    return session.scalar(select(func.count()).where(Submission.challenge_id == challenge_id, waiting)) or 0


def scores_of(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Score]:
    """The newest score of each entry."""
    found: dict[uuid.UUID, Score] = {}
    for start in range(0, len(ids), 500):
        query = (
            select(Score).where(Score.submission_id.in_(ids[start : start + 500])).order_by(Score.recorded_at, Score.id)
        )
        found.update({score.submission_id: score for score in session.scalars(query)})
    return found


def private_of(session: Session, score_id: uuid.UUID) -> PrivateScore | None:
    """The private values of a score. Callers make sure that the challenge is over."""
    return session.get(PrivateScore, score_id)


def board_entries(
    session: Session, challenge_id: uuid.UUID, truth_version_id: uuid.UUID, *, private: bool
) -> list[Scored]:
    """Every entry that was not withdrawn, with its newest score against one truth version.

    ``private`` reads the private values too; callers make sure that the challenge is over.
    """
    columns: list[Any] = [
        Submission.id,
        Submission.team_id,
        Submission.received_at,
        Score.recorded_at,
        Submission.is_final,
        Score.public,
        PrivateScore.private if private else null(),
    ]
    query: Select[Any] = (
        select(*columns)
        .select_from(Submission)
        .outerjoin(
            Score,
            (Score.submission_id == Submission.id)
            & (Score.truth_version_id == truth_version_id)
            & (Score.status == "scored"),
        )
    )
    if private:
        query = query.outerjoin(PrivateScore, PrivateScore.score_id == Score.id)
    query = query.where(Submission.challenge_id == challenge_id, Submission.state != EntryState.WITHDRAWN).order_by(
        Score.recorded_at
    )
    newest = {row[0]: row for row in session.execute(query)}
    return [Scored(*row) for row in newest.values()]


def rulings(session: Session, challenge_id: uuid.UUID, entry_id: uuid.UUID | None = None) -> Sequence[Ruling]:
    """Rulings of a challenge, or of one of its entries, oldest first."""
    query = select(Ruling).where(Ruling.challenge_id == challenge_id).order_by(Ruling.id)
    return session.scalars(query.where(Ruling.submission_id == entry_id) if entry_id else query).all()


def verdicts(session: Session, challenge_id: uuid.UUID) -> dict[uuid.UUID, Verdict]:
    """The newest verdict on each entry that has one."""
    return {ruling.submission_id: ruling.verdict for ruling in rulings(session, challenge_id)}


def state_counts(session: Session) -> dict[str, int]:
    """How many entries are in each state."""
    return {
        state.value: count
        for state, count in session.execute(select(Submission.state, func.count()).group_by(Submission.state))
    }


def score_of(session: Session, entry_id: uuid.UUID, truth_version_id: uuid.UUID, metric_version: str) -> Score | None:
    """The score of an entry against one truth by one version of the metrics."""
    query = select(Score).where(Score.submission_id == entry_id, Score.truth_version_id == truth_version_id)
    return session.scalars(query.where(Score.metric_version == metric_version)).one_or_none()
