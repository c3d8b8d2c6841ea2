"""What several use cases write beside their own rows: audit events, mail, counted tries."""

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal.domain.errors import RateLimited
from portal.domain.permissions import Actor
from portal.services.context import Context
from portal.store import people
from portal.store.tables import Event, Mail


def digest(secret: str) -> str:
    """How secrets of full entropy are kept: sha256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def event(session: Session, at: datetime, *, actor: Actor | None, kind: str, subject: object, **detail: Any) -> None:
    """Write an audit event. ``detail`` holds no secrets and no addresses."""
    session.add(
        Event(at=at, actor_id=uuid.UUID(actor.id) if actor else None, kind=kind, subject=str(subject), detail=detail)
    )


def mail(session: Session, at: datetime, *, to: str, subject: str, body: str) -> None:
    """Put a message in the outbox; it is sent once this transaction is committed."""
    session.add(Mail(to=to, subject=subject, body=body, created_at=at, available_at=at))


class Tries:
    """Tries counted by ``counted``; ``give_back`` when they turn out to be fine."""

    def __init__(self, ctx: Context, counters: list[tuple[str, int]]) -> None:
        self._ctx, self._counters = ctx, counters

    def give_back(self) -> None:
        with self._ctx.writing() as session:
            for key, bucket in self._counters:
                people.give_back_try(session, key, bucket)


def counted(ctx: Context, kind: str, *, limit: int, per: timedelta, **subjects: str) -> Tries:
    """Count a try for each subject (account, address) before it is made; blank subjects are not counted.

    Raises:
        RateLimited: one of them was tried more than ``limit`` times in this window.
    """
    seconds = int(per.total_seconds())
    refused = 0
    counters: list[tuple[str, int]] = []
    with ctx.writing() as session:
        now = ctx.now(session)
        bucket = int(now.timestamp()) // seconds
        ends = datetime.fromtimestamp((bucket + 1) * seconds, tz=now.tzinfo)
        for name, subject in subjects.items():
            if not subject:
                continue
            key = f"{kind}:{name}:{digest(subject)[:40]}"
            counters.append((key, bucket))
            if people.count_try(session, key, bucket, ends) > limit:
                refused = max(1, int((ends - now).total_seconds()))
    if refused:
        raise RateLimited(refused)
    return Tries(ctx, counters)
