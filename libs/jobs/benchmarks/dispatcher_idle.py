"""Measure what a dispatcher of two stores costs while there is nothing to do: at most 2 % of a core.

    python libs/jobs/benchmarks/dispatcher_idle.py --url mysql+pymysql://user:password@127.0.0.1/any

`--busy` measures the minute after a job instead, in which it looks each 40 ms. CPU time of this process, with both
stores' threads; the databases' own is not in it. Nothing is published: the broker is one that takes everything.
"""

import argparse
import tempfile
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from uuid import UUID

from common.db import Database
from common.testing.databases import DatabaseSource, MySQLDatabases, SQLiteDatabases
from jobs.database_time import database_time
from jobs.dispatcher import Pace, StoreDispatcher
from jobs.models import Base, Job
from jobs.states import JobState
from jobs.testing import StoreHarness
from sqlalchemy import update

STORES = ("api", "auth")


class Nowhere:
    """A broker."""

    def batch(self) -> AbstractContextManager[None]:
        return nullcontext()

    def publish(self, store: str, job_id: UUID, queue: str) -> None:
        """Take it."""

    def count_waiting(self, store: str, queue: str) -> int:
        return 1


def main() -> None:
    arguments = _parse_arguments()
    source = _databases(arguments.url)
    try:
        databases = {store: source.open(source.acquire(Base.metadata)) for store in STORES}
        for database in databases.values():
            _fill(database, arguments.rows)
        share = _measure(databases, arguments.seconds, is_busy=arguments.busy)
    finally:
        source.drop_all()
    print(f"{'busy' if arguments.busy else 'idle'}: {share:.2%} of a core for {len(STORES)} stores (at most 2 % idle)")  # noqa: T201 # its output


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases) or sqlite://")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rows", type=int, default=1000, help="finished jobs in each store")
    parser.add_argument("--busy", action="store_true")
    return parser.parse_args()


def _databases(url: str) -> DatabaseSource:
    if url.startswith("sqlite"):
        return SQLiteDatabases(Path(tempfile.mkdtemp()))
    return MySQLDatabases(url, "bench")


def _fill(database: Database, rows: int) -> None:
    store = StoreHarness(database)
    for _ in range(rows):
        store.enqueue()
    with database.write() as session:
        session.execute(update(Job).values(state=JobState.SUCCEEDED, finished_at=database_time()))
        session.commit()


def _measure(databases: dict[str, Database], seconds: float, *, is_busy: bool) -> float:
    stop = threading.Event()
    dispatchers = [StoreDispatcher(name, database, Nowhere(), Pace(), stop) for name, database in databases.items()]
    threads = [threading.Thread(target=each.run) for each in dispatchers]
    for database in databases.values():
        if is_busy:
            StoreHarness(database).enqueue()
    for thread in threads:
        thread.start()
    time.sleep(2)  # connections, the first purge
    started, cpu = time.monotonic(), time.process_time()
    time.sleep(seconds)
    share = (time.process_time() - cpu) / (time.monotonic() - started)
    stop.set()
    for thread in threads:
        thread.join()
    return share


if __name__ == "__main__":
    main()
