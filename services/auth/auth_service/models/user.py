"""Accounts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import SmallInteger, String, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from auth_service.models.base import Base

ACTIVE = "active"
MAX_NAME_LENGTH = 200

# MySQL's default collations take a for á and A: with one, two people's addresses would be one account.
_EXACT_TEXT = String(320).with_variant(mysql.VARCHAR(320, collation="utf8mb4_bin"), "mysql")


class User(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(_EXACT_TEXT, unique=True)
    name: Mapped[str | None] = mapped_column(String(MAX_NAME_LENGTH))
    password_hash: Mapped[str] = mapped_column(String(255))
    password_scheme: Mapped[int] = mapped_column(SmallInteger)
    # Of every new password, and of nothing else: a login that verified the one before is refused by it.
    password_changed_at: Mapped[datetime]
    email_verified_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(16))
    # Raised by logging out everywhere: sessions of an earlier epoch are over, whatever their rows say.
    session_epoch: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def is_active(self) -> bool:
        return self.status == ACTIVE

    @property
    def email_verified(self) -> bool:
        return self.email_verified_at is not None
