"""Queries about drafts."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.store.tables import Draft


def by_id(session: Session, draft_id: uuid.UUID) -> Draft | None:
    return session.get(Draft, draft_id)


def locked(session: Session, draft_id: uuid.UUID) -> Draft | None:
    """A draft nobody else can change until this transaction ends."""
    return session.scalars(select(Draft).where(Draft.id == draft_id).with_for_update()).one_or_none()


def of(session: Session, owner_id: uuid.UUID) -> Sequence[Draft]:
    """A person's drafts, newest first."""
    return session.scalars(select(Draft).where(Draft.owner_id == owner_id).order_by(Draft.uploaded_at.desc())).all()
