"""What the job table says about itself, for Prometheus."""

from common.db import Database
from sqlalchemy import func, select

from jobs import metrics
from jobs.database_time import database_time
from jobs.models.job import Job
from jobs.states import JobState

# Succeeded and cancelled jobs are by far the most rows and nobody's trouble: counters tell their number.
_COUNTED = (JobState.QUEUED, JobState.RUNNING, JobState.FAILED, JobState.DEAD)


class Gauges:
    """The gauges of one store. A series seen once is set to 0 when its jobs are gone, or it would stay as it was."""

    def __init__(self, store: str, database: Database) -> None:
        self._store = store
        self._database = database
        self._kinds: set[tuple[str, str]] = set()
        self._queues: set[str] = set()

    def update(self) -> None:
        """Read the table and set the gauges."""
        counted = select(Job.state, Job.kind, func.count()).where(Job.state.in_(_COUNTED)).group_by(Job.state, Job.kind)
        due = (Job.state == JobState.QUEUED, Job.run_after <= database_time())
        oldest = select(Job.queue, func.min(Job.run_after), database_time()).where(*due).group_by(Job.queue)
        with self._database.read() as session:
            counts = {(state.value, kind): count for state, kind, count in session.execute(counted)}
            ages = {queue: (now - since).total_seconds() for queue, since, now in session.execute(oldest)}
        self._kinds |= counts.keys()
        self._queues |= ages.keys()
        for state, kind in self._kinds:
            metrics.jobs.labels(self._store, state, kind).set(counts.get((state, kind), 0))
        for queue in self._queues:
            metrics.oldest_due_age_seconds.labels(self._store, queue).set(ages.get(queue, 0))
