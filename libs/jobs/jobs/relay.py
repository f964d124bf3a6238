"""A job in one store that puts a job into another: exactly one, however often the first is attempted."""

from typing import Any
from uuid import UUID

from common.db import Database
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from jobs.enqueue import enqueue
from jobs.kinds import Declaration, Kind
from jobs.models.job import Job


def enqueue_once(
    database: Database, *, owner_id: UUID, kind: Declaration | Kind, idempotency_key: str, **options: Any
) -> UUID:
    """Accept the job if its key is new, commit, and return its id; of a known key, the id of the job that has it.

    Options are those of `enqueue`. One key makes one job for as long as the job is kept.
    """
    try:
        with database.write() as session:
            job = enqueue(session, owner_id=owner_id, kind=kind, idempotency_key=idempotency_key, **options)
            session.commit()
            return job.id
    except IntegrityError:
        known = (Job.owner_id == owner_id, Job.kind == kind.name, Job.idempotency_key == idempotency_key)
        with database.read() as session:
            found = session.scalars(select(Job.id).where(*known)).one_or_none()
        if found is None:
            raise
        return found
