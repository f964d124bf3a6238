"""scripts/memory: how much memory a worker needs for a small and for a large import; it must not grow with the file."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pymysql
from common.db import migrate
from sqlalchemy import URL, make_url

from devtools import say
from devtools.live import TIMES, Client, LiveStack, pick_ports, write_contacts
from devtools.run.prepare import make_folders, make_keys
from devtools.run.stack import Stack
from devtools.testing import mysql_for_tests

SIZES = (10_000, 1_000_000)
ALLOWED_GROWTH = 1.2
SAMPLE_SECONDS = 0.05
MIB = 1024 * 1024


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
        while not self._stop_asked.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident, self._tree())))

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
        peaks = [_measure(address, Path(folder) / str(rows), rows) for rows in SIZES]
    growth = peaks[1] / peaks[0]
    say.result(
        f"{SIZES[1]:,} rows need {growth:.2f} times the memory of {SIZES[0]:,}; up to {ALLOWED_GROWTH} is allowed."
    )
    return int(growth > ALLOWED_GROWTH)


def _measure(address: str, folder: Path, rows: int) -> int:
    """Import so many rows with a worker of its own; the first import of a worker also loads its code."""
    with _databases(address) as (auth_database, api_database), _running(folder, auth_database, api_database) as live:
        client = Client(live.stack.auth_url, live.stack.api_url)
        job = client.import_file(write_contacts(folder / "contacts.csv", rows))
        peak = PeakMemory(live.pid("worker"))
        peak.start()
        done = client.wait_for_success(job, timeout_seconds=1200)
        used = peak.stop()
    say.result(f"{done['result']['created']:>9,} rows: {used / MIB:.1f} MiB at most")
    return used


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
