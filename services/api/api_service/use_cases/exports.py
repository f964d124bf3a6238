"""Accepting an export: nothing is read yet, a job is queued."""

from uuid import UUID

from contacts.exports import CONTACTS_EXPORT, ExportPayload
from jobs.enqueue import AcceptedJob, enqueue
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from api_service.job_store import JobStore


def start_export(
    session: Session | Connection,
    store: JobStore,
    *,
    job_id: UUID,
    owner_id: UUID,
    payload: ExportPayload,
    traceparent: str | None = None,
) -> AcceptedJob:
    """Queue the job that writes the file, commit, and return the job. Raises TooManyJobs.

    It is one statement, and one that finds what it did before: again with the same `job_id` it changes nothing.
    """
    job = enqueue(
        session,
        job_id=job_id,
        owner_id=owner_id,
        kind=CONTACTS_EXPORT,
        payload=payload,
        traceparent=traceparent,
        max_unfinished=store.max_unfinished,
    )
    session.commit()
    return job
