"""Refresh tokens derived from their session, epochs to end all sessions of a user, and the audit trail.

Only additions, and a column that may be empty from now on: the release before goes on writing its rows meanwhile. Its
sessions have no salt, so their refresh tokens are not taken by the release that comes with this.
"""

import sqlalchemy as sa
from alembic import op
from common.db import UTCDateTime, UUIDBinary, resumable
from sqlalchemy.dialects import mysql

revision = "0002_derived_refresh_tokens"
down_revision = "0001_users_and_sessions"
branch_labels = None
depends_on = None

_UNSIGNED = sa.Integer().with_variant(mysql.INTEGER(unsigned=True), "mysql")
_SHA256 = sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql")
_SALT = sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql")


def upgrade() -> None:
    epoch = sa.Column("session_epoch", sa.Integer, nullable=False, server_default=sa.text("0"))
    resumable.add_column("users", epoch)
    present = resumable.column_names("sessions")
    with op.batch_alter_table("sessions") as sessions:
        for column in _new_columns():
            if column.name not in present:
                sessions.add_column(column)
        sessions.alter_column("refresh_token_hash", existing_type=_SHA256, nullable=True)
    resumable.create_index("ix_sessions_revoked_at", "sessions", ["revoked_at"])
    resumable.create_index("ix_sessions_absolute_expires_at", "sessions", ["absolute_expires_at"])
    resumable.create_table(
        "audit_events",
        sa.Column("id", UUIDBinary, nullable=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("actor_type", sa.String(16), nullable=False),
        sa.Column("actor_id", sa.String(64)),
        sa.Column("subject_id", UUIDBinary),
        sa.Column("client_id", sa.String(64)),
        sa.Column("session_id", UUIDBinary),
        sa.Column("jti", sa.String(64)),
        sa.Column("kid", sa.String(64)),
        sa.Column("ip", sa.String(45)),
        sa.Column("user_agent_digest", sa.String(32)),
        sa.Column("trace_id", sa.String(32)),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    resumable.create_index("ix_audit_events_subject_id_at", "audit_events", ["subject_id", "at"])


def downgrade() -> None:
    """Sessions without the hash the release before looks for are lost: their users log in again."""
    op.drop_table("audit_events")
    op.drop_index("ix_sessions_absolute_expires_at", "sessions")
    op.drop_index("ix_sessions_revoked_at", "sessions")
    op.execute("DELETE FROM sessions WHERE refresh_token_hash IS NULL")
    with op.batch_alter_table("sessions") as sessions:
        for column in _new_columns():
            sessions.drop_column(column.name)
        sessions.alter_column("refresh_token_hash", existing_type=_SHA256, nullable=False)
    op.drop_column("users", "session_epoch")


def _new_columns() -> list[sa.Column[object]]:
    """Those of `sessions`."""
    return [
        sa.Column("epoch", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("salt", _SALT),
        sa.Column("generation", _UNSIGNED, nullable=False, server_default=sa.text("0")),
        sa.Column("rotated_at", UTCDateTime),
        sa.Column("ip", sa.String(45)),
        sa.Column("device_label", sa.String(100)),
    ]
