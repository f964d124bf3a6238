"""Row locks, in the one order that cannot deadlock: the user first, their sessions second.

Whoever changes a session holds its user's row, shared; whoever ends all of them holds it alone, and so meets no other.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.db import WriteSession
from sqlalchemy import bindparam, select

from auth_service.models import User
from auth_service.models.user import ACTIVE

_SHARE_USER = (
    select(User.status, User.session_epoch, User.password_changed_at)
    .where(User.id == bindparam("user_id"))
    .with_for_update(read=True)
)


@dataclass(frozen=True)
class LockedUser:
    """As they are until the commit."""

    id: UUID
    is_active: bool
    session_epoch: int
    password_changed_at: datetime


def share_user(session: WriteSession, user_id: UUID) -> LockedUser | None:
    """Keep the user's row as it is until the commit, together with others who do; None if there is none."""
    row = session.execute(_SHARE_USER, {"user_id": user_id}).one_or_none()
    return (
        None if row is None else LockedUser(user_id, row.status == ACTIVE, row.session_epoch, row.password_changed_at)
    )
