"""Logins that last: one row each, whatever its age. Refresh tokens are derived from it, and none is stored."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from auth_service.models.base import Base

# Why a session ended before its time.
LOGGED_OUT = "logout"
LOGGED_OUT_EVERYWHERE = "logout_all"
REVOKED = "revoked"
REUSED = "reuse"

MAX_IP_LENGTH = 45  # an IPv6 address with an IPv4 one at its end, in full
MAX_LABEL_LENGTH = 100

_SHA256 = LargeBinary(32).with_variant(mysql.BINARY(32), "mysql")
_SALT = LargeBinary(16).with_variant(mysql.BINARY(16), "mysql")
_UNSIGNED = Integer().with_variant(mysql.INTEGER(unsigned=True), "mysql")


class Session(Base):
    """`id` is the `sid` of its access tokens; `user_id`, `client_id`, `audience`, `auth_time` and `salt` never change.

    `generation` counts the refreshes: the refresh token of that number is the current one. `ip` and `device_label` are
    those of the login and then of each refresh.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "user_id", "revoked_at"),
        Index(None, "revoked_at"),  # what has to be made known again
        Index(None, "absolute_expires_at"),  # what may be deleted
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    client_id: Mapped[str] = mapped_column(String(64))
    audience: Mapped[str] = mapped_column(String(64))
    auth_time: Mapped[datetime]
    # Of the user when this began; see User.session_epoch.
    epoch: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    # Half of what forging a refresh token takes; the other half is a key outside the database. None in rows of the
    # release before, whose tokens are not taken any more. Deferred: only the check of a token reads it.
    salt: Mapped[bytes | None] = mapped_column(_SALT, deferred=True)
    generation: Mapped[int] = mapped_column(_UNSIGNED, server_default=text("0"), default=0)
    rotated_at: Mapped[datetime | None]
    # Written by the release before, which may run beside this one; to be dropped with the next.
    refresh_token_hash: Mapped[bytes | None] = mapped_column(_SHA256, deferred=True)
    last_used_at: Mapped[datetime]
    idle_expires_at: Mapped[datetime]
    absolute_expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str | None] = mapped_column(String(32))
    ip: Mapped[str | None] = mapped_column(String(MAX_IP_LENGTH))
    device_label: Mapped[str | None] = mapped_column(String(MAX_LABEL_LENGTH))
