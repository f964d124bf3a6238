"""Finding jobs nobody will end otherwise: their worker went silent, or their deadline passed while they waited."""

from uuid import UUID

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession
from sqlalchemy import select

from jobs import metrics, transitions
from jobs.database_time import database_time
from jobs.models.job import Job
from jobs.states import JobState
from jobs.transitions import Lease

log = structlog.get_logger(__name__)

BATCH = 100


# Asked each second: made once.
_SILENT = (
    select(Job.__table__.c.id, Job.__table__.c.fence)
    .where(Job.state == JobState.RUNNING, Job.lease_until < database_time())
    .limit(BATCH)
)


def expire_leases(store: str, database: Database) -> bool:
    """Take the jobs whose lease ran out from their workers, one batch of them; return whether there may be more."""
    with database.read_engine.connect() as connection:
        leases = [Lease(*row) for row in connection.execute(_SILENT)]
    for lease in leases:
        _expire(store, database, lease)
    return len(leases) == BATCH


def _expire(store: str, database: Database, lease: Lease) -> None:
    def work(session: WriteSession) -> JobState | None:
        state = transitions.expire(session, lease)
        session.commit()
        return state

    state = run_write(database, work)
    if state is None:
        return
    metrics.lease_expired.labels(store).inc()
    if state is JobState.DEAD:
        metrics.dead.labels(store).inc()
    log.warning("lease_expired", store=store, job_id=str(lease.job_id), fence=lease.fence, state=state)


def fail_overdue(store: str, database: Database) -> bool:
    """Fail the queued jobs whose deadline has passed, one batch of them; return whether there may be more."""
    overdue = select(Job.id).where(Job.state == JobState.QUEUED, Job.deadline_at <= database_time())
    with database.read() as session:
        job_ids = list(session.scalars(overdue.limit(BATCH)))
    for job_id in job_ids:
        _fail_overdue(store, database, job_id)
    return len(job_ids) == BATCH


def _fail_overdue(store: str, database: Database, job_id: UUID) -> None:
    def work(session: WriteSession) -> bool:
        happened = transitions.fail_overdue(session, job_id)
        session.commit()
        return happened

    if run_write(database, work):
        log.warning("job_overdue", store=store, job_id=str(job_id))
