"""Challenges.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from portal.store.base import Instant, Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "challenge",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("sponsor", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("summary", sa.String(length=300), nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("overview", sa.Text(), nullable=False),
        sa.Column("opens", Instant(), nullable=False),
        sa.Column("closes", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("pool_minor", sa.BigInteger(), nullable=False),
        sa.Column("layers", Json, nullable=False),
        sa.Column("published_at", Instant(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("opens < closes", name=op.f("ck_challenge_window")),
        sa.CheckConstraint("pool_minor >= 0", name=op.f("ck_challenge_pool")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenge")),
        sa.UniqueConstraint("slug", name=op.f("uq_challenge_slug")),
    )
    op.create_table(
        "agreement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_agreement_challenge_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
        sa.UniqueConstraint("challenge_id", "digest", name=op.f("uq_agreement_challenge_id_digest")),
        sa.UniqueConstraint("challenge_id", "version", name=op.f("uq_agreement_challenge_id_version")),
    )
    op.create_table(
        "conflict_note",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("conflicted", sa.Boolean(), nullable=False),
        sa.Column("statement", sa.String(length=2000), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_conflict_note_challenge_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_conflict_note_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflict_note")),
    )
    with op.batch_alter_table("conflict_note", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_conflict_note_challenge_id"), ["challenge_id"], unique=False)

    op.create_table(
        "prize",
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0 AND rank > 0", name=op.f("ck_prize_positive")),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_prize_challenge_id")),
        sa.PrimaryKeyConstraint("challenge_id", "rank", name=op.f("pk_prize")),
    )
    op.create_table(
        "release",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("manifest_digest", sa.String(length=64), nullable=False),
        sa.Column("zip_digest", sa.String(length=64), nullable=False),
        sa.Column("zip_bytes", sa.BigInteger(), nullable=False),
        sa.Column("published_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_release_challenge_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("challenge_id", "version", name=op.f("uq_release_challenge_id_version")),
    )
    op.create_table(
        "side",
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.CheckConstraint("side IN ('inside', 'outside')", name=op.f("ck_side_side")),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_side_challenge_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_side_user_id")),
        sa.PrimaryKeyConstraint("challenge_id", "user_id", name=op.f("pk_side")),
        sa.UniqueConstraint("challenge_id", "user_id", "side", name=op.f("uq_side_challenge_id_user_id_side")),
    )
    with op.batch_alter_table("side", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_side_user_id"), ["user_id"], unique=False)

    op.create_table(
        "team",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("name_key", sa.String(length=320), nullable=False),
        sa.Column("affiliated", sa.Boolean(), nullable=True),
        sa.Column("affiliation", sa.String(length=2000), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_team_challenge_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
        sa.UniqueConstraint("challenge_id", "id", name=op.f("uq_team_challenge_id_id")),
        sa.UniqueConstraint("challenge_id", "name_key", name=op.f("uq_team_challenge_id_name_key")),
    )
    op.create_table(
        "truth_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed_digest", sa.String(length=64), nullable=False),
        sa.Column("commitment", sa.String(length=200), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["challenge_id"], ["challenge.id"], name=op.f("fk_truth_version_challenge_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_truth_version")),
        sa.UniqueConstraint("challenge_id", "version", name=op.f("uq_truth_version_challenge_id_version")),
    )
    op.create_table(
        "download_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=True),
        sa.Column("path", sa.String(length=500), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_download_line_agreement_id")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_download_line_release_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_download_line_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_download_line")),
    )
    with op.batch_alter_table("download_line", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_download_line_release_id"), ["release_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_download_line_user_id"), ["user_id"], unique=False)

    op.create_table(
        "release_file",
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_release_file_release_id")),
        sa.PrimaryKeyConstraint("release_id", "path", name=op.f("pk_release_file")),
    )
    op.create_table(
        "role_grant",
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum("sponsor", "judge", "expert", name="role", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=False),
        sa.Column("granted_at", Instant(), nullable=False),
        sa.CheckConstraint("(role = 'expert') = (side = 'outside')", name=op.f("ck_role_grant_sides")),
        sa.ForeignKeyConstraint(
            ["challenge_id", "user_id", "side"],
            ["side.challenge_id", "side.user_id", "side.side"],
            name=op.f("fk_role_grant_challenge_id_user_id_side"),
        ),
        sa.ForeignKeyConstraint(["granted_by"], ["user_account.id"], name=op.f("fk_role_grant_granted_by")),
        sa.PrimaryKeyConstraint("challenge_id", "user_id", "role", name=op.f("pk_role_grant")),
    )
    with op.batch_alter_table("role_grant", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_role_grant_user_id"), ["user_id"], unique=False)

    op.create_table(
        "signature",
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("signed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_signature_agreement_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_signature_user_id")),
        sa.PrimaryKeyConstraint("agreement_id", "user_id", name=op.f("pk_signature")),
    )
    op.create_table(
        "team_member",
        sa.Column("challenge_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("joined_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["challenge_id", "team_id"],
            ["team.challenge_id", "team.id"],
            name=op.f("fk_team_member_challenge_id_team_id"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_team_member_user_id")),
        sa.PrimaryKeyConstraint("challenge_id", "user_id", name=op.f("pk_team_member")),
    )
    with op.batch_alter_table("team_member", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_team_member_user_id"), ["user_id"], unique=False)



def downgrade() -> None:
    with op.batch_alter_table("team_member", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_team_member_user_id"))

    op.drop_table("team_member")
    op.drop_table("signature")
    with op.batch_alter_table("role_grant", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_role_grant_user_id"))

    op.drop_table("role_grant")
    op.drop_table("release_file")
    with op.batch_alter_table("download_line", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_download_line_user_id"))
        batch_op.drop_index(batch_op.f("ix_download_line_release_id"))

    op.drop_table("download_line")
    op.drop_table("truth_version")
    op.drop_table("team")
    with op.batch_alter_table("side", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_side_user_id"))

    op.drop_table("side")
    op.drop_table("release")
    op.drop_table("prize")
    with op.batch_alter_table("conflict_note", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conflict_note_challenge_id"))

    op.drop_table("conflict_note")
    op.drop_table("agreement")
    op.drop_table("challenge")
