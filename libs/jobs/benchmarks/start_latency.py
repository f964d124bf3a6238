"""Measure how long after it was accepted a job starts: by a real dispatcher and worker, from idle and while busy.

    python libs/jobs/benchmarks/start_latency.py --url mysql+pymysql://user:password@127.0.0.1/any

From the database's time in `enqueue`, before the commit, to its time at the claim. Busy: a few jobs a second, at random
moments; p50 should be 40 ms or less and p95 80 ms. Idle: each job after a pause in which none was due, long enough for
the dispatcher to look less often (which is made to take 0.5 s instead of 60); p95 should be 350 ms or less.
"""

import argparse
import random
import statistics
import time
from datetime import timedelta
from uuid import UUID

from common.db import Database
from common.testing.waiting import eventually
from jobs.models import Job
from jobs.testing import StoreHarness
from sqlalchemy import select
from stack import scratch_broker, scratch_store, worker_service

PROCESSES = 2
BUSY_FOR_SECONDS = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases) or sqlite://")
    parser.add_argument("--jobs", type=int, default=200, help="while busy")
    parser.add_argument("--per-second", type=float, default=5, help="while busy")
    parser.add_argument("--idle-jobs", type=int, default=50)
    arguments = parser.parse_args()
    with scratch_store(arguments.url) as database, scratch_broker() as broker:
        with worker_service(database, broker, processes=PROCESSES):
            busy = _measure(database, [random.expovariate(arguments.per_second) for _ in range(arguments.jobs)])
        with worker_service(database, broker, processes=PROCESSES, busy_for_seconds=BUSY_FOR_SECONDS):
            pauses = [BUSY_FOR_SECONDS + random.uniform(0.5, 1) for _ in range(arguments.idle_jobs)]  # noqa: S311 - no secret
            idle = _measure(database, pauses)
    _show("busy", busy, "p50 at most 40 ms, p95 at most 80 ms")
    _show("from idle", idle, "p95 at most 350 ms")


def _measure(database: Database, pauses: list[float]) -> list[float]:
    """Seconds from accepted to started, of one job after each pause."""
    store = StoreHarness(database)
    _wait(database, [store.enqueue("noop") for _ in range(10)])
    return _wait(database, [_accept(store, pause) for pause in pauses])


def _accept(store: StoreHarness, pause: float) -> UUID:
    time.sleep(pause)
    return store.enqueue("noop")


def _wait(database: Database, job_ids: list[UUID]) -> list[float]:
    """Seconds from accepted to started, of each."""
    times = select(Job.created_at, Job.claimed_at).where(Job.id.in_(job_ids), Job.finished_at.is_not(None))

    def all_done() -> list[timedelta] | None:
        with database.read() as session:
            done = [claimed - created for created, claimed in session.execute(times)]
        return done if len(done) == len(job_ids) else None

    return sorted(each.total_seconds() for each in eventually(all_done))


def _show(name: str, seconds: list[float], goal: str) -> None:
    p50, p95 = statistics.median(seconds) * 1000, seconds[int(len(seconds) * 0.95)] * 1000
    print(f"{name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, most {seconds[-1] * 1000:.0f} ms ({goal})")  # noqa: T201 # its output


if __name__ == "__main__":
    main()
