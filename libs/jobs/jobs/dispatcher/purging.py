"""Deleting what is over: ended jobs past their time with attempts, effects and files, and what nobody owns."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from common.db import Database, run_write
from common.db.sessions import WriteSession
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jobs import metrics
from jobs.database_time import database_time
from jobs.files import PieceDirectory
from jobs.files.deleting import delete_files_of, delete_left_over_pieces, delete_orphans
from jobs.models.job import Job
from jobs.states import JobState

log = structlog.get_logger(__name__)

BATCH = 1000
DAY_SECONDS = 24 * 3600.0

# Told nothing, MySQL reads a table of a few thousand jobs from end to end, and waits at each row somebody holds.
_DELETE = delete(Job).prefix_with("/*+ INDEX(jobs PRIMARY) */", dialect="mysql")


@dataclass(frozen=True)
class Retention:
    """How many days a job is kept after its end. Its idempotency key is taken for as long."""

    succeeded_days: float = 7
    cancelled_days: float = 7
    failed_days: float = 30
    dead_days: float = 30

    def days(self) -> dict[JobState, float]:
        return {
            JobState.SUCCEEDED: self.succeeded_days,
            JobState.CANCELLED: self.cancelled_days,
            JobState.FAILED: self.failed_days,
            JobState.DEAD: self.dead_days,
        }


class Purge:
    """Of one store. Each call does one batch, in transactions that are short enough for everybody else."""

    def __init__(self, store: str, database: Database, retention: Retention, pieces: PieceDirectory | None) -> None:
        self._store = store
        self._database = database
        self._retention = retention
        self._pieces = pieces
        self._seen: UUID | None = None

    def delete_jobs(self) -> bool:
        """Delete up to 1,000 jobs of each final state; return whether there may be more."""
        # First, so that it grows where deleting fails.
        metrics.purge_overdue_seconds.labels(self._store).set(self._overdue_seconds())
        more = [self._delete_batch(state, days) for state, days in self._retention.days().items()]
        return any(more)

    def delete_orphans(self) -> bool:
        """Delete the old files of no job on the next page of files; return whether there are more pages."""
        if self._seen is None and self._pieces is not None:
            delete_left_over_pieces(self._database, self._pieces)
        count, self._seen = delete_orphans(self._database, self._pieces, self._seen)
        metrics.files_purged.labels(self._store).inc(count)
        return self._seen is not None

    def _overdue_seconds(self) -> float:
        with self._database.read() as session:
            each = [
                _seconds_since_end(session, state) - days * DAY_SECONDS
                for state, days in self._retention.days().items()
            ]
        return max(0.0, *each)

    def _delete_batch(self, state: JobState, days: float) -> bool:
        # The rows first: from then on nobody redrives the job whose files are about to go.
        job_ids = run_write(self._database, lambda session: _delete_rows(session, state, days))
        if job_ids:
            files = delete_files_of(self._database, self._pieces, job_ids)
            metrics.jobs_purged.labels(self._store, state).inc(len(job_ids))
            metrics.files_purged.labels(self._store).inc(files)
            log.info("jobs_purged", store=self._store, state=state, count=len(job_ids), files=files)
        return len(job_ids) == BATCH


def _seconds_since_end(session: Session, state: JobState) -> float:
    # One at a time: the first entry of the index, where MIN over all states would read the whole index on SQLite.
    oldest = select(Job.finished_at, database_time()).where(Job.state == state, Job.finished_at.is_not(None))
    row = session.execute(oldest.order_by(Job.finished_at).limit(1)).first()
    return (row[1] - row[0]).total_seconds() if row and row[0] else 0.0


def _delete_rows(session: WriteSession, state: JobState, days: float) -> list[UUID]:
    old = (Job.state == state, Job.finished_at < database_time(-days * DAY_SECONDS))
    found = select(Job.id).where(*old).order_by(Job.finished_at).limit(BATCH).with_for_update(skip_locked=True)
    job_ids = sorted(session.scalars(found))
    if job_ids:
        # Attempts and effects go with their job by their foreign keys.
        session.execute(_DELETE.where(Job.id.in_(job_ids)), execution_options={"synchronize_session": False})
        session.commit()
    return job_ids
