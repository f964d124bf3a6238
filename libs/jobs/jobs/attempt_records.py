"""The history of attempts: a row is written when an attempt ends, in the transaction that ends it.

The attempt that runs is in the job's own row, so that a claim is one statement.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, cast
from uuid import UUID

from sqlalchemy import Insert, Integer, Table, bindparam, func, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from jobs.database_time import database_time
from jobs.models.attempt import JobAttempt
from jobs.models.job import Job
from jobs.states import JobState, Outcome

if TYPE_CHECKING:
    from jobs.transitions import Lease

_COLUMNS = ("job_id", "fence", "attempt", "worker", "started_at", "ended_at", "outcome")


def record_attempt(session: Session, lease: "Lease", outcome: Outcome, *, was_given_back: bool) -> None:
    """Write down the attempt of this lease as ended now; the job's row was changed already.

    A worker of the release before this one wrote the row at its claim: then only the end is added.
    """
    statement = _recording(session.get_bind().dialect.name)
    session.execute(statement, {"ended_job": lease.job_id, "given_back": int(was_given_back), "how": outcome})


@cache
def _recording(dialect: str) -> Insert:
    """Made once: it is sent for each job."""
    row, how = cast("Table", Job.__table__).c, bindparam("how", type_=JobAttempt.outcome.type)
    values = select(
        row.id,
        row.fence,
        row.attempt + bindparam("given_back", type_=Integer),
        row.worker,
        func.coalesce(row.claimed_at, row.started_at),  # of a worker that does not know claimed_at
        database_time(),
        how,
    ).where(row.id == bindparam("ended_job"))
    ended = {"ended_at": database_time(), "outcome": how}
    attempts = cast("Table", JobAttempt.__table__)
    if dialect == "mysql":
        return mysql.insert(attempts).from_select(_COLUMNS, values).on_duplicate_key_update(ended)
    new = sqlite.insert(attempts).from_select(_COLUMNS, values)
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
