"""Compare accepting a job (enqueue and commit) with a bare INSERT and COMMIT of the same row, in the same run.

    python libs/jobs/benchmarks/accepting.py --url mysql+pymysql://user:password@127.0.0.1/any

Bare: BEGIN, INSERT, COMMIT by the driver alone, with values made beforehand. Accepted: as a request does it, with the
limit of unfinished jobs of its owner. They take turns, so that both meet the same machine; the ratio is that of the
medians. It should be 1.5 or less.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from jobs.enqueue import enqueue
from jobs.kinds import job_kind
from jobs.models import Job
from jobs.testing import Numbers
from sqlalchemy import Table, insert
from stack import scratch_store

KIND = job_kind("noop", 1, payload=Numbers)
LIMIT = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases) or sqlite://")
    parser.add_argument("--turns", type=int, default=1000)
    arguments = parser.parse_args()
    with scratch_store(arguments.url) as database:
        _compare(database, arguments.turns)


def _compare(database: Database, turns: int) -> None:
    statement, rows = _bare_rows(database, turns + 50)
    connection = database.engine.raw_connection()
    with closing(connection), closing(connection.cursor()) as cursor:
        bare: Callable[[], object] = lambda: _insert_bare(cursor, statement, next(rows))  # noqa: E731 - one line beside the other
        accept = lambda: _accept(database)  # noqa: E731
        for _ in range(50):
            bare(), accept()
        seconds = [(_timed(bare), _timed(accept)) for _ in range(turns)]
    medians = [statistics.median(each) * 1000 for each in zip(*seconds, strict=True)]
    ratio = medians[1] / medians[0]
    print(f"bare {medians[0]:.2f} ms   accepted {medians[1]:.2f} ms: {ratio:.2f} (at most 1.5)")  # noqa: T201 # its output


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


OWNER = new_id()


def _accept(database: Database) -> None:
    with database.write() as session:
        enqueue(session, owner_id=OWNER, kind=KIND, payload=Numbers(count=1), max_unfinished=LIMIT)
        session.commit()


def _bare_rows(database: Database, count: int) -> tuple[str, Iterator[Any]]:
    """The statement and its parameters as the driver takes them, once for each row."""
    jobs, now = Table(Job.__tablename__, Job.metadata), utc_now()
    values = {"owner_id": new_id(), "kind": "noop", "kind_version": 1, "queue": "default", "max_attempts": 8}
    times = {"run_after": now, "created_at": now}
    defaults = {column.name: column.default.arg for column in jobs.columns if column.default is not None}
    compiled = (
        insert(jobs)
        .values(defaults | values | times | {"id": new_id(), "payload": {"count": 1}})
        .compile(database.engine)
    )
    processors = compiled._bind_processors  # noqa: SLF001 # what SQLAlchemy itself does with them
    rows = []
    for _ in range(count):
        row = compiled.params | {"id": new_id()}
        stored = {name: processors[name](value) if name in processors else value for name, value in row.items()}
        rows.append(stored if compiled.positiontup is None else tuple(stored[name] for name in compiled.positiontup))
    return str(compiled), iter(rows)


def _insert_bare(cursor: Any, statement: str, row: Any) -> None:
    cursor.execute("BEGIN")
    cursor.execute(statement, row)
    cursor.execute("COMMIT")


if __name__ == "__main__":
    main()
