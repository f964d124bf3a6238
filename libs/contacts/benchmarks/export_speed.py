"""Measure exports, and compare them with a bare SELECT of the same rows in the same run.

    python libs/contacts/benchmarks/export_speed.py --url mysql+pymysql://user:password@127.0.0.1/any --rows 20000

Bare: the driver alone, pages of 1,000 rows, nothing done with them. Export: contacts to a file committed in chunks,
with a progress row in each. They alternate; the ratio is the median of the rounds'.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from uuid import UUID

from common.db import Database
from common.testing.scratch import scratch_database
from contacts.models import Base
from exporting import export, fill, prepare
from people import FIELDS

PAGE_ROWS = 1000


def main() -> None:
    arguments = _parse_arguments()
    with scratch_database(arguments.url, Base.metadata) as database:
        prepare(database)
        owner_id = fill(database, arguments.rows)
        _compare(database, owner_id, arguments.rows, arguments.rounds)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--url", required=True, help="mysql+pymysql://... (a user that may create databases) or sqlite://"
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _compare(database: Database, owner_id: UUID, rows: int, rounds: int) -> None:
    ratios: dict[str, list[float]] = {"csv": [], "ndjson": []}
    for _ in range(rounds):
        bare = rows / _timed(lambda: _select_bare(database, owner_id))
        rates = {name: rows / _timed(lambda name=name: _export(database, owner_id, name, rows)) for name in ratios}  # type: ignore[misc] # mypy cannot infer a lambda with a default
        shown = "   ".join(f"{name} {rate:9,.0f} rows/s" for name, rate in rates.items())
        print(f"bare {bare:9,.0f} rows/s   {shown}")  # noqa: T201 # its output
        for name, rate in rates.items():
            ratios[name].append(rate / bare)
    for name, values in ratios.items():
        print(f"{name}: {statistics.median(values):.2f} of bare (median of {rounds}, best {max(values):.2f})")  # noqa: T201


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _export(database: Database, owner_id: UUID, file_format: str, rows: int) -> None:
    if export(database, owner_id, file_format).rows != rows:
        raise SystemExit("not all contacts were exported")


def _select_bare(database: Database, owner_id: UUID) -> None:
    mark = "%s" if database.dialect_name == "mysql" else "?"
    names = ", ".join(("id", *FIELDS))
    statement = (
        f"SELECT {names} FROM contacts WHERE owner_id = {mark} AND deleted_at IS NULL AND id > {mark} "  # noqa: S608 # names of ours
        f"ORDER BY owner_id, id LIMIT {PAGE_ROWS}"
    )
    connection = database.engine.raw_connection()
    cursor = connection.cursor()
    after = bytes(16)
    while True:
        cursor.execute(statement, (owner_id.bytes, after))
        page = cursor.fetchall()
        if not page:
            break
        after = page[-1][0]
    cursor.close()
    connection.close()


if __name__ == "__main__":
    main()
