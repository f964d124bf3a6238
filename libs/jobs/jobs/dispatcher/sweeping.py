"""Finding jobs nobody will end otherwise: their worker went silent, or their deadline passed while they waited.

A row that cannot be changed, because somebody holds it or for a fault of its own, keeps no other from being swept.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession
from sqlalchemy import Integer, Row, Select, bindparam, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from jobs import metrics, transitions
from jobs.database_time import database_time
from jobs.lease import Lease
from jobs.models.job import Job
from jobs.states import JobState

log = structlog.get_logger(__name__)

BATCH = 100
PASSED_OVER = 3
"""Batches of which none can be changed that are passed over at once: those behind them must not wait for that."""

# Asked each second: made once.
_SILENT = (
    select(Job.__table__.c.id, Job.__table__.c.fence)
    .where(Job.state == JobState.RUNNING, Job.lease_until < database_time())
    .order_by(Job.lease_until)
    .limit(bindparam("limit", type_=Integer()))
    .offset(bindparam("offset", type_=Integer()))
)
_OVERDUE = (
    select(Job.__table__.c.id)
    .where(Job.state == JobState.QUEUED, Job.deadline_at <= database_time())
    .limit(bindparam("limit", type_=Integer()))
    .offset(bindparam("offset", type_=Integer()))
)


def expire_leases(store: str, database: Database) -> bool:
    """Take the jobs whose lease ran out from their workers, one batch of them; return whether there may be more."""
    return _sweep(store, database, _SILENT, lambda *row: _expire(store, database, Lease(*row)))


def _expire(store: str, database: Database, lease: Lease) -> bool:
    def work(session: WriteSession) -> JobState | None:
        if not _is_free(session, lease.job_id):
            return None
        state = transitions.expire(session, lease)
        session.commit()
        return state

    state = run_write(database, work)
    if state is None:
        return False
    metrics.lease_expired.labels(store).inc()
    if state is JobState.DEAD:
        metrics.dead.labels(store).inc()
    log.warning("lease_expired", store=store, job_id=str(lease.job_id), fence=lease.fence, state=state)
    return True


def fail_overdue(store: str, database: Database) -> bool:
    """Fail the queued jobs whose deadline has passed, one batch of them; return whether there may be more."""
    return _sweep(store, database, _OVERDUE, partial(_fail_overdue, store, database))


def _fail_overdue(store: str, database: Database, job_id: UUID) -> bool:
    def work(session: WriteSession) -> bool:
        happened = _is_free(session, job_id) and transitions.fail_overdue(session, job_id)
        session.commit()
        return happened

    failed = run_write(database, work)
    if failed:
        log.warning("job_overdue", store=store, job_id=str(job_id))
    return failed


def _sweep(store: str, database: Database, found: Select[Any], change: Callable[..., bool]) -> bool:
    """Change the first batch of which any can be changed; the rows begin with the job's id."""
    for offset in range(0, (PASSED_OVER + 1) * BATCH, BATCH):
        with database.read_engine.connect() as connection:
            rows = connection.execute(found, {"limit": BATCH, "offset": offset}).all()
        swept = sum(_changes(store, row, change) for row in rows)
        if swept or len(rows) < BATCH:
            # A batch that cannot be changed is no reason to look again without a pause; one of which some could, is.
            return swept > 0 and len(rows) == BATCH
    return False


def _changes(store: str, row: Row[Any], change: Callable[..., bool]) -> bool:
    try:
        return change(*row)
    except (OperationalError, InterfaceError):
        raise  # the database is away, for all of them
    except Exception:
        log.exception("job_not_swept", store=store, job_id=str(row[0]))
        return False


def _is_free(session: Session, job_id: UUID) -> bool:
    """Lock the row unless somebody holds it: waiting for one would keep all the others waiting."""
    free = select(Job.id).where(Job.id == job_id).with_for_update(skip_locked=True)
    return session.scalars(free).first() is not None
