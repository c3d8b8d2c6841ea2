"""Challenges and everything published with them; who is who in them."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.states import Role
from portal.store.base import Base, states

INSIDE, OUTSIDE = "inside", "outside"


class Challenge(Base):
    """A published challenge. ``change`` counts everything that can alter its board; ``closed_at`` is an early close."""

    __tablename__ = "challenge"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(120))
    sponsor: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(16))
    summary: Mapped[str] = mapped_column(String(300))
    tags: Mapped[list[Any]]
    spec: Mapped[str] = mapped_column(Text)
    overview: Mapped[str] = mapped_column(Text)
    opens: Mapped[datetime]
    closes: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    currency: Mapped[str] = mapped_column(String(3))
    pool_minor: Mapped[int] = mapped_column(BigInteger)
    layers: Mapped[list[Any]]
    published_at: Mapped[datetime]
    change: Mapped[int] = mapped_column(BigInteger, default=0)

    __table_args__ = (CheckConstraint("pool_minor >= 0", name="pool"), CheckConstraint("opens < closes", name="window"))

    @property
    def ends(self) -> datetime:
        """When entries stop: as scheduled, or earlier when the sponsor closed it."""
        return min(self.closes, self.closed_at) if self.closed_at else self.closes


class Prize(Base):
    """The prize of one rank, in minor units."""

    __tablename__ = "prize"

    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    amount_minor: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (CheckConstraint("amount_minor > 0 AND rank > 0", name="positive"),)


class TruthVersion(Base):
    """One sealed truth: the blob that only the engine opens, and the commitment that is public."""

    __tablename__ = "truth_version"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"))
    version: Mapped[int]
    sealed_digest: Mapped[str] = mapped_column(String(64))
    commitment: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("challenge_id", "version"),)


class Release(Base):
    """One immutable set of files for experts."""

    __tablename__ = "release"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"))
    version: Mapped[int]
    manifest_digest: Mapped[str] = mapped_column(String(64))
    zip_digest: Mapped[str] = mapped_column(String(64))
    zip_bytes: Mapped[int] = mapped_column(BigInteger)
    published_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("challenge_id", "version"),)


class ReleaseFile(Base):
    """One file of a release."""

    __tablename__ = "release_file"

    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("release.id"), primary_key=True)
    path: Mapped[str] = mapped_column(String(500), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))


class Agreement(Base):
    """One version of a challenge's data agreement; the newest is in force."""

    __tablename__ = "agreement"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("challenge_id", "version"), UniqueConstraint("challenge_id", "digest"))


class Signature(Base):
    """Somebody signed one version of an agreement."""

    __tablename__ = "signature"

    agreement_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    signed_at: Mapped[datetime]


class Side(Base):
    """On which side of a challenge a person stands: inside (sponsor, judge) or outside (expert). Never both."""

    __tablename__ = "side"

    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"), primary_key=True, index=True)
    side: Mapped[str] = mapped_column(String(8))

    __table_args__ = (
        UniqueConstraint("challenge_id", "user_id", "side"),
        CheckConstraint("side IN ('inside', 'outside')", name="side"),
    )


class RoleGrant(Base):
    """A role of a person in a challenge, tied to their side by key and check."""

    __tablename__ = "role_grant"

    challenge_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, index=True)
    role: Mapped[Role] = mapped_column(states(Role), primary_key=True)
    side: Mapped[str] = mapped_column(String(8))
    granted_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"))
    granted_at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(["challenge_id", "user_id", "side"], ["side.challenge_id", "side.user_id", "side.side"]),
        CheckConstraint("(role = 'expert') = (side = 'outside')", name="sides"),
    )


class ConflictNote(Base):
    """A judge declared a conflict of interest, or its end; the newest holds."""

    __tablename__ = "conflict_note"

    id: Mapped[int] = mapped_column(primary_key=True)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"), index=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"))
    conflicted: Mapped[bool]
    statement: Mapped[str] = mapped_column(String(2000))
    at: Mapped[datetime]


class Team(Base):
    """Who competes. One expert for now; the members table is ready for more."""

    __tablename__ = "team"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"))
    name: Mapped[str] = mapped_column(String(80))
    name_key: Mapped[str] = mapped_column(String(320))
    affiliated: Mapped[bool | None]
    affiliation: Mapped[str] = mapped_column(String(2000), default="")
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("challenge_id", "name_key"), UniqueConstraint("challenge_id", "id"))


class TeamMember(Base):
    """A person in a team; one team a challenge."""

    __tablename__ = "team_member"

    challenge_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"), primary_key=True, index=True)
    team_id: Mapped[uuid.UUID]
    joined_at: Mapped[datetime]

    __table_args__ = (ForeignKeyConstraint(["challenge_id", "team_id"], ["team.challenge_id", "team.id"]),)


class DownloadLine(Base):
    """The ledger of downloads: who took what, when, under which agreement. ``path`` None is the whole release."""

    __tablename__ = "download_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("user_account.id"), index=True)
    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("release.id"), index=True)
    agreement_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("agreement.id"))
    path: Mapped[str | None] = mapped_column(String(500))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
