"""Refreshing: a refresh token is exchanged for its successor, and one that comes too late gives a theft away.

Whoever presents the current token, or for a moment the one before it, gets the same successor. If each got one of
their own, a quick thief would keep a chain beside the owner's unseen. So thief and owner hold the same next token, and
the one who comes second with it ends the session.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from common.db import WriteSession, run_write
from sqlalchemy import bindparam, select, update

from auth_service.audit import REFRESH_RETRIED, TOKEN_REUSED, Event
from auth_service.client import Client, is_same_origin
from auth_service.dependencies import Dependencies
from auth_service.errors import InvalidGrant
from auth_service.metrics import refresh_retries, refresh_reuses
from auth_service.models import Session
from auth_service.models.session import REUSED
from auth_service.refresh_tokens import MAX_GENERATION, derive_refresh_token
from auth_service.scopes import FIRST_PARTY_CLIENT
from auth_service.use_cases.endings import Ending, end_session, run_update
from auth_service.use_cases.locks import share_user
from auth_service.use_cases.proofs import SessionProof, prove_session
from auth_service.use_cases.tokens import Grant, TokenPair, issue_tokens

log = structlog.get_logger(__name__)

_LOCK_SESSION = (
    select(
        Session.generation,
        Session.epoch,
        Session.rotated_at,
        Session.idle_expires_at,
        Session.revoked_at,
        Session.ip,
        Session.device_label,
    )
    .where(Session.id == bindparam("session_id"))
    .with_for_update()
)
_ROTATE = (
    update(Session)
    .where(Session.id == bindparam("session_id"), Session.generation == bindparam("presented"))
    .values(
        generation=bindparam("successor"),
        rotated_at=bindparam("now"),
        last_used_at=bindparam("now"),
        idle_expires_at=bindparam("idle_until"),
        ip=bindparam("ip"),
        device_label=bindparam("device_label"),
    )
)


@dataclass(frozen=True)
class _State:
    """The session's row, locked until the commit."""

    generation: int
    epoch: int
    rotated_at: datetime | None
    idle_expires_at: datetime
    revoked_at: datetime | None
    ip: str | None
    device_label: str | None


@dataclass(frozen=True)
class _Outcome:
    """`tokens` is None where the session was ended; `retry_origin` is `same` or `other` for a repeated refresh."""

    tokens: TokenPair | None
    retry_origin: str | None = None


def refresh(deps: Dependencies, client: Client, *, refresh_token: str, audience: str | None) -> TokenPair:
    """Return new tokens of the session, for its own audience unless another is named; the old refresh token is used up.

    Presented again within `deps.refresh_grace` of its use it gives the same successor, because the answer to the first
    may have been lost. Later, or with an older one, the session ends. Raises InvalidGrant, whatever the reason.
    """
    proof = prove_session(deps, refresh_token, FIRST_PARTY_CLIENT)
    wanted = proof if audience is None else replace(proof, audience=audience)
    outcome = run_write(deps.database, partial(_refresh, deps, client, wanted))
    if outcome.retry_origin is not None:
        refresh_retries.labels(outcome.retry_origin).inc()
    if outcome.tokens is None:
        refresh_reuses.inc()
        deps.publisher.publish([proof.session_id])
        raise InvalidGrant
    return outcome.tokens


def _refresh(deps: Dependencies, client: Client, proof: SessionProof, session: WriteSession) -> _Outcome:
    state = _lock_live(deps, session, proof)
    if proof.generation == state.generation == MAX_GENERATION:
        raise _refusal(proof.session_id, "last_generation")  # one a second for 136 years
    if proof.generation == state.generation:
        outcome = _rotate(deps, session, client, proof)
    elif proof.generation == state.generation - 1 and _is_within_grace(deps, state):
        outcome = _retry(deps, session, client, proof, state)
    elif proof.generation < state.generation:
        outcome = _end_reused(deps, session, client, proof)
    else:
        # Genuine, and from the future: the database was put back to an earlier day. Nobody stole anything.
        raise _refusal(proof.session_id, "ahead_of_database")
    session.commit()
    return outcome


