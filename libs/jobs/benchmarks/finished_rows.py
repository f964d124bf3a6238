"""Measure how much slower claims, lists and polls get in a table with a million finished jobs.

    python libs/jobs/benchmarks/finished_rows.py --url mysql+pymysql://user:password@127.0.0.1/any

Two stores on one server, one of them full; each operation is done in both in turns, so that both meet the same machine.
The medians should grow by less than 20 %. Filling takes a minute or two.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from uuid import UUID

from common.db import Database
from common.ids import new_id
from jobs import transitions
from jobs.dispatcher import picking
from jobs.lease import Lease
from jobs.models import Job
from jobs.testing import StoreHarness
from jobs.use_cases import list_jobs
from sqlalchemy import insert, text
from sqlalchemy.orm import Session
from stack import scratch_store

FIRST = 1000
OWNERS = 1000
BATCH = 20_000
LIST = 20
LIMIT = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="mysql+pymysql://... (may create databases)")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=300)
    arguments = parser.parse_args()
    with scratch_store(arguments.url) as small, scratch_store(arguments.url) as full:
        fill(small, FIRST)
        rows = fill(full, arguments.rows)
        print(f"{FIRST:,} and {rows:,} finished jobs")  # noqa: T201 # its output
        operations = [_operations(small), _operations(full)]
        for name in operations[0]:
            _compare(name, [each[name] for each in operations], arguments.turns)


def _compare(name: str, works: list[Callable[[], object]], turns: int) -> None:
    seconds: list[list[float]] = [[], []]
    for _ in range(turns):
        for work, taken in zip(works, seconds, strict=True):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
    small, full = (statistics.median(taken[turns // 10 :]) * 1000 for taken in seconds)
    print(f"{name:16} {small:6.2f} ms  {full:6.2f} ms  {full / small - 1:+.0%} (less than +20 %)")  # noqa: T201


def _operations(database: Database) -> dict[str, Callable[[], object]]:
    """What is measured; all of it on jobs made beside the finished ones."""
    store = StoreHarness(database)
    for _ in range(LIST * 2):
        store.transition(transitions.succeed, store.start(), None)
    waiting = [store.enqueue() for _ in range(500)]
    number = count()

    def claim_and_finish() -> None:
        lease = store.claim(waiting[next(number)])
        if lease is None:
            raise LookupError("the job could not be claimed")
        with database.write() as session:
            transitions.succeed(session, Lease(lease.job_id, lease.fence), None)
            session.commit()

    def list_newest() -> None:
        with database.read() as session:
            list_jobs(session, store.owner_id, LIST, None)

    return {
        "accept": lambda: store.enqueue(max_unfinished=LIMIT),
        "claim and finish": claim_and_finish,
        "list": list_newest,
        "poll": lambda: picking.has_due(database),
    }


def _succeed(session: Session, lease: Lease) -> bool:
    return transitions.succeed(session, lease, {"sum": 1})


def fill(
    database: Database,
    rows: int,
    *,
    age: timedelta = timedelta(),
    end: Callable[[Session, Lease], bool] = _succeed,
) -> int:
    """Jobs of many owners that ended `age` ago; made by doubling, which the server does by itself."""
    store = StoreHarness(database)
    done = store.start()
    store.transition(end, done)
    job = store.job(done.job_id)
    row = {column.name: getattr(job, column.name) for column in Job.__table__.columns}
    row["finished_at"] -= age
    owners = [new_id() for _ in range(OWNERS)]
    with database.write() as session:
        session.execute(insert(Job), [row | _own(owners[n % OWNERS]) for n in range(min(rows, FIRST) - 1)])
        session.commit()
    made = min(rows, FIRST)
    names = [column.name for column in Job.__table__.columns if column.name != "id"]
    while made < rows:
        made += _copy(database, names, min(made, rows - made, BATCH))
    with database.write() as session:
        session.execute(text("ANALYZE TABLE jobs"))
        session.commit()
    return made


def _own(owner: UUID) -> dict[str, UUID]:
    return {"id": new_id(), "owner_id": owner}


def _copy(database: Database, names: list[str], rows: int) -> int:
    """Copies with ids of the same time and random ends, and other ends of their lives, a minute apart at most."""
    taken = ", ".join(names)
    copied = taken.replace("finished_at", "finished_at - INTERVAL FLOOR(RAND() * 60000) MICROSECOND")
    new_ids = "CONCAT(LEFT(id, 8), RANDOM_BYTES(8))"
    statement = f"INSERT INTO jobs (id, {taken}) SELECT {new_ids}, {copied} FROM jobs LIMIT {rows}"  # noqa: S608 # names of ours
    with database.write() as session:
        session.execute(text(statement))
        session.commit()
    return rows


if __name__ == "__main__":
    main()
