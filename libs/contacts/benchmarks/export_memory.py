"""Compare the peak memory of exporting few and many contacts: neither they nor the file must be in it.

    python libs/contacts/benchmarks/export_memory.py --url mysql+pymysql://user:password@127.0.0.1/any

Each export runs in a process of its own, into the file store of a job. The ratio should be 1.2 or less. What a worker
and an api process need for an export and its download is measured by `make memory`.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

from common.db import Database
from common.testing.scratch import scratch_database
from contacts.models import Base
from exporting import export, fill, prepare


def main() -> None:
    arguments = _parse_arguments()
    if arguments.owner is not None:
        _export_and_report(arguments.url, arguments.owner, arguments.format)
        return
    few, many = (_peak(arguments, rows) for rows in (arguments.few, arguments.many))
    print(f"ratio {many / few:.3f} (at most 1.2)")  # noqa: T201 # its output
    sys.exit(0 if many / few <= 1.2 else 1)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--url", required=True, help="mysql+pymysql://... (a user that may create databases) or sqlite://"
    )
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--format", choices=("csv", "ndjson"), default="csv")
    parser.add_argument("--owner", type=UUID, help="export what this owner has there, and print this process's peak")
    return parser.parse_args()


def _peak(arguments: argparse.Namespace, rows: int) -> int:
    with scratch_database(arguments.url, Base.metadata) as database:
        prepare(database)
        owner_id = fill(database, rows)
        url = database.url.set(drivername=database.dialect_name).render_as_string(hide_password=False)
        own = ["--url", url, "--owner", str(owner_id), "--format", arguments.format]
        started = time.monotonic()
        done = subprocess.run([sys.executable, __file__, *own], check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 # this very script
    written, peak_kib = map(int, done.stdout.split())
    if written != rows:
        raise SystemExit(f"{written} of {rows} contacts were exported")
    seconds = time.monotonic() - started
    print(f"{rows:,} rows: peak {peak_kib / 1024:.1f} MiB, {seconds:.0f} s, {rows / seconds:,.0f} rows/s")  # noqa: T201
    return peak_kib


def _export_and_report(url: str, owner_id: UUID, file_format: str) -> None:
    database = Database(url, pool_size=2)
    result = export(database, owner_id, file_format)
    database.dispose()
    print(result.rows, _peak_kib())  # noqa: T201


def _peak_kib() -> int:
    """The high-water mark of this process; that of getrusage would count its parent's, from before exec."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise SystemExit("this needs Linux: /proc/self/status has no VmHWM")


if __name__ == "__main__":
    main()
