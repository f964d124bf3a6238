"""Compare the peak memory of importing few and many rows: the file must not be in it.

    python libs/contacts/benchmarks/import_memory.py --url mysql+pymysql://user:password@127.0.0.1/any

Each import runs in a process of its own, from a file on disk as a job's file is read: in pieces. The ratio should be
1.2 or less.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common.testing.scratch import scratch_database
from contacts.imports import ImportResult
from contacts.models import Base
from contacts.testing import Importer
from people import write_csv

MAX_BYTES = 1024 * 1024 * 1024


def main() -> None:
    arguments = _parse_arguments()
    if arguments.only is not None:
        _import_and_report(arguments.url, arguments.only)
        return
    few, many = (_peak_in_own_process(arguments.url, rows) for rows in (arguments.few, arguments.many))
    print(f"ratio {many / few:.3f} (at most 1.2)")  # noqa: T201 # its output
    sys.exit(0 if many / few <= 1.2 else 1)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--url", required=True, help="mysql+pymysql://... (a user that may create databases) or sqlite://"
    )
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--only", type=int, help="import so many rows in this process and print its peak in KiB")
    return parser.parse_args()


def _peak_in_own_process(url: str, rows: int) -> int:
    started = time.monotonic()
    command = [sys.executable, __file__, "--url", url, "--only", str(rows)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 # this very script
    peak_kib = int(done.stdout)
    print(f"{rows:,} rows: peak {peak_kib / 1024:.1f} MiB, {time.monotonic() - started:.0f} s")  # noqa: T201
    return peak_kib


def _import_and_report(url: str, rows: int) -> None:
    with tempfile.NamedTemporaryFile() as file, scratch_database(url, Base.metadata) as database:
        for piece in write_csv(rows):
            file.write(piece)
        file.flush()
        with Path(file.name).open("rb") as source:
            result = Importer(database).run(source, max_bytes=MAX_BYTES)
        if result != ImportResult(rows=rows, created=rows):
            raise SystemExit(f"not all rows were imported: {result}")
        print(_peak_kib())  # noqa: T201


def _peak_kib() -> int:
    """The high-water mark of this process; that of getrusage would count its parent's, from before exec."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise SystemExit("this needs Linux: /proc/self/status has no VmHWM")


if __name__ == "__main__":
    main()
