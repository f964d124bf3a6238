"""Logins that last: one row each, whatever its age, with the hash of its one valid refresh token."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from auth_service.models.base import Base

LOGGED_OUT = "logout"

_SHA256 = LargeBinary(32).with_variant(mysql.BINARY(32), "mysql")


class Session(Base):
    """`id` is the `sid` of its access tokens; `user_id`, `client_id`, `audience` and `auth_time` never change."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id", "revoked_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    client_id: Mapped[str] = mapped_column(String(64))
    audience: Mapped[str] = mapped_column(String(64))
    auth_time: Mapped[datetime]
    refresh_token_hash: Mapped[bytes] = mapped_column(_SHA256)
    last_used_at: Mapped[datetime]
    idle_expires_at: Mapped[datetime]
    absolute_expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str | None] = mapped_column(String(32))
