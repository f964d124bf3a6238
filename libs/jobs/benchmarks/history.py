"""Measure what a million finished jobs cost those who claim and list: less than a fifth more than a thousand do.

    python libs/jobs/benchmarks/history.py --url mysql+pymysql://user:password@127.0.0.1/any

Two stores in one run, one with few finished jobs and one with many, asked in turn.
"""

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

from common.clock import utc_now
from common.ids import new_id
from common.testing.databases import DatabaseSource, MySQLDatabases, SQLiteDatabases
from jobs.dispatcher import picking
from jobs.models import Base, Job, JobAttempt
from jobs.states import JobState, Outcome
from jobs.testing import StoreHarness
from jobs.transitions import succeed
from jobs.use_cases import list_jobs
from sqlalchemy import insert

FEW = 1_000
BATCH = 5_000
ROUNDS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases) or sqlite://")
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    source = _databases(arguments.url)
    try:
        few, many = (StoreHarness(source.open(source.acquire(Base.metadata))) for _ in range(2))
        fill(few, FEW)
        fill(many, arguments.rows)
        compare(few, many, arguments.rows)
    finally:
        source.drop_all()


def fill(store: StoreHarness, count: int) -> None:
    """Add so many jobs of the owner that succeeded a day ago, each with its attempt."""
    then = utc_now() - timedelta(days=1)
    job = {
        "owner_id": store.owner_id,
        "kind": "numbers",
        "kind_version": 1,
        "queue": "default",
        "payload": {},
        "max_attempts": 8,
        "attempt": 1,
        "state": JobState.SUCCEEDED,
        "fence": 1,
        "worker": "w",
        "run_after": then,
        "created_at": then,
        "dispatched_at": then,
        "claimed_at": then,
        "started_at": then,
        "finished_at": then,
    }
    attempt = {"fence": 1, "attempt": 1, "worker": "w", "started_at": then, "ended_at": then}
    for begin in range(0, count, BATCH):
        ids = [new_id() for _ in range(min(BATCH, count - begin))]
        with store.database.write() as session:
            session.execute(insert(Job), [{"id": each, **job} for each in ids])
            rows = [{"job_id": each, **attempt, "outcome": Outcome.SUCCEEDED} for each in ids]
            session.execute(insert(JobAttempt), rows)
            session.commit()


def compare(few: StoreHarness, many: StoreHarness, rows: int) -> None:
    """Print how much longer each takes with many rows."""
    for name, act in {"look": look, "claim": claim, "list": list_page}.items():
        seconds: dict[int, list[float]] = {FEW: [], rows: []}
        for _ in range(ROUNDS):
            for count, store in ((FEW, few), (rows, many)):
                seconds[count].append(act(store))
        before, after = median(seconds[FEW]), median(seconds[rows])
        figures = f"{before * 1000:.2f} ms with {FEW} rows, {after * 1000:.2f} ms with {rows}"
        print(f"{name}: p50 {figures}: {after / before - 1:+.0%} (below 20 %)")  # noqa: T201 # its output


def look(store: StoreHarness) -> float:
    """What a dispatcher asks up to 20 times a second."""
    begun = time.perf_counter()
    picking.has_due(store.database)
    return time.perf_counter() - begun


def claim(store: StoreHarness) -> float:
    """The claim of a job that was just accepted."""
    job_id: UUID = store.enqueue()
    begun = time.perf_counter()
    lease = store.claim(job_id)
    taken = time.perf_counter() - begun
    if lease is None:
        raise LookupError("the job could not be claimed")
    store.transition(succeed, lease, None)
    return taken


def list_page(store: StoreHarness) -> float:
    """The newest jobs of their owner."""
    begun = time.perf_counter()
    with store.database.read() as session:
        list_jobs(session, store.owner_id, limit=50, after=None)
    return time.perf_counter() - begun


def _databases(url: str) -> DatabaseSource:
    return SQLiteDatabases(Path(tempfile.mkdtemp())) if url.startswith("sqlite") else MySQLDatabases(url, "bench")


if __name__ == "__main__":
    main()
