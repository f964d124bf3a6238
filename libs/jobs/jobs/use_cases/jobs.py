"""Reading and cancelling jobs. Another owner's job does not exist here."""

from uuid import UUID

from common.db.paging import split_page
from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from jobs import transitions
from jobs.errors import JobNotFound
from jobs.models.job import Job
from jobs.states import JobState


def get_job(session: Session, owner_id: UUID, job_id: UUID) -> Job:
    """Return the owner's job; raises JobNotFound when there is none or it belongs to someone else."""
    job = session.scalars(select(Job).where(Job.id == job_id, Job.owner_id == owner_id)).one_or_none()
    if job is None:
        raise JobNotFound
    return job


def list_jobs(session: Session, owner_id: UUID, limit: int, after: UUID | None) -> tuple[list[Job], UUID | None]:
    """Return up to `limit` jobs of the owner, newest first, and the id to pass as `after` for the next page.

    The second value is None on the last page. Payload and checkpoint are not loaded: they may be 64 KiB each.
    """
    # Ordering by both columns of the index keeps MySQL from walking the primary key instead.
    query = (
        select(Job)
        .where(Job.owner_id == owner_id)
        .order_by(Job.owner_id.desc(), Job.id.desc())
        .options(defer(Job.payload), defer(Job.checkpoint))
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(Job.id < after)
    return split_page(session.scalars(query).all(), limit, lambda job: job.id)


def cancel_job(session: Session, owner_id: UUID, job_id: UUID) -> Job:
    """Cancel a queued job at once, ask a running one to stop, leave a finished one as it is; commits.

    Safe to repeat. A running job stops at its next check after its worker's next heartbeat; until then
    `cancel_requested_at` tells that it was asked. Raises JobNotFound as `get_job` does.
    """
    owned = select(Job).where(Job.id == job_id, Job.owner_id == owner_id)
    # The lock keeps the job from being claimed or requeued between looking and acting (on SQLite the session's is).
    job = session.scalars(owned.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if job is None:
        raise JobNotFound
    if job.state is JobState.QUEUED:
        transitions.cancel_queued(session, job_id)
    elif job.state is JobState.RUNNING:
        transitions.request_cancel(session, job_id)
    session.refresh(job)
    session.commit()
    return job
