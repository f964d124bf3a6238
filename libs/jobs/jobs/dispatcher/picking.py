"""Which jobs are to be published: marked in one short transaction, so that two dispatchers never pick the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Database
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from jobs.database_time import database_time
from jobs.models.job import Job
from jobs.states import JobState

_QUEUED = Job.state == JobState.QUEUED


@dataclass(frozen=True)
class Picked:
    """A job marked as published at `marked_at`, `lag_seconds` after it was due."""

    job_id: UUID
    queue: str
    priority: int
    marked_at: datetime
    lag_seconds: float


def has_due(database: Database) -> bool:
    """Whether there is anything to pick: one cheap read, so that an idle dispatcher takes no lock."""
    with database.read_engine.connect() as connection:
        return connection.execute(_FIRST_DUE).first() is not None


def pick_due(session: Session, limit: int) -> list[Picked]:
    """Mark up to `limit` due jobs, the longest due first, and return them, the highest priority first."""
    picked = _pick(session, _due(), Job.run_after, limit)
    return sorted(picked, key=lambda job: -job.priority)


def pick_stale(session: Session, queue: str, older_than_seconds: float, limit: int) -> list[Picked]:
    """Mark again up to `limit` jobs of the queue that were published that long ago and not claimed since."""
    stale = (_QUEUED, Job.queue == queue, Job.dispatched_at < database_time(-older_than_seconds))
    return _pick(session, stale, Job.dispatched_at, limit)


def unmark(session: Session, picked: Sequence[Picked]) -> None:
    """Take back the marks of jobs that were not published after all."""
    if not picked:
        return
    ids = [job.job_id for job in picked]
    mine = (Job.id.in_(ids), _QUEUED, Job.dispatched_at == picked[0].marked_at)
    _update(session, *mine, dispatched_at=None, dispatch_count=Job.dispatch_count - 1)


def stale_queues(session: Session, older_than_seconds: float) -> list[str]:
    """Return the queues in which a job was published that long ago and not claimed since."""
    stale = (_QUEUED, Job.dispatched_at < database_time(-older_than_seconds))
    return list(session.scalars(select(Job.queue).where(*stale).distinct()))


def published_by_queue(session: Session) -> Counter[str]:
    """Count the jobs of each queue that are published and wait to be claimed."""
    waiting = (
        select(Job.queue, func.count().label("count"))
        .where(_QUEUED, Job.dispatched_at.is_not(None))
        .group_by(Job.queue)
    )
    return Counter({row.queue: row.count for row in session.execute(waiting)})


def _due() -> tuple[ColumnElement[bool], ...]:
    return _QUEUED, Job.dispatched_at.is_(None), Job.run_after <= database_time()


# Asked up to 20 times a second: made once and without objects of the model, it takes half the time.
_FIRST_DUE = select(Job.__table__.c.id).where(*_due()).limit(1)


def _pick(
    session: Session, wanted: tuple[ColumnElement[bool], ...], order: InstrumentedAttribute[Any], limit: int
) -> list[Picked]:
    # SKIP LOCKED keeps two dispatchers from waiting for each other; SQLite lets only one of them in anyway.
    columns = select(Job.id, Job.queue, Job.priority, Job.run_after, database_time().label("now"))
    rows = session.execute(columns.where(*wanted).order_by(order).limit(limit).with_for_update(skip_locked=True)).all()
    if not rows:
        return []
    now = rows[0].now
    ids = Job.id.in_([row.id for row in rows])
    _update(session, ids, dispatched_at=now, dispatch_count=Job.dispatch_count + 1)
    return [Picked(row.id, row.queue, row.priority, now, _seconds(row.run_after, now)) for row in rows]


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()


def _update(session: Session, *conditions: ColumnElement[bool], **values: Any) -> None:
    changed = update(Job).where(*conditions).values(**values)
    session.execute(changed, execution_options={"synchronize_session": False})
