"""Entries and drafts.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from portal.store.base import Instant, Json

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "draft",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("sealed_digest", sa.String(length=64), nullable=False),
        sa.Column("uploaded_at", Instant(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "checking",
                "faulty",
                "ready",
                "publishing",
                "published",
                "failed",
                name="draftstate",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("faults", Json, nullable=False),
        sa.Column("dry_run", Json, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("edit", Json, nullable=True),
        sa.Column("edited", sa.Boolean(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("available_at", Instant(), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_draft_challenge_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_draft_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft")),
    )
    with op.batch_alter_table("draft", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_draft_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "submission",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("file_digest", sa.String(length=64), nullable=False),
        sa.Column("file_bytes", sa.BigInteger(), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "scoring",
                "scored",
                "rejected",
                "failed",
                "withdrawn",
                name="entrystate",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("available_at", Instant(), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=False),
        sa.CheckConstraint("(state = 'scoring') = (lease_until IS NOT NULL)", name=op.f("ck_submission_lease")),
        sa.CheckConstraint("file_bytes >= 0 AND number > 0", name=op.f("ck_submission_sizes")),
        sa.ForeignKeyConstraint(
            ["challenge_id", "team_id"],
            ["team.challenge_id", "team.id"],
            name=op.f("fk_submission_challenge_id_team_id"),
        ),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_submission_challenge_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_submission_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submission")),
        sa.UniqueConstraint(
            "challenge_id",
            "user_id",
            "idempotency_key",
            name=op.f("uq_submission_challenge_id_user_id_idempotency_key"),
        ),
        sa.UniqueConstraint("team_id", "number", name=op.f("uq_submission_team_id_number")),
    )
    with op.batch_alter_table("submission", schema=None) as batch_op:
        batch_op.create_index("ix_submission_board", ["challenge_id", "team_id", "state"], unique=False)
        batch_op.create_index(
            "ix_submission_waiting",
            ["received_at"],
            unique=False,
            postgresql_where=sa.text("state IN ('queued', 'scoring')"),
            sqlite_where=sa.text("state IN ('queued', 'scoring')"),
        )
        batch_op.create_index("ix_submission_window", ["team_id", "received_at"], unique=False)

    op.create_table(
        "ruling",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("judge_id", sa.Uuid(), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum(
                "verified", "rejected", "question", name="verdict", native_enum=False, create_constraint=True, length=16
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.CheckConstraint("length(reason) > 0", name=op.f("ck_ruling_reason")),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_ruling_challenge_id")),
        sa.ForeignKeyConstraint(["judge_id"], ["user_account.id"], name=op.f("fk_ruling_judge_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_ruling_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ruling")),
    )
    with op.batch_alter_table("ruling", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ruling_challenge_id"), ["challenge_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_ruling_submission_id"), ["submission_id"], unique=False)

    op.create_table(
        "score",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("truth_version_id", sa.Uuid(), nullable=False),
        sa.Column("metric_version", sa.String(length=80), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("public", Json, nullable=True),
        sa.Column("findings", Json, nullable=False),
        sa.Column("artifacts", Json, nullable=False),
        sa.Column("environment", Json, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.CheckConstraint("status IN ('scored', 'rejected')", name=op.f("ck_score_status")),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_score_challenge_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_score_submission_id")),
        sa.ForeignKeyConstraint(["truth_version_id"], ["truth_version.id"], name=op.f("fk_score_truth_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score")),
        sa.UniqueConstraint(
            "submission_id",
            "truth_version_id",
            "metric_version",
            name=op.f("uq_score_submission_id_truth_version_id_metric_version"),
        ),
    )
    with op.batch_alter_table("score", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_score_challenge_id"), ["challenge_id"], unique=False)

    op.create_table(
        "private_score",
        sa.Column("score_id", sa.Uuid(), nullable=False),
        sa.Column("overall", Json, nullable=False),
        sa.Column("private", Json, nullable=False),
        sa.Column("report", Json, nullable=False),
        sa.ForeignKeyConstraint(["score_id"], ["score.id"], name=op.f("fk_private_score_score_id")),
        sa.PrimaryKeyConstraint("score_id", name=op.f("pk_private_score")),
    )


def downgrade() -> None:
    op.drop_table("private_score")
    with op.batch_alter_table("score", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_score_challenge_id"))

    op.drop_table("score")
    with op.batch_alter_table("ruling", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ruling_submission_id"))
        batch_op.drop_index(batch_op.f("ix_ruling_challenge_id"))

    op.drop_table("ruling")
    with op.batch_alter_table("submission", schema=None) as batch_op:
        batch_op.drop_index("ix_submission_window")
        batch_op.drop_index(
            "ix_submission_waiting",
            postgresql_where=sa.text("state IN ('queued', 'scoring')"),
            sqlite_where=sa.text("state IN ('queued', 'scoring')"),
        )
        batch_op.drop_index("ix_submission_board")

    op.drop_table("submission")
    with op.batch_alter_table("draft", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_draft_owner_id"))

    op.drop_table("draft")
