"""What an operator can do with a job, whoever owns it. Each change is logged with who made it."""

from typing import Literal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs import effects, transitions
from jobs.errors import JobNotFound, JobNotRedrivable, OutcomeStillUnknown
from jobs.models.job import Job
from jobs.states import JobState

log = structlog.get_logger(__name__)

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


def cancel_any_job(session: Session, job_id: UUID, *, by: str) -> Job:
    """Cancel a queued job, ask a running one to stop, leave a finished one as it is; commits. Raises JobNotFound."""
    job = _locked(session, job_id)
    if transitions.cancel_queued(session, job_id, by) or transitions.request_cancel(session, job_id, by):
        log.info("job_cancelled", job_id=str(job_id), by=by)
    session.refresh(job)
    session.commit()
    return job


def _locked(session: Session, job_id: UUID) -> Job:
    one = select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    job = session.scalars(one).one_or_none()
    if job is None:
        raise JobNotFound
    return job
