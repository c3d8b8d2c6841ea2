"""Queries about people, their sessions, tokens, links and throttles."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from portal.store.tables import ApiToken, Link, LoginSession, Mail, RoleGrant, Throttle, User


def by_id(session: Session, user_id: uuid.UUID) -> User | None:
    return session.get(User, user_id)


def by_email(session: Session, key: str) -> User | None:
    """The person whose address compares as ``key``."""
    return session.scalars(select(User).where(User.email_key == key)).one_or_none()


def name_taken(session: Session, key: str) -> bool:
    return session.scalars(select(User.id).where(User.name_key == key)).first() is not None


def roles_of(session: Session, user_id: uuid.UUID) -> tuple[str, ...]:
    """Every role the person holds in any challenge."""
    return tuple(
        sorted(
            role.value
            for role in session.scalars(select(RoleGrant.role).where(RoleGrant.user_id == user_id).distinct())
        )
    )


def live_session(session: Session, secret_hash: str) -> tuple[LoginSession, User] | None:
    """A session that was not ended, and whose it is."""
    query = select(LoginSession, User).join(User, User.id == LoginSession.user_id)
    row = session.execute(
        query.where(LoginSession.secret_hash == secret_hash, LoginSession.ended_at.is_(None))
    ).one_or_none()
    return (row[0], row[1]) if row else None


def sessions_of(session: Session, user_id: uuid.UUID, newer: datetime) -> Sequence[LoginSession]:
    """Sessions of a person that were not ended, last used first."""
    query = select(LoginSession).where(
        LoginSession.user_id == user_id, LoginSession.ended_at.is_(None), LoginSession.last_seen_at > newer
    )
    return session.scalars(query.order_by(LoginSession.last_seen_at.desc())).all()


def end_sessions(session: Session, user_id: uuid.UUID, at: datetime) -> None:
    """End every session of a person."""
    session.execute(
        update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None)).values(ended_at=at)
    )


def revoke_tokens(session: Session, user_id: uuid.UUID, at: datetime) -> None:
    """Revoke every API token of a person."""
    session.execute(
        update(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None)).values(revoked_at=at)
    )


def take_link(session: Session, secret_hash: str, purpose: str, at: datetime) -> uuid.UUID | None:
    """Use a link up: whose it is, or None when it is unknown, used or too old. Of two at once one wins."""
    query = (
        update(Link)
        .where(Link.secret_hash == secret_hash, Link.purpose == purpose, Link.used_at.is_(None), Link.expires_at > at)
        .values(used_at=at)
        .returning(Link.user_id)
    )
    return session.scalars(query).one_or_none()


def drop_links(session: Session, user_id: uuid.UUID, purpose: str, at: datetime) -> None:
    """Make all open links of one purpose useless."""
    session.execute(
        update(Link).where(Link.user_id == user_id, Link.purpose == purpose, Link.used_at.is_(None)).values(used_at=at)
    )


def live_token(session: Session, secret_hash: str, at: datetime) -> tuple[ApiToken, User] | None:
    """An API token in force, and whose it is."""
    query = select(ApiToken, User).join(User, User.id == ApiToken.user_id)
    row = session.execute(
        query.where(ApiToken.secret_hash == secret_hash, ApiToken.revoked_at.is_(None), ApiToken.expires_at > at)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def tokens_of(session: Session, user_id: uuid.UUID) -> Sequence[ApiToken]:
    """Tokens that were not revoked, newest first."""
    query = select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    return session.scalars(query.order_by(ApiToken.created_at.desc())).all()


def count_try(session: Session, key: str, bucket: int, expires_at: datetime) -> int:
    """Count one more try in a window of time; how many that makes."""
    make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    query = make(Throttle).values(key=key, bucket=bucket, n=1, expires_at=expires_at)
    query = query.on_conflict_do_update(index_elements=[Throttle.key, Throttle.bucket], set_={"n": Throttle.n + 1})
    return session.execute(query.returning(Throttle.n)).scalar_one()


def give_back_try(session: Session, key: str, bucket: int) -> None:
    """Take one try off again."""
    session.execute(update(Throttle).where(Throttle.key == key, Throttle.bucket == bucket).values(n=Throttle.n - 1))


def forget_expired(session: Session, at: datetime, sessions_before: datetime) -> None:
    """Delete throttles and used or expired links and sessions of the past."""
    session.execute(delete(Throttle).where(Throttle.expires_at < at))
    session.execute(delete(Link).where(Link.expires_at < sessions_before))
    session.execute(delete(LoginSession).where(LoginSession.last_seen_at < sessions_before))


def mail_due(session: Session, at: datetime) -> bool:
    """Whether any mail could be sent now."""
    return (
        session.scalars(select(Mail.id).where(Mail.sent_at.is_(None), Mail.available_at <= at).limit(1)).first()
        is not None
    )


def unsent_mail(session: Session, at: datetime, limit: int) -> Sequence[Mail]:
    """Mail that is due, oldest first; rows another process is sending are skipped."""
    query = select(Mail).where(Mail.sent_at.is_(None), Mail.available_at <= at).order_by(Mail.created_at).limit(limit)
    return session.scalars(query.with_for_update(skip_locked=True)).all()


def newest_mail(session: Session, limit: int) -> Sequence[Mail]:
    """Mail not yet sent, newest first."""
    return session.scalars(
        select(Mail).where(Mail.sent_at.is_(None)).order_by(Mail.created_at.desc()).limit(limit)
    ).all()
