"""Column types that mean the same on MySQL and SQLite."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BINARY, DateTime, Dialect, LargeBinary
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine


class UUIDBinary(TypeDecorator[UUID]):
    """A UUID as its 16 bytes in network order (RFC 9562), so that UUIDv7 sorts by creation on both databases."""

    impl = BINARY(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # SQLite has no BINARY; BLOB is what it stores and reports.
        return dialect.type_descriptor(BINARY(16) if dialect.name == "mysql" else LargeBinary())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        if not isinstance(value, UUID):
            raise TypeError(f"expected a UUID, got {type(value).__name__}")
        return value.bytes

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> UUID | None:
        return None if value is None else UUID(bytes=value)


class UTCDateTime(TypeDecorator[datetime]):
    """An instant with microseconds. Stored without a zone (DATETIME(6) on MySQL), always given back as aware UTC.

    Naive values are refused with ValueError: nobody could say later which zone they meant.
    """

    impl = DateTime()
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name == "mysql" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone cannot be stored; use aware UTC times")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)
