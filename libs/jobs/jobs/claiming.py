"""Claiming a job from a database that may take the claim and not answer, or take it late."""

import time
from dataclasses import dataclass
from uuid import UUID

from common.db import Database
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from jobs import transitions
from jobs.claimed_job import ClaimedJob
from jobs.insist import insist
from jobs.models.job import Job
from jobs.states import JobState


@dataclass(frozen=True)
class Claim:
    """A claim that was sent at this moment (monotonic): the lease is no younger than that."""

    job: ClaimedJob
    sent_at: float


def claim_job(database: Database, job_id: UUID, worker: str, lease_seconds: float) -> Claim | None:
    """Claim the job, asking again for as long as a lease lasts; None when there is nothing to claim.

    A claim that nobody answered may have been written, before it is asked again or after. Nobody else writes its
    worker, fence and moment: a row that has them is ours, and would wait for the end of its lease if it was left.
    """
    sent: list[Claim] = []

    def ask() -> Claim | None:
        sent_at = time.monotonic()
        with database.statement_engine.connect() as connection:
            job = transitions.claim(
                connection, job_id, worker, lease_seconds, before_it=lambda job: sent.append(Claim(job, sent_at))
            )
            if job is not None:
                return Claim(job, sent_at)
            return next((claim for claim in sent if was_claimed(connection, claim.job)), None)

    return insist(ask, seconds=lease_seconds)


def was_claimed(session: Session | Connection, job: ClaimedJob) -> bool:
    """Whether the claim that was to give this job happened, and nothing has come after it."""
    as_written = (Job.fence == job.fence, Job.worker == job.worker, Job.claimed_at == job.claimed_at)
    held = select(Job.id).where(Job.id == job.id, Job.state == JobState.RUNNING, *as_written)
    return session.scalars(held).first() is not None
