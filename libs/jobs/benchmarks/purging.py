"""Measure what deleting old jobs costs those who accept new ones meanwhile: the p99 should less than double.

    python libs/jobs/benchmarks/purging.py --url mysql+pymysql://user:password@127.0.0.1/any

Two threads accept jobs (enqueue and commit), first alone, then while the old ones are deleted as the dispatcher does
it: 1,000 at a time, with its pause. Any error of the database, such as a lock not got in time, ends it.
"""

import argparse
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from common.db import Database
from finished_rows import fill
from jobs.dispatcher import Pace, Retention
from jobs.dispatcher.purging import Purge
from jobs.models import Job
from jobs.testing import StoreHarness
from sqlalchemy import func, select
from stack import scratch_store

THREADS = 2
PAUSE_SECONDS = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases)")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=30, help="before the deleting begins")
    arguments = parser.parse_args()
    with scratch_store(arguments.url) as database:
        rows = fill(database, arguments.rows, age=timedelta(days=8))
        baseline = _accepted_while(database, threading.Timer(arguments.seconds, lambda: None))
        deleting = threading.Thread(target=_delete_all, args=(database,))
        started = time.perf_counter()
        purged = _accepted_while(database, deleting)
        seconds = time.perf_counter() - started
        with database.read() as session:
            left = session.scalars(select(func.count()).where(Job.finished_at.is_not(None))).one()
    print(f"{rows - left:,} of {rows:,} jobs deleted in {seconds:.0f} s")  # noqa: T201 # its output
    _show("alone", baseline)
    _show("meanwhile", purged)
    print(f"p99: {_p(purged, 99) / _p(baseline, 99):.2f} of alone (less than 2)")  # noqa: T201


def _accepted_while(database: Database, thread: threading.Thread) -> list[float]:
    """Seconds each job took to be accepted, sorted."""
    thread.start()
    with ThreadPoolExecutor(THREADS) as pool:
        taken = [pool.submit(lambda: list(_accept(database, thread))) for _ in range(THREADS)]
    return sorted(seconds for each in taken for seconds in each.result())


def _accept(database: Database, thread: threading.Thread) -> Iterator[float]:
    store = StoreHarness(database)
    while thread.is_alive():
        started = time.perf_counter()
        store.enqueue(max_unfinished=1_000_000)
        yield time.perf_counter() - started
        time.sleep(PAUSE_SECONDS)


def _delete_all(database: Database) -> None:
    purge = Purge("api", database, Retention(), None)
    while purge.delete_jobs():
        time.sleep(Pace().purge_pause_seconds)


def _show(name: str, seconds: list[float]) -> None:
    p50, p95, p99 = (_p(seconds, share) * 1000 for share in (50, 95, 99))
    print(f"{name:10} {len(seconds):6,} accepted: p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms")  # noqa: T201


def _p(seconds: list[float], share: int) -> float:
    return seconds[min(len(seconds) - 1, len(seconds) * share // 100)]


if __name__ == "__main__":
    main()
