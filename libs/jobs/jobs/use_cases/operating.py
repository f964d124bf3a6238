"""What an operator can do with the jobs of a store, whoever owns them. Each change is logged with who made it."""

from collections.abc import Callable
from functools import partial
from typing import Literal
from uuid import UUID

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from jobs import effects, transitions
from jobs.database_time import database_time
from jobs.errors import JobNotFound, JobNotRedrivable, OutcomeStillUnknown
from jobs.models.job import Job
from jobs.states import JobState

log = structlog.get_logger(__name__)

REDRIVE_BATCH = 100

OpenEffects = Literal["refuse", "repeat", "done"]
"""What became of an effect nobody knew the end of: not said, it did not happen (do it again), it did happen."""


def redrive_job(session: Session, job_id: UUID, *, by: str, open_effects: OpenEffects = "refuse") -> Job:
    """Queue a failed or dead job again, with a new budget of attempts and from its checkpoint on; commits.

    `by` names the operator. Raises JobNotFound, JobNotRedrivable, and OutcomeStillUnknown for a job that ended with an
    unknown outcome unless `open_effects` says what became of it.
    """
    job = _locked(session, job_id)
    if open_effects == "repeat":
        effects.forget_open(session, job_id)
    elif open_effects == "done":
        effects.settle_open(session, job_id)
    if not transitions.redrive(session, job_id, by, even_unknown=open_effects != "refuse"):
        if job.state in {JobState.FAILED, JobState.DEAD}:
            raise OutcomeStillUnknown
        raise JobNotRedrivable(job.state)
    session.refresh(job)
    session.commit()
    log.info("job_redriven", job_id=str(job_id), by=by, open_effects=open_effects)
    return job


def redrive_jobs(
    database: Database,
    *,
    by: str,
    kind: str | None = None,
    state: JobState = JobState.DEAD,
    error_code: str | None = None,
    per_second: float = 10,
    limit: int = 1000,
) -> int:
    """Queue up to `limit` dead (or failed) jobs again, the longest ended first; return how many.

    They become due one after the other, `per_second` of them: what they died of may still be there. Those with an
    unknown outcome are left out. Each batch of 100 commits by itself, so it can be ended and called again.
    """
    wanted = _redrivable(state, kind, error_code)
    with database.read() as session:
        # Else a job that dies again at once would be run again and again.
        wanted.append(Job.finished_at <= session.scalars(select(database_time())).one())
    done = 0
    while done < limit:
        count = min(REDRIVE_BATCH, limit - done)
        batch = _redrive_batch(database, wanted, by, count, partial(_delay, done, per_second))
        if not batch:
            break
        done += batch
    log.info("jobs_redriven", count=done, kind=kind, state=state, by=by)
    return done


def count_redrivable(
    session: Session, *, kind: str | None = None, state: JobState = JobState.DEAD, error_code: str | None = None
) -> int:
    """Return how many jobs `redrive_jobs` would queue again with these parameters and without a limit."""
    return session.scalars(select(func.count()).where(*_redrivable(state, kind, error_code))).one()


def cancel_any_job(session: Session, job_id: UUID, *, by: str) -> Job:
    """Cancel a queued job, ask a running one to stop, leave a finished one as it is; commits. Raises JobNotFound."""
    job = _locked(session, job_id)
    if transitions.cancel_queued(session, job_id) or transitions.request_cancel(session, job_id):
        log.info("job_cancelled", job_id=str(job_id), by=by)
    session.refresh(job)
    session.commit()
    return job


def _redrivable(state: JobState, kind: str | None, error_code: str | None) -> list[ColumnElement[bool]]:
    wanted = [Job.state == state, transitions.outcome_is_known()]
    wanted += [] if kind is None else [Job.kind == kind]
    wanted += [] if error_code is None else [Job.error["code"].as_string() == error_code]
    return wanted


def _locked(session: Session, job_id: UUID) -> Job:
    one = select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    job = session.scalars(one).one_or_none()
    if job is None:
        raise JobNotFound
    return job


def _delay(before: int, per_second: float, nth: int) -> float:
    return (before + nth) / per_second


def _redrive_batch(
    database: Database, wanted: list[ColumnElement[bool]], by: str, limit: int, delay_of: Callable[[int], float]
) -> int:
    def work(session: WriteSession) -> int:
        due = select(Job.id).where(*wanted).order_by(Job.finished_at).limit(limit).with_for_update(skip_locked=True)
        done = 0
        for job_id in session.scalars(due).all():
            done += transitions.redrive(session, job_id, by, delay_of(done))
        session.commit()
        return done

    return run_write(database, work)
