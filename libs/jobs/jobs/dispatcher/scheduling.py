"""Making the jobs of schedules: each time and its job in one transaction, under a key that makes a second impossible.

Any number of dispatchers do this at once and may be killed anywhere: what is committed is done, what is not is found
due again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from jobs import metrics
from jobs.database_time import database_time
from jobs.enqueue import enqueue
from jobs.models.job import Job
from jobs.models.scheduled_run import ScheduledRun
from jobs.schedules import Schedule
from jobs.states import JobState

log = structlog.get_logger(__name__)

KEPT_DAYS = 30
BATCH = 1000


class Scheduler:
    """The schedules of one store."""

    def __init__(self, store: str, database: Database, schedules: Sequence[Schedule]) -> None:
        self._store = store
        self._database = database
        self._schedules = [schedule for schedule in schedules if schedule.store == store]

    def make_jobs(self) -> None:
        """Look at each schedule once; a round that finds nothing due costs one read for all of them."""
        if not self._schedules:
            return
        with self._database.read() as session:
            last, now = _last_runs(session)
        for schedule in self._schedules:
            try:
                self._look_at(schedule, last.get(schedule.name), now)
            except SQLAlchemyError:
                raise
            except Exception:  # its payload cannot be made, for one: the others are due all the same
                log.exception("schedule_failed", store=self._store, schedule=schedule.name)

    def prune(self) -> None:
        """Forget the times that passed a month ago, but never the last of a schedule: it says where to go on."""
        for schedule in self._schedules:
            run_write(self._database, partial(_prune, name=schedule.name))

    def _look_at(self, schedule: Schedule, last: datetime | None, now: datetime) -> None:
        due = [] if last is None else schedule.times_between(last, now)
        late = metrics.schedule_late_seconds.labels(self._store, schedule.name)
        late.set((now - due[0]).total_seconds() if due else 0)
        if last is not None and not due:
            return
        try:
            made = run_write(self._database, lambda session: _write_runs(session, schedule, due, now))
        except IntegrityError:
            return  # another dispatcher was faster
        log.info("schedule_due", store=self._store, schedule=schedule.name, times=len(due), jobs=made)


def _last_runs(session: Session) -> tuple[dict[str, datetime], datetime]:
    latest = select(ScheduledRun.schedule, func.max(ScheduledRun.scheduled_for)).group_by(ScheduledRun.schedule)
    # The clock after the runs: nothing that is read may be later than it.
    runs = {row[0]: row[1] for row in session.execute(latest)}
    return runs, session.scalars(select(database_time())).one()


def _write_runs(session: WriteSession, schedule: Schedule, due: list[datetime], now: datetime) -> int:
    made: list[datetime] = []
    for time in schedule.to_run(due, now):
        if schedule.overlap == "skip" and _is_running(session, schedule):
            break
        _write_run(session, schedule, time, _make_job(session, schedule, time))
        made.append(time)
    # A schedule that is new here starts now; and where the latest time got no job, it is not looked at again.
    latest = due[-1] if due else now
    if latest not in made:
        _write_run(session, schedule, latest, None)
    session.commit()
    return len(made)


def _make_job(session: WriteSession, schedule: Schedule, time: datetime) -> UUID:
    return enqueue(
        session,
        owner_id=schedule.owner_id,
        kind=schedule.kind,
        payload=schedule.payload_at(time),
        idempotency_key=f"{_prefix(schedule)}{time.isoformat()}",
    ).id


def _write_run(session: WriteSession, schedule: Schedule, time: datetime, job_id: UUID | None) -> None:
    run = {"schedule": schedule.name, "scheduled_for": time, "job_id": job_id, "created_at": database_time()}
    session.execute(insert(ScheduledRun).values(run))


def _is_running(session: Session, schedule: Schedule) -> bool:
    unfinished = (
        Job.state.in_([JobState.QUEUED, JobState.RUNNING]),
        Job.owner_id == schedule.owner_id,
        Job.idempotency_key.startswith(_prefix(schedule), autoescape=True),
    )
    return session.scalars(select(Job.id).where(*unfinished).limit(1)).first() is not None


def _prefix(schedule: Schedule) -> str:
    return f"schedule:{schedule.name}:"


def _prune(session: WriteSession, name: str) -> None:
    of_schedule = ScheduledRun.schedule == name
    last = session.scalars(select(func.max(ScheduledRun.scheduled_for)).where(of_schedule)).one_or_none()
    now = session.scalars(select(database_time())).one()
    before = min(last or now, now - timedelta(days=KEPT_DAYS))
    old = select(ScheduledRun.scheduled_for).where(of_schedule, ScheduledRun.scheduled_for < before)
    times = list(session.scalars(old.order_by(ScheduledRun.scheduled_for).limit(BATCH)))
    if times:
        session.execute(delete(ScheduledRun).where(of_schedule, ScheduledRun.scheduled_for.in_(times)))
        session.commit()
