"""Sessions as their users see them: listed, and ended one by one."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, Row, and_, bindparam, or_, select
from sqlalchemy.orm import Session as DatabaseSession

from auth_service.caller import Caller
from auth_service.client import Client
from auth_service.dependencies import Dependencies
from auth_service.errors import SessionNotFound
from auth_service.last_use import LastUse
from auth_service.models import Session, User
from auth_service.models.session import LOGGED_OUT, REVOKED
from auth_service.scopes import FIRST_PARTY_CLIENT
from auth_service.use_cases.endings import Ending, end_and_publish, request_of
from auth_service.use_cases.proofs import prove_session

SessionRow = Row[UUID, datetime, datetime, datetime, str | None, str | None]
"""The columns of a session that its user sees, by name."""

_OWNED = Session.user_id == bindparam("user_id")
_FIND_OWN = select(Session.id).where(Session.id == bindparam("session_id"), _OWNED)
# What cannot be refreshed any more is over for its user; without a salt it never could (models/session.py).
_FIRST_PAGE = (
    select(
        Session.id,
        Session.auth_time.label("created_at"),
        Session.last_used_at,
        Session.idle_expires_at.label("expires_at"),
        Session.device_label,
        Session.ip,
    )
    .join(User, and_(User.id == Session.user_id, User.session_epoch == Session.epoch))
    .where(_OWNED, Session.revoked_at.is_(None), Session.idle_expires_at > bindparam("now"), Session.salt.is_not(None))
    .order_by(Session.last_used_at.desc(), Session.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_NEXT_PAGE = _FIRST_PAGE.where(
    or_(
        Session.last_used_at < bindparam("used_at"),
        and_(Session.last_used_at == bindparam("used_at"), Session.id < bindparam("after")),
    )
)


def list_sessions(
    deps: Dependencies, session: DatabaseSession, user_id: UUID, limit: int, after: LastUse | None
) -> tuple[Sequence[SessionRow], LastUse | None]:
    """Return up to `limit` live sessions of the user, last used first, and the place the next page starts after.

    One that is used between two pages moves to the front and is not on the second.
    """
    values: dict[str, object] = {"user_id": user_id, "now": deps.clock(), "limit": limit + 1}
    if after is None:
        rows = session.execute(_FIRST_PAGE, values).all()
    else:
        rows = session.execute(_NEXT_PAGE, values | {"used_at": after.at, "after": after.session_id}).all()
    shown = rows[:limit]
    return shown, LastUse(shown[-1].last_used_at, shown[-1].id) if len(rows) > limit else None


def log_out(deps: Dependencies, client: Client, *, user_id: UUID, session_id: UUID, client_id: str, jti: str) -> None:
    """End the session that an access token, known by its `jti`, has proven to be the user's."""
    end_and_publish(deps, client, Ending(session_id, user_id, LOGGED_OUT, client_id=client_id, jti=jti))


def log_out_with_refresh_token(deps: Dependencies, client: Client, refresh_token: str) -> None:
    """End the session a refresh token of any generation was issued for. Raises InvalidGrant for any other.

    An old one ends the session too: its owner wants that, and in a thief's hands it would have come to that.
    """
    proof = prove_session(deps, refresh_token, FIRST_PARTY_CLIENT)
    ending = Ending(proof.session_id, proof.user_id, LOGGED_OUT, client_id=proof.client_id)
    end_and_publish(deps, client, ending)


def revoke_session(deps: Dependencies, client: Client, caller: Caller, session_id: UUID) -> None:
    """End a session of the caller; one that has ended stays so. Raises SessionNotFound, also for somebody else's."""
    with deps.database.read() as session:
        found = session.execute(_FIND_OWN, {"session_id": session_id, "user_id": caller.user_id}).one_or_none()
    if found is None:
        raise SessionNotFound
    ending = Ending(session_id, caller.user_id, REVOKED, client_id=caller.client_id, jti=caller.jti)
    end_and_publish(deps, client, ending, request_of(caller, REVOKED))
