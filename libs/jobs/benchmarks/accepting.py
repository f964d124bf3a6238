"""Compare accepting a job (enqueue and commit) with a bare INSERT and COMMIT of the same row, in the same run.

    python libs/jobs/benchmarks/accepting.py --url mysql+pymysql://user:password@127.0.0.1/any

Bare: BEGIN, INSERT, COMMIT by the driver alone, on one connection, of a row whose values were converted for the driver
beforehand. Accepted: as a request does it, with a session from the pool, a payload that is checked and dumped, and the
limit of unfinished jobs of its owner. So the ratio is what all of ours costs, of which the limit is the one part that
grows: MySQL counts the unfinished jobs of the owner in an index. Owners with different numbers of them are measured,
and each keeps its number: what was accepted is finished at once, outside the measured time.

They take turns, so that all meet the same machine; a round's ratio is that of its medians. On MySQL it should be 1.5
or less. It is not yet: 1.6 to 1.7 with up to a hundred unfinished jobs on two slow cores with nothing else to do, of
which the statement takes a quarter and the session the rest; each thousand more costs up to a millisecond. On SQLite,
whose commits wait for no disk, it is about 5: all of it is the time Python takes, less than a millisecond.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from jobs.enqueue import enqueue
from jobs.kinds import job_kind
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import Numbers
from sqlalchemy import Table, insert, update
from stack import scratch_store

KIND = job_kind("noop", 1, payload=Numbers)
LIMIT = 10_000
WARM_UP = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases) or sqlite://")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=200, help="of each round")
    parser.add_argument("--unfinished", type=int, nargs="+", default=[0, 100, 1000], help="jobs of an owner")
    arguments = parser.parse_args()
    with scratch_store(arguments.url) as database:
        _compare(database, arguments.rounds, arguments.turns, arguments.unfinished)


def _compare(database: Database, rounds: int, turns: int, unfinished: list[int]) -> None:
    statement, rows = _bare_rows(database, rounds * turns + WARM_UP)
    owners = [_owner_with(database, number) for number in unfinished]
    connection = database.engine.raw_connection()
    with closing(connection), closing(connection.cursor()) as cursor:
        works: list[Callable[[], object]] = [lambda: _insert_bare(cursor, statement, next(rows))]
        works += [lambda owner=owner: _accept(database, owner) for owner in owners]  # type: ignore[misc] # of a default
        _take_turns(database, works, WARM_UP)
        ratios = [_report(_take_turns(database, works, turns), unfinished) for _ in range(rounds)]
    for number, each in zip(unfinished, zip(*ratios, strict=True), strict=True):
        print(f"{number} unfinished: {statistics.median(each):.2f} of {min(each):.2f} to {max(each):.2f} (at most 1.5)")  # noqa: T201


def _take_turns(database: Database, works: list[Callable[[], object]], turns: int) -> list[list[float]]:
    """The seconds each work took in each turn."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(turns):
        for work, taken in zip(works, seconds, strict=True):
            started = time.perf_counter()
            made = work()
            taken.append(time.perf_counter() - started)
            if isinstance(made, UUID):
                _finish(database, made)
    return seconds


def _report(seconds: list[list[float]], unfinished: list[int]) -> list[float]:
    """Print the medians of a round; give the ratios."""
    bare, *accepted = (statistics.median(taken) * 1000 for taken in seconds)
    parts = [f"{number}: {each:.2f} ms = {each / bare:.2f}" for number, each in zip(unfinished, accepted, strict=True)]
    print(f"load {os.getloadavg()[0]:.1f}   bare {bare:.2f} ms   accepted with unfinished {'   '.join(parts)}")  # noqa: T201
    return [each / bare for each in accepted]


def _accept(database: Database, owner: UUID) -> UUID:
    with database.write() as session:
        job = enqueue(session, owner_id=owner, kind=KIND, payload=Numbers(count=1), max_unfinished=LIMIT)
        session.commit()
    return job.id


def _finish(database: Database, job_id: UUID) -> None:
    with database.statements() as session:
        session.execute(update(Job).where(Job.id == job_id).values(state=JobState.SUCCEEDED, finished_at=utc_now()))


def _owner_with(database: Database, unfinished: int) -> UUID:
    owner = new_id()
    with database.write() as session:
        for _ in range(unfinished):
            enqueue(session, owner_id=owner, kind=KIND, payload=Numbers(count=1))
        session.commit()
    return owner


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
