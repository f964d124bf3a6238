"""What an import is told, what it answers, and what it needs from the job that runs it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from jobs.kinds import BULK_QUEUE, job_kind
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

ERRORS_FILE = "errors.csv"
"""The job's file of rejected rows."""


class OnConflict(StrEnum):
    """What happens to a row whose external_id one of the owner's live contacts already has."""

    SKIP = "skip"
    UPDATE = "update"
    ERROR = "error"


class ImportPayload(BaseModel):
    """The job's payload: which stored file becomes contacts, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file_id: UUID
    mapping: dict[str, str | None] = Field(default_factory=dict)
    """Column to field; None ignores a column that would map itself."""
    on_conflict: OnConflict = OnConflict.ERROR
    max_bytes: int = Field(gt=0)
    """The limit the upload was accepted under; unpacked it may be ten times as long."""


CONTACTS_IMPORT = job_kind(
    "contacts.import",
    1,
    payload=ImportPayload,
    queue=BULK_QUEUE,
    # A file of the largest size, on a slow database; it goes on from its checkpoint even then.
    soft_limit=3600,
    hard_limit=3660,
)
"""The kind of the job, declared for those who enqueue it and those who run it."""


class ImportResult(BaseModel):
    """The counts of a finished import: rows = created + updated + skipped + rejected."""

    model_config = ConfigDict(frozen=True)

    rows: int = 0
    created: int = 0
    updated: int = 0
    skipped: int = 0
    rejected: int = 0
    ignored_columns: list[str] = []


class ImportStep(Protocol):
    """One transaction of the job: contacts, rejected rows and progress commit together or not at all."""

    @property
    def session(self) -> Session:
        """The session whose transaction this is; the job commits it."""
        ...

    def save(self, checkpoint: dict[str, Any], *, done: int, total: int, unit: str) -> None:
        """Remember where to go on, and how far the job is."""
        ...

    def append_file(self, name: str, data: bytes) -> None:
        """Append to the job's file of that name, made when it is first written."""
        ...


OpenStep = Callable[[], AbstractContextManager[ImportStep]]
"""Opens a step: commits when the block ends, rolls back when it raises."""
