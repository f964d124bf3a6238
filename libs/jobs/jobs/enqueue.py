"""Accepting a job: the row and nothing else, in the transaction of the business rows it belongs to."""

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from common.ids import new_id
from pydantic import BaseModel
from sqlalchemy import Table, bindparam, func, select
from sqlalchemy.orm import Session

from jobs.database_time import database_time
from jobs.errors import IdempotencyKeyRequired, PayloadTooLarge, TooManyJobs
from jobs.kinds import Declaration, Kind
from jobs.models.job import Job
from jobs.states import JobState

MAX_PAYLOAD_BYTES = 64 * 1024
RETRY_AFTER_SECONDS = 60.0
"""When an owner with too many jobs may try again: some of them may have ended by then."""


def enqueue(
    session: Session,
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
) -> Job:
    """Add a queued job to the session and return it; it is accepted when the caller commits.

    The job starts no earlier than `delay_seconds` from now and fails when it is not done `deadline_seconds` from now.
    Among jobs due at once a higher `priority` is handed out first. Raises PayloadTooLarge over 64 KiB of JSON,
    IdempotencyKeyRequired for a kind with effects outside the database and no key, TypeError for a payload of another
    shape. A second job with the same owner, kind and `idempotency_key` raises IntegrityError at the flush.

    With `max_unfinished` an owner who has that many queued and running jobs gets TooManyJobs. Requests at the same
    moment do not see each other, so there may be as many more as there are requests of one owner at once.
    `job_id` is for who had to know the id before.
    """
    declared = kind.declaration if isinstance(kind, Kind) else kind
    _check(declared, payload, idempotency_key)
    now = _look(session, owner_id, max_unfinished)
    job = Job(
        id=job_id or new_id(),
        owner_id=owner_id,
        kind=declared.name,
        kind_version=declared.version,
        queue=declared.queue,
        max_attempts=declared.max_attempts,
        payload=_stored(payload),
        idempotency_key=idempotency_key,
        request_hash=request_hash,
        traceparent=traceparent,
        priority=priority,
        run_after=now + timedelta(seconds=delay_seconds),
        deadline_at=None if deadline_seconds is None else now + timedelta(seconds=deadline_seconds),
        created_at=now,
    )
    session.add(job)
    return job


def _check(declared: Declaration, payload: BaseModel, idempotency_key: str | None) -> None:
    if not isinstance(payload, declared.payload):
        raise TypeError(f"{declared.name} takes a {declared.payload.__name__}, not a {type(payload).__name__}")
    if declared.needs_idempotency_key and not idempotency_key:
        raise IdempotencyKeyRequired(declared.name)


# Made once, of columns instead of the model, as each job that is accepted asks one of them.
_row = cast("Table", Job.__table__).c
_NOW = select(database_time())
_UNFINISHED = (
    select(_row.id)
    .where(_row.state.in_([JobState.QUEUED, JobState.RUNNING]), _row.owner_id == bindparam("owner_id"))
    .limit(bindparam("at_most"))
    .subquery()
)
_NOW_AND_UNFINISHED = select(database_time(), select(func.count()).select_from(_UNFINISHED).scalar_subquery())


def _look(session: Session, owner_id: UUID, max_unfinished: int | None) -> datetime:
    """The database's time; raises TooManyJobs. One round trip, which reads no more of the index than it has to."""
    if max_unfinished is None:
        return session.scalars(_NOW).one()
    now: datetime
    now, count = session.execute(_NOW_AND_UNFINISHED, {"owner_id": owner_id, "at_most": max_unfinished}).one()
    if count >= max_unfinished:
        raise TooManyJobs(max_unfinished, RETRY_AFTER_SECONDS)
    return now


def _stored(payload: BaseModel) -> dict[str, Any]:
    size = len(payload.model_dump_json().encode())
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(f"The job's payload has {size} bytes; at most {MAX_PAYLOAD_BYTES} are allowed.")
    return payload.model_dump(mode="json")
