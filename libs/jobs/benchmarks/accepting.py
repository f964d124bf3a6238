"""Compare accepting a job with a bare INSERT and COMMIT of the same row, in the same run.

    python libs/jobs/benchmarks/accepting.py --url mysql+pymysql://user:password@127.0.0.1/any

Bare: BEGIN, INSERT, COMMIT by the driver alone, on one connection, of a row whose values were converted for the driver
beforehand. Accepted is a job as a request accepts it, with a connection from the pool, a payload that is checked and
dumped, and the limit of unfinished jobs of its owner: `alone`, when the job is all there is to write (an export), by
`run_statement`; `within`, in the transaction of a session that could write more (an import and its file). The ratio is
what all of ours costs, of which the limit is the one part that grows: MySQL counts the unfinished jobs of the owner in
an index. Owners with different numbers of them are measured, and each keeps its number: what was accepted is finished
at once, outside the measured time.

They take turns in changing order, so that all meet the same machine; a round's ratio is that of its medians. A job that
is accepted alone should take 1.5 times as long as bare at most while its owner has up to a hundred.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any
from uuid import UUID

from common.clock import utc_now
from common.db import Database, run_statement, run_write
from common.ids import new_id
from jobs.enqueue import enqueue
from jobs.kinds import job_kind
from jobs.models import Job
from jobs.states import JobState
from jobs.testing import Numbers
from sqlalchemy import Connection, Table, insert, update
from sqlalchemy.orm import Session
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
    connection = database.engine.raw_connection()
    with closing(connection), closing(connection.cursor()) as cursor:
        works: dict[str, Callable[[], object]] = {"bare": lambda: _insert_bare(cursor, statement, next(rows))}
        for number in unfinished:
            owner = _owner_with(database, number)
            works[f"alone, {number} unfinished"] = partial(_accept_alone, database, owner)
            works[f"within, {number} unfinished"] = partial(_accept_within, database, owner)
        _take_turns(database, works, WARM_UP)
        ratios = [_report(_take_turns(database, works, turns)) for _ in range(rounds)]
    for name in ratios[0]:
        of_rounds = [ratio[name] for ratio in ratios]
        median, least, most = statistics.median(of_rounds), min(of_rounds), max(of_rounds)
        print(f"{name}: {median:.2f} of {least:.2f} to {most:.2f}")  # noqa: T201


def _take_turns(database: Database, works: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """The seconds each work took in each turn; the order changes, so that none always follows the same."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    order = list(works)
    for _ in range(turns):
        random.shuffle(order)
        for name in order:
            started = time.perf_counter()
            made = works[name]()
            seconds[name].append(time.perf_counter() - started)
            if isinstance(made, UUID):
                _finish(database, made)
    return seconds


def _report(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Print the medians of a round; give the ratios."""
    medians = {name: statistics.median(taken) * 1000 for name, taken in seconds.items()}
    bare = medians.pop("bare")
    parts = [f"{name}: {each:.2f} ms" for name, each in medians.items()]
    print(f"load {os.getloadavg()[0]:.1f}   bare {bare:.2f} ms   {'   '.join(parts)}")  # noqa: T201
    return {name: each / bare for name, each in medians.items()}


def _accept_alone(database: Database, owner: UUID) -> UUID:
    job_id = new_id()
    return run_statement(database, lambda connection: _accept(connection, owner, job_id))


def _accept_within(database: Database, owner: UUID) -> UUID:
    return run_write(database, lambda session: _accept(session, owner, None))


def _accept(session: Session | Connection, owner: UUID, job_id: UUID | None) -> UUID:
    payload = Numbers(count=1)
    job = enqueue(session, owner_id=owner, kind=KIND, payload=payload, max_unfinished=LIMIT, job_id=job_id)
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
