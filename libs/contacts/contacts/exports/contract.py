"""What an export is told, what it answers, and what it needs from the job that runs it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Protocol

from jobs.kinds import BULK_QUEUE, job_kind
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from contacts.fields import Tag


class ExportFormat(StrEnum):
    """What is written: CSV (RFC 4180) with a header row, or one JSON object a line."""

    CSV = "csv"
    NDJSON = "ndjson"


CONTENT_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8; header=present",  # RFC 4180 section 3
    ExportFormat.NDJSON: "application/x-ndjson",
}


class ContactFilter(BaseModel):
    """Which contacts are meant: those that meet everything that is not None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tag: Tag | None = None


class ExportPayload(BaseModel):
    """The job's payload."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: ExportFormat
    filter: ContactFilter = ContactFilter()


CONTACTS_EXPORT = job_kind(
    "contacts.export",
    1,
    payload=ExportPayload,
    queue=BULK_QUEUE,
    # Millions of contacts, on a slow database; it goes on from its checkpoint even then.
    soft_limit=3600,
    hard_limit=3660,
)
"""The kind of the job, declared for those who enqueue it and those who run it."""


class ExportResult(BaseModel):
    """What a finished export has written."""

    model_config = ConfigDict(frozen=True)

    format: ExportFormat
    rows: int
    bytes: int


def file_name(file_format: ExportFormat) -> str:
    """The name of the job's file."""
    return f"contacts.{file_format}"


class ExportChunk(Protocol):
    """One transaction of the job: a piece of the file and the place behind it commit together or not at all."""

    def save(self, checkpoint: dict[str, Any], *, done: int, total: int | None, unit: str) -> None:
        """Remember where to go on, and how far the job is."""
        ...

    def append_file(self, name: str, data: bytes) -> None:
        """Append to the job's file of that name, made when it is first written."""
        ...


OpenChunk = Callable[[], AbstractContextManager[ExportChunk]]
"""Opens a chunk: commits when the block ends, rolls back when it raises."""

OpenRead = Callable[[], AbstractContextManager[Session]]
"""Opens a session to read with, for the length of one look at the database."""
