"""Ending a session before its time: its row says when and why, the audit trail who, and every process is told."""

from dataclasses import dataclass
from functools import partial
from typing import cast
from uuid import UUID

from common.db import WriteSession, run_write
from sqlalchemy import CursorResult, Update, bindparam, update

from auth_service.audit import SESSION_END_REQUESTED, SESSION_ENDED, Event
from auth_service.caller import Caller
from auth_service.client import Client
from auth_service.dependencies import Dependencies
from auth_service.models import Session
from auth_service.use_cases.locks import share_user

_END = (
    update(Session)
    .where(Session.id == bindparam("session_id"), Session.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"), revoke_reason=bindparam("reason"))
)


@dataclass(frozen=True)
class Ending:
    """Which session ends and why; `jti` is that of the access token by which it was asked for, if there was one."""

    session_id: UUID
    user_id: UUID
    reason: str
    client_id: str | None = None
    jti: str | None = None
    by_unknown: bool = False

    @property
    def event(self) -> Event:
        """What the audit trail says of it."""
        return Event(
            SESSION_ENDED,
            self.user_id,
            self.session_id,
            client_id=self.client_id,
            jti=self.jti,
            reason=self.reason,
            by_unknown=self.by_unknown,
        )


def request_of(caller: Caller, reason: str) -> Event:
    """The event of a request to end others than the caller's session, or all: it names the caller's."""
    return Event(
        SESSION_END_REQUESTED,
        caller.user_id,
        caller.session_id,
        client_id=caller.client_id,
        jti=caller.jti,
        reason=reason,
    )


def end_and_publish(deps: Dependencies, client: Client, ending: Ending, *causes: Event) -> None:
    """End the session in a transaction of its own; one that has ended, or is not there any more, stays as it is.

    Where the answer to the commit is lost the session may have ended without being published. The reconciler
    (revocations.py) finds it then.
    """
    if run_write(deps.database, partial(_end_alone, deps, client, ending, causes)):
        deps.publisher.publish([ending.session_id])


def end_session(deps: Dependencies, session: WriteSession, client: Client, ending: Ending, *causes: Event) -> bool:
    """End the session and record it after its causes; False, and nothing recorded, if it had ended before.

    The caller holds the user's row, commits, and publishes after that.
    """
    values = {"session_id": ending.session_id, "now": deps.clock(), "reason": ending.reason}
    if run_update(session, _END, values) != 1:
        return False
    deps.audit.record(session, client, *causes, ending.event)
    return True


def run_update(session: WriteSession, statement: Update, values: dict[str, object]) -> int:
    """Run an UPDATE and return how many rows it met."""
    result = session.execute(statement, values, execution_options={"synchronize_session": False})
    return cast("CursorResult[object]", result).rowcount


def _end_alone(
    deps: Dependencies, client: Client, ending: Ending, causes: tuple[Event, ...], session: WriteSession
) -> bool:
    share_user(session, ending.user_id)
    was_live = end_session(deps, session, client, ending, *causes)
    session.commit()
    return was_live
