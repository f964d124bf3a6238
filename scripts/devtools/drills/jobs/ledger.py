"""The oracle of the drills: a table that handlers write in the transaction of their effect.

No key of it is unique, so that an effect that happened twice is there twice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from uuid import UUID

from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from jobs.attempt_records import with_last
from jobs.models import Job, JobAttempt
from jobs.states import JobState, Outcome
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.orm import Session

LEDGER = Table(
    "drill_ledger",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("job_id", String(36), nullable=False),
    Column("step", Integer, nullable=False),
)

BATCH = 2000
_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


def make_ledger(database: Database) -> None:
    """Make the table where it is not there yet."""
    LEDGER.metadata.create_all(database.engine)


def write_ledger(session: Session, job_id: UUID | str, step: int) -> None:
    """Write down that this step of the job has had its effect; the caller commits."""
    session.execute(insert(LEDGER).values(job_id=str(job_id), step=step))


@dataclass(frozen=True)
class Verdict:
    """What became of the jobs. `lost`, `doubled`, `unfinished`, `failed` and `unclosed` have to be empty."""

    jobs: int
    entries: int
    lost: frozenset[str]
    """Accepted jobs without a row, and jobs that succeeded without any effect."""
    doubled: frozenset[tuple[str, int]]
    unfinished: frozenset[str]
    failed: frozenset[str]
    unclosed: frozenset[str]
    """Jobs with an attempt that has no end."""
    attempts: int
    worst_seconds: float
    """From accepted to finished, by the database's clock."""
    typical_seconds: float
    """The same for the job in the middle. More than a second: the machine has too much to do."""
    noticed_seconds: float
    """How long the longest attempt that crashed was, from its start until it was taken from its worker."""
    slowest: str
    """What became of the three slowest."""

    @property
    def is_good(self) -> bool:
        """Whether every job had its effect once, and nothing is left open."""
        return not (self.lost or self.doubled or self.unfinished or self.failed or self.unclosed)

    def __str__(self) -> str:
        faults = {"lost": self.lost, "doubled": self.doubled, "unfinished": self.unfinished, "failed": self.failed}
        counts = ", ".join(f"{len(found)} {name}" for name, found in faults.items())
        again = self.attempts - self.jobs
        times = f"p50 {self.typical_seconds:.1f} s, worst {self.worst_seconds:.1f} s"
        crashed = f"crashed attempts of at most {self.noticed_seconds:.1f} s" if self.noticed_seconds else "no crashes"
        return f"{self.jobs} jobs: {counts}, {again} attempts more than jobs, {times}, {crashed}"


def count_unfinished(database: Database) -> int:
    """How many jobs are queued or running."""
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(Job).where(Job.state.in_(_UNFINISHED))).one()


def has_ended_jobs(database: Database) -> bool:
    """Whether there is a job in a final state."""
    ended = [state for state in JobState if state.is_final]
    with database.read() as session:
        return session.scalars(select(Job.id).where(Job.state.in_(ended)).limit(1)).first() is not None


def count_entries(database: Database) -> int:
    """How many effects there were."""
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(LEDGER)).one()


def jobs_in_ledger(database: Database) -> set[str]:
    """The jobs that had an effect."""
    with database.read() as session:
        return set(session.scalars(select(LEDGER.c.job_id)))


def count_jobs(database: Database) -> int:
    """How many jobs there are in any state."""
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(Job)).one()


def fill_with_old_jobs(database: Database, owner_id: UUID, count: int, days: float = 8) -> None:
    """Add so many jobs that succeeded so many days ago; the ledger knows nothing of them."""
    then = utc_now() - timedelta(days=days)
    same = {
        "owner_id": owner_id,
        "kind": "drill.work",
        "kind_version": 1,
        "queue": "default",
        "payload": {},
        "max_attempts": 8,
        "state": JobState.SUCCEEDED,
        "attempt": 1,
        "fence": 1,
        "worker": "w",
        "run_after": then,
        "created_at": then,
        "dispatched_at": then,
        "claimed_at": then,
        "started_at": then,
        "finished_at": then,
    }
    for begin in range(0, count, BATCH):
        ids = [new_id() for _ in range(min(BATCH, count - begin))]
        with database.write() as session:
            session.execute(insert(Job), [{"id": each, **same} for each in ids])
            session.commit()


def judge(database: Database, accepted: set[UUID]) -> Verdict:
    """Hold the ledger against the jobs: those accepted, and those whose commit nobody heard of."""
    with database.read() as session:
        jobs = list(session.scalars(select(Job)))
        entries = Counter((row.job_id, row.step) for row in session.execute(select(LEDGER)))
        written = _by_job(session.scalars(select(JobAttempt)))
    attempts = [each for job in jobs for each in with_last(job, written[job.id]) if each.ended_at]
    ended = Counter(each.job_id for each in attempts)
    steps = dict.fromkeys(accepted, 1) | {job.id: job.payload.get("steps", 1) for job in jobs}
    wanted = {(str(job_id), step + 1) for job_id, count in steps.items() for step in range(count)}
    return Verdict(
        jobs=len(jobs),
        entries=sum(entries.values()),
        lost=frozenset(job_id for job_id, _ in wanted - entries.keys()),
        doubled=frozenset(step for step, count in entries.items() if count > 1 or step not in wanted),
        unfinished=frozenset(str(job.id) for job in jobs if not job.state.is_final),
        failed=frozenset(str(job.id) for job in jobs if job.state.is_final and job.state is not JobState.SUCCEEDED),
        unclosed=frozenset(str(job.id) for job in jobs if ended[job.id] != job.fence),
        attempts=sum(ended.values()),
        worst_seconds=max((end_to_end_seconds(job) for job in jobs), default=0),
        typical_seconds=median([end_to_end_seconds(job) for job in jobs] or [0]),
        noticed_seconds=max((_length(each) for each in attempts if each.outcome is Outcome.CRASHED), default=0),
        slowest="; ".join(_tell(job) for job in sorted(jobs, key=end_to_end_seconds)[:-4:-1]),
    )


def end_to_end_seconds(job: Job) -> float:
    """From accepted to finished; 0 for a job that is not finished."""
    return (job.finished_at - job.created_at).total_seconds() if job.finished_at else 0


def _by_job(attempts: Iterable[JobAttempt]) -> defaultdict[UUID, list[JobAttempt]]:
    found = defaultdict[UUID, list[JobAttempt]](list)
    for each in attempts:
        found[each.job_id].append(each)
    return found


def _length(attempt: JobAttempt) -> float:
    return (attempt.ended_at - attempt.started_at).total_seconds() if attempt.ended_at else 0


def _tell(job: Job) -> str:
    first, last = (
        (moment - job.created_at).total_seconds() if moment else -1 for moment in (job.started_at, job.claimed_at)
    )
    times = f"first start {first:.1f} s, last {last:.1f} s, end {end_to_end_seconds(job):.1f} s"
    return f"{times} after it was accepted, {job.fence} starts, {job.dispatch_count} messages"
