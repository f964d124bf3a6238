"""The audit trail: events are rows of the transaction they belong to, and lines of the log once it is committed."""

import logging
from dataclasses import dataclass
from uuid import UUID

import structlog
from common.clock import Clock
from common.db import WriteSession
from common.ids import new_id
from sqlalchemy import event as database_events
from sqlalchemy import insert
from sqlalchemy.orm import Session as DatabaseSession

from auth_service.client import Client
from auth_service.models import AuditEvent

log = structlog.get_logger(__name__)

# Names of OWASP's logging vocabulary, and ours where it has none.
USER_CREATED = "user_created"
LOGIN_SUCCEEDED = "authn_login_success"
SESSION_CREATED = "session_created"
SESSION_ENDED = "session_logout"
SESSION_END_REQUESTED = "session_end_requested"  # by another session than the one that ends, or by one for all
TOKEN_REVOKED = "authn_token_revoked"  # noqa: S105 - the name of an event
TOKEN_REUSED = "authn_token_reuse"  # noqa: S105 - as above
REFRESH_RETRIED = "refresh_retry"

_MAX_NAME_LENGTH = 64
_PENDING = "audit_lines"
_INSERT = insert(AuditEvent)


@dataclass(frozen=True)
class Event:
    """What happened to the user `subject_id`, who did it themselves unless `by_unknown`.

    That is where a token was presented and whether by its owner or by a thief is the very question.
    """

    name: str
    subject_id: UUID
    session_id: UUID | None = None
    client_id: str | None = None
    jti: str | None = None
    reason: str | None = None
    outcome: str = "success"
    by_unknown: bool = False
    level: int = logging.INFO


class AuditTrail:
    """Writes the events of one service; `service` and `version` say which build of which."""

    def __init__(self, service: str, version: str, clock: Clock) -> None:
        self._clock = clock
        self._common = {"service": service[:_MAX_NAME_LENGTH], "version": version[:_MAX_NAME_LENGTH]}

    def record(self, session: WriteSession, client: Client, *events: Event) -> None:
        """Add the events to the transaction, in one statement; they are logged when it commits, and only then."""
        rows = [self._row(client, event) for event in events]
        session.execute(_INSERT, rows)
        lines = [(event.level, row) for event, row in zip(events, rows, strict=True)]
        session.info.setdefault(_PENDING, []).extend(lines)

    def _row(self, client: Client, event: Event) -> dict[str, object]:
        return {
            "id": new_id(),
            "at": self._clock(),
            "event": event.name,
            "outcome": event.outcome,
            "reason": event.reason,
            "actor_type": "unknown" if event.by_unknown else "user",
            "actor_id": None if event.by_unknown else str(event.subject_id),
            "subject_id": event.subject_id,
            "client_id": event.client_id,
            "session_id": event.session_id,
            "jti": event.jti,
            "kid": None,
            "ip": client.ip,
            "user_agent_digest": client.user_agent_digest,
            "trace_id": client.trace_id,
            **self._common,
        }


@database_events.listens_for(WriteSession, "after_commit")
def _log_committed(session: DatabaseSession) -> None:
    if session.in_nested_transaction():
        return  # a savepoint was released: the transaction may still be rolled back
    for level, row in session.info.pop(_PENDING, ()):
        log.log(level, row["event"], **_fields_of(row))


@database_events.listens_for(WriteSession, "after_rollback")
def _forget_rolled_back(session: DatabaseSession) -> None:
    session.info.pop(_PENDING, None)


def _fields_of(row: dict[str, object]) -> dict[str, str]:
    """The row as fields of a line, which has a name, a time and a service of its own."""
    own = {"event", "at", "service"}
    return {name: str(value) for name, value in row.items() if value is not None and name not in own}
