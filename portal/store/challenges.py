"""Queries about challenges, what is published with them, and who is who in them."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from portal.domain.states import EntryState, Role
from portal.store.tables import (
    Agreement,
    Challenge,
    ConflictNote,
    DownloadLine,
    Prize,
    Release,
    ReleaseFile,
    RoleGrant,
    Side,
    Signature,
    Submission,
    Team,
    TeamMember,
    TruthVersion,
    User,
)


def by_slug(session: Session, slug: str) -> Challenge | None:
    return session.scalars(select(Challenge).where(Challenge.slug == slug)).one_or_none()


def by_id(session: Session, challenge_id: uuid.UUID) -> Challenge:
    return session.get_one(Challenge, challenge_id)


def everything(session: Session) -> Sequence[Challenge]:
    """All challenges, the one that closes last first."""
    return session.scalars(select(Challenge).order_by(Challenge.closes.desc(), Challenge.slug)).all()


def held(session: Session, user_id: uuid.UUID, role: Role) -> Sequence[Challenge]:
    """The challenges a person holds ``role`` in, the one that closes last first."""
    query = select(Challenge).join(RoleGrant, RoleGrant.challenge_id == Challenge.id)
    mine = query.where(RoleGrant.user_id == user_id, RoleGrant.role == role)
    return session.scalars(mine.order_by(Challenge.closes.desc(), Challenge.slug)).all()


def entry_counts(session: Session) -> Mapping[uuid.UUID, int]:
    """Entries that were not withdrawn, by challenge."""
    query = (
        select(Submission.challenge_id, func.count())
        .where(Submission.state != EntryState.WITHDRAWN)
        .group_by(Submission.challenge_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def team_counts(session: Session) -> Mapping[uuid.UUID, int]:
    """Teams by challenge."""
    return {
        row[0]: row[1] for row in session.execute(select(Team.challenge_id, func.count()).group_by(Team.challenge_id))
    }


def touch(session: Session, challenge_id: uuid.UUID) -> None:
    """Count a change that can alter the challenge's board."""
    session.execute(update(Challenge).where(Challenge.id == challenge_id).values(change=Challenge.change + 1))


def prizes(session: Session, challenge_id: uuid.UUID) -> Mapping[int, int]:
    """Prize in minor units by rank."""
    rows = session.scalars(select(Prize).where(Prize.challenge_id == challenge_id).order_by(Prize.rank))
    return {row.rank: row.amount_minor for row in rows}


def agreement(session: Session, challenge_id: uuid.UUID) -> Agreement:
    """The agreement in force."""
    query = select(Agreement).where(Agreement.challenge_id == challenge_id).order_by(Agreement.version.desc()).limit(1)
    return session.scalars(query).one()


def signature(session: Session, agreement_id: uuid.UUID, user_id: uuid.UUID) -> Signature | None:
    return session.get(Signature, (agreement_id, user_id))


def release(session: Session, challenge_id: uuid.UUID) -> Release:
    """The newest release."""
    return session.scalars(
        select(Release).where(Release.challenge_id == challenge_id).order_by(Release.version.desc()).limit(1)
    ).one()


def release_files(session: Session, release_id: uuid.UUID) -> Sequence[ReleaseFile]:
    """Files of a release by path."""
    return session.scalars(
        select(ReleaseFile).where(ReleaseFile.release_id == release_id).order_by(ReleaseFile.path)
    ).all()


def truth(session: Session, challenge_id: uuid.UUID) -> TruthVersion:
    """The truth version in force."""
    query = (
        select(TruthVersion)
        .where(TruthVersion.challenge_id == challenge_id)
        .order_by(TruthVersion.version.desc())
        .limit(1)
    )
    return session.scalars(query).one()


def roles(session: Session, challenge_id: uuid.UUID, user_id: uuid.UUID) -> frozenset[Role]:
    """Roles of a person in a challenge."""
    query = select(RoleGrant.role).where(RoleGrant.challenge_id == challenge_id, RoleGrant.user_id == user_id)
    return frozenset(session.scalars(query))


def side(session: Session, challenge_id: uuid.UUID, user_id: uuid.UUID) -> str | None:
    """On which side the person stands, or None."""
    found = session.get(Side, (challenge_id, user_id))
    return found.side if found else None


def people(session: Session, challenge_id: uuid.UUID) -> Sequence[tuple[User, Role]]:
    """Who holds which role, sponsors and judges first."""
    query = (
        select(User, RoleGrant.role)
        .join(RoleGrant, RoleGrant.user_id == User.id)
        .where(RoleGrant.challenge_id == challenge_id)
    )
    rows = [(user, role) for user, role in session.execute(query)]
    return sorted(rows, key=lambda row: (list(Role).index(row[1]), row[0].name_key))


def conflict(session: Session, challenge_id: uuid.UUID, user_id: uuid.UUID) -> ConflictNote | None:
    """What a judge last declared."""
    query = select(ConflictNote).where(ConflictNote.challenge_id == challenge_id, ConflictNote.user_id == user_id)
    return session.scalars(query.order_by(ConflictNote.id.desc()).limit(1)).one_or_none()


def team_of(session: Session, challenge_id: uuid.UUID, user_id: uuid.UUID) -> Team | None:
    """The person's team in a challenge."""
    query = select(Team).join(TeamMember, TeamMember.team_id == Team.id)
    return session.scalars(
        query.where(TeamMember.challenge_id == challenge_id, TeamMember.user_id == user_id)
    ).one_or_none()


def team_name_taken(session: Session, challenge_id: uuid.UUID, key: str) -> bool:
    return (
        session.scalars(select(Team.id).where(Team.challenge_id == challenge_id, Team.name_key == key)).first()
        is not None
    )


def teams(session: Session, challenge_id: uuid.UUID) -> Mapping[uuid.UUID, Team]:
    """All teams of a challenge by id."""
    return {team.id: team for team in session.scalars(select(Team).where(Team.challenge_id == challenge_id))}


def members(session: Session, team_id: uuid.UUID) -> Sequence[User]:
    """The people of a team."""
    return session.scalars(
        select(User).join(TeamMember, TeamMember.user_id == User.id).where(TeamMember.team_id == team_id)
    ).all()


def downloads(session: Session, user_id: uuid.UUID) -> Sequence[DownloadLine]:
    """What a person took, oldest first."""
    return session.scalars(select(DownloadLine).where(DownloadLine.user_id == user_id).order_by(DownloadLine.id)).all()


def to_settle(session: Session, at: datetime) -> Sequence[Challenge]:
    """Challenges past their end that are not settled."""
    query = select(Challenge).where(
        Challenge.settled_at.is_(None), func.coalesce(Challenge.closed_at, Challenge.closes) <= at
    )
    return session.scalars(query).all()
