"""The ledger.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from portal.store.base import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.CheckConstraint("(kind = 'prize') = (team_id IS NOT NULL)", name=op.f("ck_ledger_account_payee")),
        sa.CheckConstraint("kind IN ('sponsor', 'pool', 'prize')", name=op.f("ck_ledger_account_kind")),
        sa.ForeignKeyConstraint(
            ["challenge_id", "team_id"],
            ["team.challenge_id", "team.id"],
            name=op.f("fk_ledger_account_challenge_id_team_id"),
        ),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_ledger_account_challenge_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_account")),
        sa.UniqueConstraint("id", "challenge_id", "currency", name=op.f("uq_ledger_account_id_challenge_id_currency")),
        sa.UniqueConstraint("name", name=op.f("uq_ledger_account_name")),
    )
    op.create_table(
        "posting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("debit_id", sa.Uuid(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("submission_id", sa.Uuid(), nullable=True),
        sa.Column("ruling_id", sa.Integer(), nullable=True),
        sa.Column("memo", sa.String(length=300), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'prize') = (place IS NOT NULL AND submission_id IS NOT NULL AND ruling_id IS NOT NULL)",
            name=op.f("ck_posting_cause"),
        ),
        sa.CheckConstraint("kind IN ('funding', 'prize')", name=op.f("ck_posting_kind")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_posting_amount")),
        sa.CheckConstraint("debit_id <> credit_id", name=op.f("ck_posting_two_accounts")),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_posting_challenge_id")),
        sa.ForeignKeyConstraint(
            ["credit_id", "challenge_id", "currency"],
            ["ledger_account.id", "ledger_account.challenge_id", "ledger_account.currency"],
            name="fk_posting_credit",
        ),
        sa.ForeignKeyConstraint(
            ["debit_id", "challenge_id", "currency"],
            ["ledger_account.id", "ledger_account.challenge_id", "ledger_account.currency"],
            name="fk_posting_debit",
        ),
        sa.ForeignKeyConstraint(["ruling_id"], ["ruling.id"], name=op.f("fk_posting_ruling_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_posting_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posting")),
        sa.UniqueConstraint("challenge_id", "place", name=op.f("uq_posting_challenge_id_place")),
        sa.UniqueConstraint("key", name=op.f("uq_posting_key")),
    )
    with op.batch_alter_table("posting", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_posting_challenge_id"), ["challenge_id"], unique=False)



def downgrade() -> None:
    with op.batch_alter_table("posting", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_posting_challenge_id"))

    op.drop_table("posting")
    op.drop_table("ledger_account")
