"""What the api shows of a job beyond its row."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from contacts.exports import CONTACTS_EXPORT, CONTENT_TYPES, ExportFormat, file_name
from contacts.imports import CONTACTS_IMPORT, ERRORS_FILE, result_so_far
from jobs.files import FileStore, JobFile
from jobs.models import Job
from jobs.states import JobState
from jobs.use_cases.jobs import get_job
from sqlalchemy import select
from sqlalchemy.orm import Session

from api_service.errors import ErrorsNotFound, ResultNotFound


def find_errors(session: Session, owner_id: UUID, job_id: UUID) -> JobFile:
    """Return the file of the rows the owner's job rejected. Raises JobNotFound, ErrorsNotFound."""
    job = get_job(session, owner_id, job_id)
    errors = FileStore().find(session, job.id, ERRORS_FILE)
    if errors is None:
        raise ErrorsNotFound("This job has rejected no rows.")
    return errors


def has_result_file(job: Job) -> bool:
    """Whether the job has written a file, all of it: half of one looks like a whole one."""
    return job.kind == CONTACTS_EXPORT.name and job.state is JobState.SUCCEEDED


def find_result(session: Session, owner_id: UUID, job_id: UUID) -> tuple[JobFile, str]:
    """Return the file the owner's job was there to write, and its content type. Raises JobNotFound, ResultNotFound."""
    job = get_job(session, owner_id, job_id)
    if not has_result_file(job) or job.result is None:
        raise ResultNotFound("This job has no file to send: it is not done, has failed, or writes none.")
    file_format = ExportFormat(job.result["format"])
    file = FileStore().find(session, job.id, file_name(file_format))
    if file is None:
        raise ResultNotFound("The file of this job is gone.")
    return file, CONTENT_TYPES[file_format]


def results_so_far(session: Session, jobs: Iterable[Job]) -> dict[UUID, dict[str, Any]]:
    """Return what those of the imports that ended too early had done by then: the counts of all they committed.

    One query at most, and none where there is no such import: `list_jobs` leaves the checkpoints behind.
    """
    ended_early = [job.id for job in jobs if job.kind == CONTACTS_IMPORT.name and _ended_early(job)]
    if not ended_early:
        return {}
    found = session.execute(select(Job.id, Job.checkpoint).where(Job.id.in_(ended_early)))
    return {job_id: result_so_far(checkpoint).model_dump() for job_id, checkpoint in found if checkpoint}


def _ended_early(job: Job) -> bool:
    return job.state.is_final and job.result is None
