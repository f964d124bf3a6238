"""How many jobs of a store are in which state, and how long they wait."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.database_time import database_time
from jobs.models.job import Job
from jobs.states import JobState

OPEN = (JobState.DEAD, JobState.FAILED, JobState.RUNNING, JobState.QUEUED)
"""What somebody may have to look at; the others are by far the most rows."""


@dataclass(frozen=True)
class Count:
    """Jobs of one state, kind and queue."""

    state: JobState
    kind: str
    queue: str
    jobs: int


@dataclass(frozen=True)
class Stats:
    """The store at one moment; `oldest_due_seconds`: by queue, how long the oldest due job has waited."""

    counts: list[Count]
    oldest_due_seconds: dict[str, float]

    def total(self, state: JobState) -> int:
        """All jobs in this state."""
        return sum(count.jobs for count in self.counts if count.state is state)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing is to run."""
        return self.total(JobState.QUEUED) == self.total(JobState.RUNNING) == 0


def read_stats(session: Session, *, every_state: bool = False) -> Stats:
    """Count the jobs, those of OPEN only unless `every_state`, which reads the whole table."""
    columns = (Job.state, Job.kind, Job.queue)
    counted = select(*columns, func.count()).group_by(*columns)
    if not every_state:
        counted = counted.where(Job.state.in_(OPEN))
    counts = [Count(*row) for row in session.execute(counted)]
    due = (Job.state == JobState.QUEUED, Job.run_after <= database_time())
    oldest = select(Job.queue, func.min(Job.run_after), database_time()).where(*due).group_by(Job.queue)
    ages = {queue: (now - since).total_seconds() for queue, since, now in session.execute(oldest)}
    return Stats(sorted(counts, key=_rank), ages)


def _rank(count: Count) -> tuple[int, str, str]:
    states = (*OPEN, JobState.CANCELLED, JobState.SUCCEEDED)
    return states.index(count.state), count.kind, count.queue
