"""Accounts and their sessions."""

import sqlalchemy as sa
from alembic import op
from common.db import UTCDateTime, UUIDBinary, resumable
from sqlalchemy.dialects import mysql

revision = "0001_users_and_sessions"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    resumable.create_table(
        "users",
        sa.Column("id", UUIDBinary, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column(
            "email_key",
            sa.String(320).with_variant(mysql.VARCHAR(320, collation="utf8mb4_bin"), "mysql"),
            nullable=False,
        ),
        sa.Column("name", sa.String(200)),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("password_scheme", sa.SmallInteger, nullable=False),
        sa.Column("password_changed_at", UTCDateTime, nullable=False),
        sa.Column("email_verified_at", UTCDateTime),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
    )
    resumable.create_table(
        "sessions",
        sa.Column("id", UUIDBinary, nullable=False),
        sa.Column("user_id", UUIDBinary, nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("audience", sa.String(64), nullable=False),
        sa.Column("auth_time", UTCDateTime, nullable=False),
        sa.Column("refresh_token_hash", sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql"), nullable=False),
        sa.Column("last_used_at", UTCDateTime, nullable=False),
        sa.Column("idle_expires_at", UTCDateTime, nullable=False),
        sa.Column("absolute_expires_at", UTCDateTime, nullable=False),
        sa.Column("revoked_at", UTCDateTime),
        sa.Column("revoke_reason", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
    )
    resumable.create_index("ix_sessions_user_id_revoked_at", "sessions", ["user_id", "revoked_at"])


def downgrade() -> None:
    op.drop_table("sessions")
    op.drop_table("users")
