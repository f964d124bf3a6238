"""Accepting an import: checked as far as its first part shows, stored, and queued as a job."""

from typing import BinaryIO
from uuid import UUID

from common.ids import new_id
from contacts.imports import CONTACTS_IMPORT, HEAD_BYTES, ImportPayload, OnConflict, read_head, read_plan
from jobs.enqueue import AcceptedJob, enqueue
from sqlalchemy.orm import Session

from api_service.job_store import JobStore

UPLOAD_FILE = "upload"  # never the client's own name for it: that may be errors.csv, which the job writes


def check_upload(file: BinaryIO, mapping: dict[str, str | None]) -> None:
    """Refuse what no row could be imported from. Raises a subclass of ImportRefused."""
    read_plan(read_head(file, HEAD_BYTES), mapping)


def start_import(
    session: Session,
    store: JobStore,
    *,
    owner_id: UUID,
    file: BinaryIO,
    content_type: str,
    mapping: dict[str, str | None],
    on_conflict: OnConflict,
    max_bytes: int,
    traceparent: str | None = None,
) -> AcceptedJob:
    """Store the file, queue the job that imports it, commit both at once, and return the job.

    Raises FileTooLarge for more than `max_bytes`, and TooManyJobs.
    """
    file.seek(0)
    payload = ImportPayload(file_id=new_id(), mapping=mapping, on_conflict=on_conflict, max_bytes=max_bytes)
    # Before the file is written: who may have no more jobs cannot fill the disk with files of none.
    job = enqueue(
        session,
        owner_id=owner_id,
        kind=CONTACTS_IMPORT,
        payload=payload,
        traceparent=traceparent,
        max_unfinished=store.max_unfinished,
    )
    store.files.save(
        session,
        owner_id=owner_id,
        name=UPLOAD_FILE,
        content_type=content_type,
        stream=file,
        max_bytes=max_bytes,
        job_id=job.id,
        file_id=payload.file_id,
    )
    session.commit()
    return job
