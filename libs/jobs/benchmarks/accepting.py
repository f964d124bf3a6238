"""Measure what accepting a job costs beside the bare INSERT and COMMIT of the same row: at most 1.5 times as much.

    python libs/jobs/benchmarks/accepting.py --url mysql+pymysql://user:password@127.0.0.1/any

One thread; both in turn, so that what else the machine does meets both.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from uuid import UUID

from common.db import Database, run_write
from common.db.sessions import WriteSession
from common.ids import new_id
from common.testing.databases import DatabaseSource, MySQLDatabases, SQLiteDatabases
from jobs.enqueue import enqueue
from jobs.kinds import job_kind
from jobs.models import Base, Job
from jobs.testing import Numbers
from sqlalchemy import insert, select

KIND = job_kind("nothing", 1, payload=Numbers)
MAX_UNFINISHED = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases) or sqlite://")
    parser.add_argument("--jobs", type=int, default=2000)
    arguments = parser.parse_args()
    source = _databases(arguments.url)
    try:
        _measure(source.open(source.acquire(Base.metadata)), arguments.jobs)
    finally:
        source.drop_all()


def _measure(database: Database, count: int) -> None:
    owner_id = new_id()
    accept(database, owner_id)
    with database.read() as session:
        row = dict(session.execute(select(Job.__table__)).mappings().one())
    ways: dict[str, Callable[[], object]] = {
        "bare": lambda: insert_bare(database, row),
        "accept": lambda: accept(database, owner_id),
        "capped": lambda: accept(database, owner_id, MAX_UNFINISHED),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(count):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
    bare = median(seconds["bare"])
    for name, each in seconds.items():
        p50, p95 = median(each), quantiles(each, n=20)[18]
        print(f"{name}: p50 {p50 * 1000:.2f} ms, p95 {p95 * 1000:.2f} ms, {p50 / bare:.2f} times the bare one")  # noqa: T201 # its output


def insert_bare(database: Database, row: dict[str, object]) -> None:
    """The row alone, in a transaction."""
    with database.engine.begin() as connection:
        connection.execute(insert(Job.__table__).values({**row, "id": new_id()}))


def accept(database: Database, owner_id: UUID, max_unfinished: int | None = None) -> None:
    """As a service does."""

    def work(session: WriteSession) -> None:
        enqueue(session, owner_id=owner_id, kind=KIND, payload=Numbers(), max_unfinished=max_unfinished)
        session.commit()

    run_write(database, work)


def _databases(url: str) -> DatabaseSource:
    return SQLiteDatabases(Path(tempfile.mkdtemp())) if url.startswith("sqlite") else MySQLDatabases(url, "bench")


if __name__ == "__main__":
    main()
