"""The history of attempts: a row is written when an attempt ends, in the transaction that ends it.

The attempt that runs is in the job's own row, so that a claim is one statement.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Insert, func, literal, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from jobs.database_time import database_time
from jobs.models.attempt import JobAttempt
from jobs.models.job import Job
from jobs.states import JobState, Outcome

if TYPE_CHECKING:
    from jobs.transitions import Lease

_COLUMNS = ("job_id", "fence", "attempt", "worker", "started_at", "ended_at", "outcome")


def record_attempt(session: Session, lease: "Lease", outcome: Outcome, *, was_given_back: bool) -> Insert:
    """The statement that writes down the attempt of this lease as ended now; the job's row was changed already.

    A worker of the release before this one wrote the row at its claim: then only the end is added.
    """
    ended = {"ended_at": database_time(), "outcome": outcome}
    values = select(
        Job.id,
        Job.fence,
        Job.attempt + (1 if was_given_back else 0),
        Job.worker,
        func.coalesce(Job.claimed_at, Job.started_at),  # of a worker that does not know claimed_at
        database_time(),
        literal(outcome, JobAttempt.outcome.type),
    ).where(Job.id == lease.job_id)
    if session.get_bind().dialect.name == "mysql":
        return mysql.insert(JobAttempt).from_select(_COLUMNS, values).on_duplicate_key_update(ended)
    new = sqlite.insert(JobAttempt).from_select(_COLUMNS, values)
    return new.on_conflict_do_update(index_elements=["job_id", "fence"], set_=ended)


def list_attempts(session: Session, job_id: UUID) -> list[JobAttempt]:
    """The attempts at the job, oldest first; the last without an end while the job runs."""
    ended = session.scalars(select(JobAttempt).where(JobAttempt.job_id == job_id).order_by(JobAttempt.fence)).all()
    job = session.scalars(select(Job).where(Job.id == job_id, Job.state == JobState.RUNNING)).one_or_none()
    return with_running(job, ended) if job else list(ended)


def with_running(job: Job, ended: Sequence[JobAttempt]) -> list[JobAttempt]:
    """The attempts at the job that have ended, and the one that runs, if one does."""
    if job.state is not JobState.RUNNING:
        return list(ended)
    # Of a worker that does not know claimed_at, as `record_attempt` writes it down.
    since = job.claimed_at or job.started_at
    running = JobAttempt(job_id=job.id, fence=job.fence, attempt=job.attempt, worker=job.worker, started_at=since)
    # A worker of the release before this one wrote the row at its claim.
    return [*(each for each in ended if each.fence != job.fence), running]
