"""The life of a session: opened by a login, rotated by each refresh, ended by a logout.

Who locks both takes the user first and the session second: the other order deadlocks against whoever ends all
sessions of a user. A logout locks the session alone.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import structlog
from common.db import WriteSession, run_write
from common.ids import new_id
from sqlalchemy import CursorResult, Update, bindparam, select, update
from sqlalchemy.orm import Session as DatabaseSession

from auth_service.dependencies import Dependencies
from auth_service.errors import InvalidGrant
from auth_service.models import Session, User
from auth_service.models.session import LOGGED_OUT
from auth_service.models.user import ACTIVE
from auth_service.refresh_tokens import RefreshToken
from auth_service.scopes import FIRST_PARTY_CLIENT, grant_scopes

log = structlog.get_logger(__name__)

_LOCK_ACTIVE_USER = (
    select(User.id).where(User.id == bindparam("user_id"), User.status == ACTIVE).with_for_update(read=True)
)
_FIND_SESSION = select(
    Session.user_id, Session.client_id, Session.audience, Session.auth_time, Session.absolute_expires_at
).where(Session.id == bindparam("session_id"))
_FIND_CURRENT = select(Session.id).where(
    Session.id == bindparam("session_id"), Session.refresh_token_hash == bindparam("digest")
)
_ROTATE = (
    update(Session)
    .where(
        Session.id == bindparam("session_id"),
        Session.refresh_token_hash == bindparam("presented"),
        Session.revoked_at.is_(None),
        Session.idle_expires_at > bindparam("now"),
        Session.absolute_expires_at > bindparam("now"),
    )
    .values(
        refresh_token_hash=bindparam("successor"),
        last_used_at=bindparam("now"),
        idle_expires_at=bindparam("idle_until"),
    )
)
_REVOKE = (
    update(Session)
    .where(Session.id == bindparam("session_id"), Session.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"), revoke_reason=bindparam("reason"))
)


@dataclass(frozen=True)
class TokenPair:
    """What a client holds; both durations are seconds from now."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    scope: str


@dataclass(frozen=True)
class _Grant:
    """What a session lets its tokens say."""

    session_id: UUID
    user_id: UUID
    client_id: str
    audience: str
    auth_time: datetime


def open_session(deps: Dependencies, session: DatabaseSession, user_id: UUID, audience: str) -> TokenPair | None:
    """Add a session and return its tokens, None if the user is not active any more; the caller commits."""
    if not _lock_active_user(session, user_id):
        return None
    now = deps.clock()
    grant = _Grant(new_id(), user_id, FIRST_PARTY_CLIENT, audience, now)
    token = RefreshToken.new(grant.session_id)
    idle_until = now + deps.refresh_idle_ttl
    session.add(
        Session(
            id=grant.session_id,
            user_id=user_id,
            client_id=grant.client_id,
            audience=audience,
            auth_time=now,
            refresh_token_hash=token.digest,
            last_used_at=now,
            idle_expires_at=idle_until,
            absolute_expires_at=now + deps.refresh_absolute_ttl,
        )
    )
    return _issue(deps, grant, token, idle_until - now)


def rotate_session(deps: Dependencies, token: RefreshToken, audience: str | None, session: WriteSession) -> TokenPair:
    """Replace the refresh token by a new one and commit. Raises InvalidGrant and changes nothing otherwise."""
    found = session.execute(_FIND_SESSION, {"session_id": token.session_id}).one_or_none()
    if found is None or not _lock_active_user(session, found.user_id):
        raise InvalidGrant
    now = deps.clock()
    idle_until = min(now + deps.refresh_idle_ttl, found.absolute_expires_at)
    successor = RefreshToken.new(token.session_id)
    rotated = _run(
        session,
        _ROTATE,
        {
            "session_id": token.session_id,
            "presented": token.digest,
            "successor": successor.digest,
            "now": now,
            "idle_until": idle_until,
        },
    )
    if rotated != 1:
        log.info("refresh_refused", session_id=str(token.session_id))
        raise InvalidGrant
    grant = _Grant(token.session_id, found.user_id, found.client_id, audience or found.audience, found.auth_time)
    tokens = _issue(deps, grant, successor, idle_until - now)
    session.commit()
    return tokens


def log_out(deps: Dependencies, session_id: UUID) -> None:
    """End the session; one that has ended, or is not there any more, stays as it is."""
    run_write(deps.database, lambda session: _revoke(deps, session, session_id))


def log_out_with_refresh_token(deps: Dependencies, refresh_token: str) -> None:
    """End the session whose current refresh token this is, also if it has ended. Raises InvalidGrant for any other."""
    token = RefreshToken.parse(refresh_token)
    if token is None:
        raise InvalidGrant
    presented = {"session_id": token.session_id, "digest": token.digest}
    with deps.database.read() as session:
        if session.execute(_FIND_CURRENT, presented).one_or_none() is None:
            raise InvalidGrant
    log_out(deps, token.session_id)


def _lock_active_user(session: DatabaseSession, user_id: UUID) -> bool:
    """Keep the user's row as it is until the commit, and say whether it is active."""
    return session.execute(_LOCK_ACTIVE_USER, {"user_id": user_id}).one_or_none() is not None


def _revoke(deps: Dependencies, session: WriteSession, session_id: UUID) -> None:
    revoked = _run(session, _REVOKE, {"session_id": session_id, "now": deps.clock(), "reason": LOGGED_OUT})
    session.commit()
    if revoked:
        log.info("session_logout", session_id=str(session_id))


def _run(session: DatabaseSession, statement: Update, values: dict[str, object]) -> int:
    """Run an UPDATE and return how many rows it met."""
    result = session.execute(statement, values, execution_options={"synchronize_session": False})
    return cast("CursorResult[object]", result).rowcount


def _issue(deps: Dependencies, grant: _Grant, refresh_token: RefreshToken, idle_for: timedelta) -> TokenPair:
    scopes = grant_scopes(grant.audience)
    access_token = deps.token_issuer.issue(
        grant.user_id,
        audience=grant.audience,
        scopes=scopes,
        client_id=grant.client_id,
        session_id=grant.session_id,
        auth_time=grant.auth_time,
    )
    return TokenPair(
        access_token=access_token,
        expires_in=deps.token_issuer.ttl_seconds,
        refresh_token=str(refresh_token),
        refresh_expires_in=int(idle_for.total_seconds()),
        scope=" ".join(sorted(scopes)),
    )
