"""What a client gets for a session: opened by a login, and issued anew by each refresh."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.db import WriteSession
from common.ids import new_id

from auth_service.client import Client
from auth_service.dependencies import Dependencies
from auth_service.models import Session
from auth_service.refresh_tokens import SALT_BYTES, derive_refresh_token
from auth_service.scopes import FIRST_PARTY_CLIENT, grant_scopes
from auth_service.use_cases.locks import LockedUser


@dataclass(frozen=True)
class TokenPair:
    """What a client holds; both durations are seconds from now."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    scope: str


@dataclass(frozen=True)
class Grant:
    """What a session lets its tokens say."""

    session_id: UUID
    user_id: UUID
    client_id: str
    audience: str
    auth_time: datetime


def open_session(
    deps: Dependencies, session: WriteSession, client: Client, user: LockedUser, audience: str
) -> tuple[Grant, TokenPair]:
    """Add a session and return its tokens; the caller commits, and has seen that the user may have one."""
    now = deps.clock()
    grant = Grant(new_id(), user.id, FIRST_PARTY_CLIENT, audience, now)
    salt = secrets.token_bytes(SALT_BYTES)
    session.add(
        Session(
            id=grant.session_id,
            user_id=user.id,
            client_id=grant.client_id,
            audience=audience,
            auth_time=now,
            epoch=user.session_epoch,
            salt=salt,
            generation=0,
            last_used_at=now,
            idle_expires_at=now + deps.refresh_idle_ttl,
            absolute_expires_at=now + deps.refresh_absolute_ttl,
            ip=client.ip,
            device_label=client.device_label,
        )
    )
    token = derive_refresh_token(deps.refresh_keys.refresh_key(), grant.session_id, 0, salt)
    return grant, issue_tokens(deps, grant, token, deps.refresh_idle_ttl)


def issue_tokens(deps: Dependencies, grant: Grant, refresh_token: str, idle_for: timedelta) -> TokenPair:
    """Return the refresh token beside a new access token."""
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
        refresh_token=refresh_token,
        refresh_expires_in=int(idle_for.total_seconds()),
        scope=" ".join(sorted(scopes)),
    )
