"""What users read and change about themselves."""

from uuid import UUID

from common.clock import Clock
from common.db import WriteSession
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session as DatabaseSession

from auth_service.errors import AccountGone
from auth_service.models import User

_FIND_BY_ID = select(User).where(User.id == bindparam("user_id"))


def get_user(session: DatabaseSession, user_id: UUID) -> User:
    """Return the active user; raises AccountGone for one deleted or disabled since the token was issued."""
    user = session.scalars(_FIND_BY_ID, {"user_id": user_id}).one_or_none()
    if user is None or not user.is_active:
        raise AccountGone
    return user


def rename_user(session: WriteSession, user_id: UUID, name: str | None, clock: Clock) -> User:
    """Give the user another name, or none, commit, and return the user. Raises AccountGone."""
    user = get_user(session, user_id)
    if user.name != name:
        user.name = name
        user.updated_at = clock()
        session.commit()
    return user
