"""Measure how long it takes to run a few dead jobs of one kind again among a million others, and who waits for that.

    python libs/jobs/benchmarks/redriving.py --url mysql+pymysql://user:password@127.0.0.1/any

Meanwhile another thread runs one job after the other: the slowest of those waited longest. Filling takes minutes.
"""

import argparse
import statistics
import threading
import time

from common.db import Database
from finished_rows import fill
from jobs import transitions
from jobs.testing import StoreHarness
from jobs.use_cases import redriving
from jobs.use_cases.redriving import Chosen
from sqlalchemy import text
from stack import scratch_store

ERROR = {"code": "handler-error", "message": "It broke."}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases)")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rare", type=int, default=300)
    arguments = parser.parse_args()
    with scratch_store(arguments.url) as database:
        rows = fill(database, arguments.rows, end=lambda session, lease: transitions.die(session, lease, ERROR))
        rare = f"UPDATE jobs SET kind = 'rare' WHERE state = 'dead' ORDER BY RAND(1) LIMIT {arguments.rare}"  # noqa: S608
        with database.write() as session:
            session.execute(text(rare))
            session.commit()
        print(f"{rows:,} dead jobs, {arguments.rare} of a rare kind")  # noqa: T201 # its output
        _measure(database)


def _measure(database: Database) -> None:
    started = time.perf_counter()
    count = redriving.count_redrivable(database, Chosen(kind="rare"))
    print(f"count            {time.perf_counter() - started:7.2f} s, {count}")  # noqa: T201
    stop, taken = threading.Event(), list[float]()
    worker = threading.Thread(target=_work, args=(StoreHarness(database), stop, taken))
    worker.start()
    started = time.perf_counter()
    done = redriving.redrive_jobs(database, Chosen(kind="rare"), by="ann", per_second=1000)
    seconds = time.perf_counter() - started
    stop.set()
    worker.join()
    print(f"redrive          {seconds:7.2f} s, {done}")  # noqa: T201
    worst, usual = max(taken) * 1000, statistics.median(taken) * 1000
    print(f"a job meanwhile  {usual:7.1f} ms usually, {worst:.1f} ms at worst, of {len(taken)}")  # noqa: T201


def _work(store: StoreHarness, stop: threading.Event, taken: list[float]) -> None:
    while not stop.is_set():
        started = time.perf_counter()
        store.transition(transitions.die, store.start(), ERROR)
        taken.append(time.perf_counter() - started)


if __name__ == "__main__":
    main()
