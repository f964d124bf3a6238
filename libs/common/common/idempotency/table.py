"""The table of keys: one row for each request that was done, until its time is over."""

from datetime import timedelta

from sqlalchemy import JSON, Column, Index, LargeBinary, PrimaryKeyConstraint, SmallInteger, String, Table
from sqlalchemy.dialects import mysql

from common.db.base import new_metadata
from common.db.types import UTCDateTime, UUIDBinary

KEPT = timedelta(days=7)
"""How long a key stands for its request. Then it is free, whether its row is deleted already or not."""

MAX_KEY_LENGTH = 255
MAX_ROUTE_LENGTH = 120

metadata = new_metadata()

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner_id", UUIDBinary, nullable=False),
    Column("route", String(MAX_ROUTE_LENGTH), nullable=False),
    Column("key", String(MAX_KEY_LENGTH), nullable=False),
    Column("request_hash", LargeBinary(32).with_variant(mysql.BINARY(32), "mysql"), nullable=False),
    # The answer. Empty only within the transaction that makes it, so nobody else ever sees a row without.
    Column("status", SmallInteger),
    Column("headers", JSON),
    Column("body", LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")),
    Column("created_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("owner_id", "route", "key", name="pk_idempotency_keys"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)
