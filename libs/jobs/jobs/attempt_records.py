"""The history of attempts: a row is written when an attempt ends, in the transaction that ends it.

The attempt that runs, and the one that succeeded, is the job's own row: so a claim is one statement, and an end, too.
"""

from collections.abc import Sequence
from functools import cache
from typing import cast
from uuid import UUID

from sqlalchemy import Insert, Integer, Table, bindparam, func, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from jobs.database_time import database_time
from jobs.lease import Lease
from jobs.models.attempt import JobAttempt
from jobs.models.job import Job
from jobs.states import JobState, Outcome

_IN_THE_JOB = (JobState.RUNNING, JobState.SUCCEEDED)
"""Whose last attempt is in the job's own row: no claim comes after it."""

_COLUMNS = ("job_id", "fence", "attempt", "worker", "started_at", "ended_at", "outcome")


def record_attempt(session: Session, lease: Lease, outcome: Outcome, *, was_given_back: bool) -> None:
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
    written = session.scalars(select(JobAttempt).where(JobAttempt.job_id == job_id).order_by(JobAttempt.fence)).all()
    job = session.scalars(select(Job).where(Job.id == job_id, Job.state.in_(_IN_THE_JOB))).one_or_none()
    return with_last(job, written) if job else list(written)


def with_last(job: Job, written: Sequence[JobAttempt]) -> list[JobAttempt]:
    """The attempts at the job that were written down, and the one that is its own row, if one is."""
    if job.state not in _IN_THE_JOB:
        return list(written)
    succeeded = job.state is JobState.SUCCEEDED
    if succeeded and any(each.fence == job.fence for each in written):
        return list(written)  # by a worker of the release before this one
    last = JobAttempt(
        job_id=job.id,
        fence=job.fence,
        attempt=job.attempt,
        worker=job.worker,
        started_at=job.claimed_at or job.started_at,  # of a worker that does not know claimed_at, as above
        ended_at=job.finished_at if succeeded else None,
        outcome=Outcome.SUCCEEDED if succeeded else None,
    )
    # A worker of the release before this one wrote the row at its claim.
    return [*(each for each in written if each.fence != job.fence), last]
