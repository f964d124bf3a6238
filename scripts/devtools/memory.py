"""scripts/memory: what memory small and large imports, exports and downloads need; it must not grow with the file."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pymysql
from common.db import migrate
from sqlalchemy import URL, make_url

from devtools import say
from devtools.live import TIMES, Client, LiveStack, Unexpected, pick_ports, write_contacts
from devtools.run.prepare import make_folders, make_keys
from devtools.run.stack import Stack
from devtools.testing import mysql_for_tests

SIZES = (10_000, 1_000_000)
ALLOWED_GROWTH = 1.2
SAMPLE_SECONDS = 0.05
MIB = 1024 * 1024
TIMEOUT_SECONDS = 1800

Peaks = dict[str, int]
"""The most bytes a process needed, by what it did."""


class PeakMemory(threading.Thread):
    """Watches a process and its children until told to stop; `peak_bytes` is the largest sum of their resident memory.

    Resident, as top and a container's limit see it: pages that a fork still shares count in both processes, so copying
    them, which every long job does sooner or later, does not look like growth.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._root = psutil.Process(pid)
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident, self._tree())))
            if self._stop_asked.wait(SAMPLE_SECONDS):
                return

    def stop(self) -> int:
        """Stop watching and return the peak."""
        self._stop_asked.set()
        self.join()
        return self.peak_bytes

    def _tree(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]


def main() -> int:
    """Print the peaks of both sizes; 1 if the large one needs over 20 % more, or there is no MySQL."""
    with mysql_for_tests() as (address, reason), tempfile.TemporaryDirectory() as folder:
        if address is None:
            say.note(f"memory: this is measured on MySQL, and there is none: {reason}.")
            return 1
        small, large = (_measure(address, Path(folder) / str(rows), rows) for rows in SIZES)
    growths = {name: large[name] / small[name] for name in small}
    for name, growth in growths.items():
        say.result(
            f"{name}: {SIZES[1]:,} rows need {growth:.2f} times the memory of {SIZES[0]:,}; "
            f"up to {ALLOWED_GROWTH} is allowed."
        )
    return int(max(growths.values()) > ALLOWED_GROWTH)


def _measure(address: str, folder: Path, rows: int) -> Peaks:
    """Import, export and download so many rows with processes of their own; the first of each also loads its code."""
    peaks: Peaks = {}
    with _databases(address) as (auth_database, api_database), _running(folder, auth_database, api_database) as live:
        client = Client(live.stack.auth_url, live.stack.api_url)
        job = client.import_file(write_contacts(folder / "contacts.csv", rows))
        with _watching(live, "worker", "import", rows, peaks):
            done = client.wait_for_success(job, TIMEOUT_SECONDS)
        _check(done["result"]["created"], rows)
        client.token = client.log_in()  # the import may have outlasted the first one
        with _watching(live, "worker", "export", rows, peaks):
            done = client.wait_for_success(client.export(), TIMEOUT_SECONDS)
        _check(done["result"]["rows"], rows)
        client.token = client.log_in()
        with _watching(live, "api", "download", rows, peaks):
            lines = client.count_lines(done["links"]["result"])
        _check(lines - 1, rows)
    return peaks


@contextmanager
def _watching(live: LiveStack, service: str, name: str, rows: int, peaks: Peaks) -> Iterator[None]:
    """Note and print the peak of a service while the block runs."""
    peak, started = PeakMemory(live.pid(service)), time.monotonic()
    peak.start()
    try:
        yield
    finally:
        peaks[name] = peak.stop()
    seconds = time.monotonic() - started
    say.result(
        f"{name:>8} of {rows:>9,} rows: {service} {peaks[name] / MIB:.1f} MiB at most, {rows / seconds:,.0f} rows/s"
    )


def _check(found: int, rows: int) -> None:
    if found != rows:
        raise Unexpected(f"{found} of {rows} rows")


@contextmanager
def _running(folder: Path, auth_database: str, api_database: str) -> Iterator[LiveStack]:
    make_folders(folder)
    stack = Stack(folder, pick_ports(), auth_database, api_database, extra={**TIMES, "WORKER_CONCURRENCY": "1"})
    make_keys(stack)
    live = LiveStack(stack)
    try:
        live.start_all()
        yield live
    finally:
        live.end()


@contextmanager
def _databases(address: str) -> Iterator[tuple[str, str]]:
    """Give two migrated databases and drop them afterwards."""
    server = make_url(address)
    names = [f"redprint_memory_{uuid4().hex[:8]}_{name}" for name in ("auth", "api")]
    urls = [server.set(database=name).render_as_string(hide_password=False) for name in names]
    _execute(server, [f"CREATE DATABASE `{name}`" for name in names])
    try:
        for url, package in zip(urls, ("auth_service", "api_service"), strict=True):
            migrate(url, package)
        yield urls[0], urls[1]
    finally:
        _execute(server, [f"DROP DATABASE `{name}`" for name in names])


def _execute(server: URL, statements: list[str]) -> None:
    connection = pymysql.connect(
        host=server.host, port=server.port or 3306, user=server.username, password=server.password
    )
    with closing(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:  # ended between listing and asking
        return 0
