"""Compare the whole import with a bare `executemany` of the same rows, in the same run.

    python libs/contacts/benchmarks/import_speed.py --url mysql+pymysql://user:password@127.0.0.1/any --rows 20000

Bare: rows made beforehand, the driver alone, a commit every 1,000 rows. Import: CSV text to committed contacts, with
the look-up of existing ids and a progress row in each step. They alternate; the ratio is the median of the rounds'.
It should be 0.5 or more.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from common.clock import utc_now
from common.db import Database
from common.ids import new_id
from common.testing.scratch import scratch_database
from contacts import imports
from contacts.models import Base
from contacts.testing import Step
from people import FIELDS, people, write_csv
from sqlalchemy import text

CHUNK_ROWS = 1000
_COLUMNS = ("id", "owner_id", *FIELDS, "version", "created_at", "updated_at")


def main() -> None:
    arguments = _parse_arguments()
    with scratch_database(arguments.url, Base.metadata) as database:
        with database.write() as session:
            session.execute(text("CREATE TABLE progress (id INT PRIMARY KEY, checkpoint TEXT)"))
            session.execute(text("INSERT INTO progress VALUES (1, '')"))
            session.commit()
        _compare(database, arguments.rows, arguments.rounds)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--url", required=True, help="mysql+pymysql://... (a user that may create databases) or sqlite://"
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _compare(database: Database, rows: int, rounds: int) -> None:
    data = b"".join(write_csv(rows))
    tuples = _tuples(database, rows)
    ratios: dict[str, list[float]] = {"import, all new": [], "import, all there (update)": []}
    for _ in range(rounds):
        bare = rows / _timed(database, lambda: _insert_bare(database, tuples))
        new = rows / _timed(database, lambda: _import(database, data, "error"))
        there = rows / _timed(database, lambda: _import(database, data, "update"), keep=True)
        print(f"bare {bare:9,.0f} rows/s   import {new:9,.0f} rows/s   again {there:9,.0f} rows/s")  # noqa: T201 # its output
        for name, rate in zip(ratios, (new, there), strict=True):
            ratios[name].append(rate / bare)
    for name, values in ratios.items():
        print(f"{name}: {statistics.median(values):.2f} of bare (median of {rounds}, best {max(values):.2f})")  # noqa: T201


def _timed(database: Database, work: Callable[[], None], *, keep: bool = False) -> float:
    if not keep:
        # A new table: deleting a million rows takes longer than writing them.
        Base.metadata.drop_all(database.engine)
        Base.metadata.create_all(database.engine)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


OWNER = new_id()


def _tuples(database: Database, rows: int) -> list[tuple[Any, ...]]:
    now = utc_now().replace(tzinfo=None)
    stamp = now if database.dialect_name == "mysql" else str(now)
    return [
        (new_id().bytes, OWNER.bytes, *(person[:10]), person[10] or "[]", None, 1, stamp, stamp)
        for person in people(rows)
    ]


def _insert_bare(database: Database, tuples: list[tuple[Any, ...]]) -> None:
    mark = "%s" if database.dialect_name == "mysql" else "?"
    names, marks = ", ".join(_COLUMNS), ", ".join(mark for _ in _COLUMNS)
    connection = database.engine.raw_connection()
    cursor = connection.cursor()
    for start in range(0, len(tuples), CHUNK_ROWS):
        cursor.execute("BEGIN")
        cursor.executemany(f"INSERT INTO contacts ({names}) VALUES ({marks})", tuples[start : start + CHUNK_ROWS])  # noqa: S608 # names of ours
        cursor.execute("COMMIT")
    cursor.close()
    connection.close()


def _import(database: Database, data: bytes, on_conflict: str) -> None:
    payload = imports.ImportPayload(
        file_id=new_id(), on_conflict=imports.OnConflict(on_conflict), max_bytes=100 * 1024 * 1024
    )

    @contextmanager
    def step() -> Iterator[Step]:
        with database.write() as session:
            opened = Step(session)
            yield opened
            checkpoint = {"checkpoint": json.dumps(opened.checkpoint)}
            session.execute(text("UPDATE progress SET checkpoint = :checkpoint WHERE id = 1"), checkpoint)
            session.commit()

    imports.run(io.BytesIO(data), payload, owner_id=OWNER, checkpoint=None, step=step, check=lambda: None)


if __name__ == "__main__":
    main()
