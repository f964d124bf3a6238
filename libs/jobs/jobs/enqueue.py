"""Accepting a job: one INSERT and nothing else, in the transaction of the business rows it belongs to.

A job that is all there is to write needs no transaction: `run_statement` saves the round trips of BEGIN and COMMIT.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from common.db.prepared import Prepared
from common.ids import new_id
from pydantic import BaseModel
from sqlalchemy import Connection, Double, Table, Text, bindparam, func, insert, literal_column, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.database_time import database_time, read_reported_time, reported_time
from jobs.errors import IdempotencyKeyRequired, PayloadTooLarge, TooManyJobs
from jobs.kinds import Declaration, Kind
from jobs.models.job import Job
from jobs.states import JobState

MAX_PAYLOAD_BYTES = 64 * 1024
RETRY_AFTER_SECONDS = 60.0
"""When an owner with too many jobs may try again: some of them may have ended by then."""


@dataclass(frozen=True)
class AcceptedJob:
    """A job that is queued as soon as the caller commits, as far as it is not what the caller said it is."""

    id: UUID
    kind: str
    created_at: datetime


def enqueue(
    session: Session | Connection,
    *,
    owner_id: UUID,
    kind: Declaration | Kind,
    payload: BaseModel,
    idempotency_key: str | None = None,
    request_hash: str | None = None,
    traceparent: str | None = None,
    delay_seconds: float = 0,
    deadline_seconds: float | None = None,
    priority: int = 0,
    max_unfinished: int | None = None,
    job_id: UUID | None = None,
) -> AcceptedJob:
    """Write a queued job at once and return it; it is accepted when the caller commits.

    On a connection of `run_statement`, which has no transaction, it is accepted at once.

    The job starts no earlier than `delay_seconds` from now and fails when it is not done `deadline_seconds` from now.
    Among jobs due at once a higher `priority` is handed out first. Raises PayloadTooLarge over 64 KiB of JSON,
    IdempotencyKeyRequired for a kind with effects outside the database and no key, TypeError for a payload of another
    shape. A second job with the same owner, kind and `idempotency_key` raises IntegrityError here, not at the commit.

    With `max_unfinished` an owner who has that many queued and running jobs gets TooManyJobs. Requests at the same
    moment do not see each other, so there may be as many more as there are requests of one owner at once.
    `job_id` is for who had to know the id before: where it was accepted already, because the answer of an earlier try
    was lost, that job is returned and nothing is written.
    """
    declared = kind.declaration if isinstance(kind, Kind) else kind
    _check(declared, payload, idempotency_key)
    accepted_id = job_id or new_id()
    values = {
        "id": accepted_id,
        "owner_id": owner_id,
        "kind": declared.name,
        "kind_version": declared.version,
        "queue": declared.queue,
        "max_attempts": declared.max_attempts,
        "payload": _stored(payload),
        "idempotency_key": idempotency_key,
        "request_hash": request_hash,
        "traceparent": traceparent,
        "priority": priority,
        "delay_seconds": delay_seconds,
        "deadline_seconds": deadline_seconds,
        "max_unfinished": max_unfinished,
    }
    # By the connection: the session would look for mappers first, and for objects the statement might change.
    connection = session.connection() if isinstance(session, Session) else session
    created_at = _insert(connection, values) if job_id is None else _insert_once(connection, values)
    if created_at is None:
        raise TooManyJobs(cast("int", max_unfinished), RETRY_AFTER_SECONDS)
    return AcceptedJob(accepted_id, declared.name, created_at)


def _check(declared: Declaration, payload: BaseModel, idempotency_key: str | None) -> None:
    if not isinstance(payload, declared.payload):
        raise TypeError(f"{declared.name} takes a {declared.payload.__name__}, not a {type(payload).__name__}")
    if declared.needs_idempotency_key and not idempotency_key:
        raise IdempotencyKeyRequired(declared.name)


def _stored(payload: BaseModel) -> str:
    text = payload.model_dump_json()
    size = len(text.encode())
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(f"The job's payload has {size} bytes; at most {MAX_PAYLOAD_BYTES} are allowed.")
    return text


def _insert(connection: Connection, values: dict[str, Any]) -> datetime | None:
    """Write the row and return when that was by the database's clock; None where its owner has too many jobs."""
    if connection.dialect.name == "sqlite":
        return read_reported_time(connection.execute(_RETURNING, values))
    return read_reported_time(_PREPARED.execute(connection, values))


def _insert_once(connection: Connection, values: dict[str, Any]) -> datetime | None:
    """As `_insert`; where the row is there already, as it counts among those of its owner, when it was written."""
    try:
        created_at = _insert(connection, values)
    except IntegrityError:
        if (before := _written_before(connection, values)) is None:
            raise  # its idempotency key is that of another job
        return before
    return created_at or _written_before(connection, values)


def _written_before(connection: Connection, values: dict[str, Any]) -> datetime | None:
    same = (_row[name] == values[name] for name in ("id", "owner_id", "kind"))
    return connection.scalars(select(_row.created_at).where(*same)).first()


# Made once, of columns instead of the model: made for each job, it would take longer than the database does. The limit
# is part of the statement, and so is the clock, because asking for them first would be a round trip of its own.
_jobs = cast("Table", Job.__table__)
_row = _jobs.c
_owner = bindparam("owner_id", type_=_row.owner_id.type)
_limit = bindparam("max_unfinished", type_=_row.priority.type)
_unfinished = (
    select(func.count())
    .select_from(_jobs)
    # Left alone, MySQL reads the owner's whole list, or every waiting job there is: both may be a million rows.
    .prefix_with("/*+ INDEX(jobs ix_jobs_state_owner_id) */", dialect="mysql")
    .where(or_(_row.state == JobState.QUEUED, _row.state == JobState.RUNNING), _row.owner_id == _owner)
    .correlate(None)
    .scalar_subquery()
)
_AS_GIVEN = (
    "id",
    "kind",
    "kind_version",
    "queue",
    "max_attempts",
    "idempotency_key",
    "request_hash",
    "traceparent",
    "priority",
)
_VALUES = {name: bindparam(name, type_=_row[name].type) for name in _AS_GIVEN} | {
    "owner_id": _owner,
    "payload": bindparam("payload", type_=Text()),  # JSON already
    "run_after": database_time(bindparam("delay_seconds", type_=Double())),
    "deadline_at": database_time(bindparam("deadline_seconds", type_=Double())),
    "created_at": reported_time(),
}
# What every job begins with, as text: defaults of the model would be worked out for each.
_AT_FIRST = {
    "state": JobState.QUEUED.value,
    "attempt": 0,
    "crash_count": 0,
    "fence": 0,
    "dispatch_count": 0,
    "redrive_count": 0,
}
_COLUMNS = _VALUES | {name: literal_column(repr(value), _row[name].type) for name, value in _AT_FIRST.items()}
# READ COMMITTED lets MySQL read the others' rows for this without locking them.
_INSERT = insert(_jobs).from_select(
    list(_COLUMNS),
    select(*_COLUMNS.values()).where(or_(_limit.is_(None), _unfinished < _limit)),
    include_defaults=False,
)
_PREPARED = Prepared(_INSERT)
_RETURNING = _INSERT.returning(_row.created_at)
