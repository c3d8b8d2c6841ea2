"""The bounty's ledger: one row is one transfer between two accounts, so every row balances."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.store.base import Base


class Account(Base):
    """Where money stands. ``sponsor`` may be overdrawn (it brings the money in), the others never."""

    __tablename__ = "ledger_account"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"))
    kind: Mapped[str] = mapped_column(String(16))
    team_id: Mapped[uuid.UUID | None]
    name: Mapped[str] = mapped_column(String(200), unique=True)
    currency: Mapped[str] = mapped_column(String(3))

    __table_args__ = (
        ForeignKeyConstraint(["challenge_id", "team_id"], ["team.challenge_id", "team.id"]),
        UniqueConstraint("id", "challenge_id", "currency"),
        CheckConstraint("kind IN ('sponsor', 'pool', 'prize')", name="kind"),
        CheckConstraint("(kind = 'prize') = (team_id IS NOT NULL)", name="payee"),
    )


class Posting(Base):
    """``amount_minor`` moves from the credited to the debited account. Both hold the same challenge and currency."""

    __tablename__ = "posting"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    challenge_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("challenge.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    currency: Mapped[str] = mapped_column(String(3))
    debit_id: Mapped[uuid.UUID]
    credit_id: Mapped[uuid.UUID]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    place: Mapped[int | None]
    submission_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("submission.id"))
    ruling_id: Mapped[int | None] = mapped_column(ForeignKey("ruling.id"))
    memo: Mapped[str] = mapped_column(String(300))
    at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(
            ["debit_id", "challenge_id", "currency"],
            ["ledger_account.id", "ledger_account.challenge_id", "ledger_account.currency"],
            name="fk_posting_debit",
        ),
        ForeignKeyConstraint(
            ["credit_id", "challenge_id", "currency"],
            ["ledger_account.id", "ledger_account.challenge_id", "ledger_account.currency"],
            name="fk_posting_credit",
        ),
        UniqueConstraint("challenge_id", "place"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("debit_id <> credit_id", name="two_accounts"),
        CheckConstraint("kind IN ('funding', 'prize')", name="kind"),
        CheckConstraint(
            "(kind = 'prize') = (place IS NOT NULL AND submission_id IS NOT NULL AND ruling_id IS NOT NULL)",
            name="cause",
        ),
    )
