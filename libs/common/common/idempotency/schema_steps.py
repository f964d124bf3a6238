"""The table of keys as a step of a schema, for a revision of each service that takes keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.db import UTCDateTime, UUIDBinary, resumable


def create_table() -> None:
    """Add the table; code that does not know it goes on without."""
    resumable.create_table(
        "idempotency_keys",
        sa.Column("owner_id", UUIDBinary, nullable=False),
        sa.Column("route", sa.String(120), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql"), nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("headers", sa.JSON),
        sa.Column("body", sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "route", "key", name="pk_idempotency_keys"),
    )
    resumable.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def drop_table() -> None:
    """Undo the step."""
    op.drop_table("idempotency_keys")