def _lock_live(deps: Dependencies, session: WriteSession, proof: SessionProof) -> _State:
    """Lock user and session. Raises InvalidGrant if the session is over, and that comes before any alarm."""
    user = share_user(session, proof.user_id)
    row = session.execute(_LOCK_SESSION, {"session_id": proof.session_id}).one_or_none()
    if user is None or row is None:
        raise _refusal(proof.session_id, "gone")
    state = _State(*row)
    now = deps.clock()
    if state.revoked_at is not None or state.epoch != user.session_epoch:
        raise _refusal(proof.session_id, "revoked")
    if not user.is_active:
        raise _refusal(proof.session_id, "user_not_active")
    if min(state.idle_expires_at, proof.absolute_expires_at) <= now:
        raise _refusal(proof.session_id, "expired")
    return state


def _is_within_grace(deps: Dependencies, state: _State) -> bool:
    if state.rotated_at is None:
        return False
    # Another machine's clock may be ahead of this one.
    return max(deps.clock() - state.rotated_at, timedelta()) < deps.refresh_grace


def _rotate(deps: Dependencies, session: WriteSession, client: Client, proof: SessionProof) -> _Outcome:
    now = deps.clock()
    idle_until = min(now + deps.refresh_idle_ttl, proof.absolute_expires_at)
    values = {
        "session_id": proof.session_id,
        "presented": proof.generation,
        "successor": proof.generation + 1,
        "now": now,
        "idle_until": idle_until,
        "ip": client.ip,
        "device_label": client.device_label,
    }
    if run_update(session, _ROTATE, values) != 1:
        raise _refusal(proof.session_id, "lost_race")  # the row is locked: only where a lock is none
    return _Outcome(_successor(deps, proof, proof.generation + 1, idle_until - now))


def _retry(deps: Dependencies, session: WriteSession, client: Client, proof: SessionProof, state: _State) -> _Outcome:
    """Give the current token once more.

    From another program or network it may be a thief who hits the moment, so a warning goes out that an alert watches.
    The session stays: phones change networks just when answers get lost, and would be logged out for it.
    """
    origin = "same" if is_same_origin(client, ip=state.ip, device_label=state.device_label) else "other"
    retried = Event(
        REFRESH_RETRIED,
        proof.user_id,
        proof.session_id,
        client_id=proof.client_id,
        reason=f"{origin}_origin",
        by_unknown=True,
        level=logging.INFO if origin == "same" else logging.WARNING,
    )
    deps.audit.record(session, client, retried)
    tokens = _successor(deps, proof, state.generation, state.idle_expires_at - deps.clock())
    return _Outcome(tokens, retry_origin=origin)


def _end_reused(deps: Dependencies, session: WriteSession, client: Client, proof: SessionProof) -> _Outcome:
    """End the session: of two who hold its tokens one is a thief, and nobody can say which."""
    reused = Event(
        TOKEN_REUSED,
        proof.user_id,
        proof.session_id,
        client_id=proof.client_id,
        outcome="failure",
        by_unknown=True,
        level=logging.WARNING,
    )
    ending = Ending(proof.session_id, proof.user_id, REUSED, client_id=proof.client_id, by_unknown=True)
    end_session(deps, session, client, ending, reused)
    return _Outcome(None)


def _successor(deps: Dependencies, proof: SessionProof, generation: int, idle_for: timedelta) -> TokenPair:
    token = derive_refresh_token(deps.refresh_keys.refresh_key(), proof.session_id, generation, proof.salt)
    grant = Grant(proof.session_id, proof.user_id, proof.client_id, proof.audience, proof.auth_time)
    return issue_tokens(deps, grant, token, idle_for)


def _refusal(session_id: UUID, reason: str) -> InvalidGrant:
    """The client never learns the reason; the log does."""
    log.info("refresh_refused", session_id=str(session_id), reason=reason)
    return InvalidGrant()
