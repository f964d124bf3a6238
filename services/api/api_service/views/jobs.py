"""The shapes of jobs."""

from typing import Any
from uuid import UUID

from common.web.shapes import Timestamp, View
from jobs.states import JobState


class ProgressView(View):
    """How far a job is; `total` null: not known yet."""

    done: int
    total: int | None
    unit: str


class JobErrorView(View):
    """Why the last attempt failed."""

    code: str
    message: str


class JobView(View):
    """A job as its owner sees it."""

    id: UUID
    kind: str
    state: JobState
    progress: ProgressView | None
    attempts: int
    result: dict[str, Any] | None
    """Of an import that failed or was cancelled: what it had done by then."""
    error: JobErrorView | None
    links: dict[str, str]
    """Paths: `self`; until the job has ended `events` and `cancel`; `result` where it wrote a file, `errors` where it
    rejected rows."""
    cancel_requested_at: Timestamp | None
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
