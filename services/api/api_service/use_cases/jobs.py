"""What the api shows of a job beyond its row."""

from uuid import UUID

from contacts.imports import ERRORS_FILE
from jobs.files import FileStore, JobFile
from jobs.use_cases.jobs import get_job
from sqlalchemy.orm import Session

from api_service.errors import ErrorsNotFound


def find_errors(session: Session, owner_id: UUID, job_id: UUID) -> JobFile:
    """Return the file of the rows the owner's job rejected. Raises JobNotFound, ErrorsNotFound."""
    job = get_job(session, owner_id, job_id)
    errors = FileStore().find(session, job.id, ERRORS_FILE)
    if errors is None:
        raise ErrorsNotFound("This job has rejected no rows.")
    return errors
