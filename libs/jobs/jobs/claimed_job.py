"""What a worker holds of the job it has claimed: as much of the row as running it takes, and no more is read."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from jobs.models.job import Job


@dataclass(frozen=True)
class ClaimedJob:
    """Named like the columns of the row, with their values after the claim."""

    id: UUID
    owner_id: UUID
    kind: str
    kind_version: int
    payload: dict[str, Any]
    max_attempts: int
    progress: dict[str, Any] | None
    checkpoint: dict[str, Any] | None
    traceparent: str | None
    run_after: datetime
    created_at: datetime
    attempt: int
    fence: int
    claimed_at: datetime
    worker: str


_KNOWN = {"id", "attempt", "fence", "claimed_at", "worker"}
"""By the message, or written by the claim itself."""

READ: tuple[ColumnElement[Any], ...] = tuple(
    Job.__table__.c[field.name] for field in fields(ClaimedJob) if field.name not in _KNOWN
)
"""The columns that are to be read: the claim leaves their values as they are."""
