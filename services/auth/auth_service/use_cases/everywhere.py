"""Logging out everywhere: all sessions of a user end at one moment.

The user's row is held alone meanwhile. A refresh or a login that began before has committed and is found; one that
comes later waits, and finds its session ended or opens one of the next epoch.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from common.db import WriteSession, run_write
from common.jwt import LEEWAY_SECONDS, MAX_LIFETIME_SECONDS
from sqlalchemy import bindparam, select, update

from auth_service.caller import Caller
from auth_service.client import Client
from auth_service.dependencies import Dependencies
from auth_service.errors import AccountGone
from auth_service.models import Session, User
from auth_service.models.session import LOGGED_OUT_EVERYWHERE
from auth_service.use_cases.endings import Ending, request_of, run_update

# A statement with so many ids is still short, and few people have more sessions than that.
CHUNK = 500
_MAX_TOKEN_LIFE = timedelta(seconds=MAX_LIFETIME_SECONDS + LEEWAY_SECONDS)

_RAISE_EPOCH = update(User).where(User.id == bindparam("user_id")).values(session_epoch=User.session_epoch + 1)
# Without locks: nobody else changes them while the user's row is held. Of those that ran out it takes only what an
# access token may have outlived.
_FIND_LIVE = select(Session.id).where(
    Session.user_id == bindparam("user_id"),
    Session.revoked_at.is_(None),
    Session.idle_expires_at > bindparam("since"),
)
# By primary key alone. Given `revoked_at IS NULL` too, MySQL may go by that index, through the sessions of others.
_END_ALL = (
    update(Session)
    .where(Session.id.in_(bindparam("session_ids", expanding=True)))
    .values(revoked_at=bindparam("now"), revoke_reason=LOGGED_OUT_EVERYWHERE)
)


def log_out_everywhere(deps: Dependencies, client: Client, caller: Caller) -> None:
    """End every session of the caller. Raises AccountGone."""
    ended = run_write(deps.database, partial(_end_all, deps, client, caller))
    for session_ids in _in_chunks(ended):
        deps.publisher.publish(session_ids)


def _end_all(deps: Dependencies, client: Client, caller: Caller, session: WriteSession) -> Sequence[UUID]:
    if run_update(session, _RAISE_EPOCH, {"user_id": caller.user_id}) != 1:
        raise AccountGone
    now = deps.clock()
    live = session.scalars(_FIND_LIVE, {"user_id": caller.user_id, "since": now - _MAX_TOKEN_LIFE}).all()
    for session_ids in _in_chunks(live):
        run_update(session, _END_ALL, {"session_ids": session_ids, "now": now})
    endings = (_ending_of(session_id, caller).event for session_id in live)
    deps.audit.record(session, client, request_of(caller, LOGGED_OUT_EVERYWHERE), *endings)
    session.commit()
    return live


def _ending_of(session_id: UUID, caller: Caller) -> Ending:
    return Ending(session_id, caller.user_id, LOGGED_OUT_EVERYWHERE, client_id=caller.client_id, jti=caller.jti)


def _in_chunks(session_ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (session_ids[start : start + CHUNK] for start in range(0, len(session_ids), CHUNK))
