"""Entries and drafts, which are also the queue; what scoring found; what judges ruled."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.states import DraftState, EntryState, Verdict
from portal.store.base import Base, states


class Claimable:
    """Columns by which a row is work: a lease with an end, and a fence that grows with each claim."""

    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    worker: Mapped[str | None] = mapped_column(String(120))
    lease_until: Mapped[datetime | None]
    available_at: Mapped[datetime]
    last_error: Mapped[str] = mapped_column(String(500), default="")


class Submission(Claimable, Base):
    """One entry: its file, who sent it, when it was received, and where it stands."""

    __tablename__ = "submission"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"))
    team_id: Mapped[uuid.UUID]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"))
    number: Mapped[int]
    received_at: Mapped[datetime]
    file_digest: Mapped[str] = mapped_column(String(64))
    file_bytes: Mapped[int] = mapped_column(BigInteger)
    filename: Mapped[str] = mapped_column(String(200))
    format: Mapped[str] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(Text)
    key: Mapped[str | None] = mapped_column("idempotency_key", String(200))
    receipt: Mapped[str] = mapped_column(Text)
    state: Mapped[EntryState] = mapped_column(states(EntryState))
    finished_at: Mapped[datetime | None]
    is_final: Mapped[bool] = mapped_column(default=False)
    progress: Mapped[float | None]  # share of its scoring that is done; None while it is read or soon done

    __table_args__ = (
        ForeignKeyConstraint(["challenge_id", "team_id"], ["team.challenge_id", "team.id"]),
        UniqueConstraint("team_id", "number"),
        UniqueConstraint("challenge_id", "user_id", "idempotency_key"),
        CheckConstraint("file_bytes >= 0 AND number > 0", name="sizes"),
        CheckConstraint("(state = 'scoring') = (lease_until IS NOT NULL)", name="lease"),
        Index("ix_submission_board", "challenge_id", "team_id", "state"),
        Index("ix_submission_window", "team_id", "received_at"),
        Index(
            "ix_submission_waiting",
            "received_at",
            postgresql_where=text("state IN ('queued', 'scoring')"),
            sqlite_where=text("state IN ('queued', 'scoring')"),
        ),
    )


class Score(Base):
    """What scoring one entry against one truth version by one version of the metrics found. Never changed.

    Holds nothing of the private side; that is PrivateScore.
    """

    __tablename__ = "score"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"), index=True)
    truth_version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("truth_version.id"))
    metric_version: Mapped[str] = mapped_column(String(80))
    status: Mapped[str] = mapped_column(String(16))
    public: Mapped[dict[str, Any] | None]
    findings: Mapped[list[Any]]
    artifacts: Mapped[dict[str, Any]]
    environment: Mapped[dict[str, Any]]
    seconds: Mapped[float]
    worker: Mapped[str] = mapped_column(String(120))
    fence: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("submission_id", "truth_version_id", "metric_version"),
        CheckConstraint("status IN ('scored', 'rejected')", name="status"),
    )


class PrivateScore(Base):
    """The values nobody outside sees before the close."""

    __tablename__ = "private_score"

    score_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("score.id"), primary_key=True)
    overall: Mapped[dict[str, Any]]
    private: Mapped[dict[str, Any]]
    report: Mapped[dict[str, Any]]


class Ruling(Base):
    """A judge's finding on an entry, with its reason. The newest holds; none is changed."""

    __tablename__ = "ruling"

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"), index=True)
    judge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"))
    verdict: Mapped[Verdict] = mapped_column(states(Verdict))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]

    __table_args__ = (CheckConstraint("length(reason) > 0", name="reason"),)


class Draft(Claimable, Base):
    """A sponsor's upload on its way to publication; its bytes are sealed on arrival."""

    __tablename__ = "draft"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"), index=True)
    filename: Mapped[str] = mapped_column(String(200))
    sealed_digest: Mapped[str] = mapped_column(String(64))
    uploaded_at: Mapped[datetime]
    state: Mapped[DraftState] = mapped_column(states(DraftState))
    slug: Mapped[str] = mapped_column(String(64), default="")
    title: Mapped[str] = mapped_column(String(120), default="")
    kind: Mapped[str] = mapped_column(String(16), default="")
    faults: Mapped[list[Any]]
    dry_run: Mapped[list[Any]]
    spec: Mapped[str] = mapped_column(Text, default="")
    edit: Mapped[dict[str, Any] | None]
    edited: Mapped[bool] = mapped_column(default=False)
    report: Mapped[str] = mapped_column(Text, default="")
    challenge_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("challenge.id"))
