"""What the operator watches: audit events and the workers' heartbeats."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.store.base import Base


class Event(Base):
    """A decision somebody took, for the audit. Never changed."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("user_account.id"))
    kind: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(120))
    detail: Mapped[dict[str, Any]]


class Worker(Base):
    """A dispatcher that is or was running."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    started_at: Mapped[datetime]
    last_seen: Mapped[datetime]
    busy: Mapped[int]
    threads: Mapped[int]
    memory: Mapped[int] = mapped_column(BigInteger)
