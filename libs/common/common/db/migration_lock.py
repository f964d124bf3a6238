"""One migration at a time: a named lock of the MySQL server, or a lock on a file beside the SQLite file."""

import fcntl
import hashlib
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine

_POLL_SECONDS = 0.05


class LockNotAcquiredError(RuntimeError):
    """Another process has been migrating this database for the whole time we were willing to wait."""


@contextmanager
def locked_connection(engine: Engine, *, wait_seconds: float) -> Iterator[Connection]:
    """A connection of the engine, while nobody else holds one from here to the same database.

    Raises LockNotAcquiredError after `wait_seconds`.
    """
    if engine.dialect.name == "mysql":
        # The lock belongs to the migrating connection itself: when that dies, the server frees the lock.
        with engine.connect() as connection:
            _take_server_lock(connection, wait_seconds)
            try:
                yield connection
            finally:
                connection.invalidate()
    else:
        # Before the first connection: of two that create a file and switch it to WAL at once, one fails.
        with _file_lock(Path(engine.url.database or "").absolute(), wait_seconds), engine.connect() as connection:
            yield connection


def _take_server_lock(connection: Connection, wait_seconds: float) -> None:
    # The names of GET_LOCK belong to the whole server and have at most 64 characters.
    database = connection.engine.url.database or ""
    name = "redprint-migrate-" + hashlib.sha256(database.encode()).hexdigest()[:32]
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute("SELECT GET_LOCK(%s, %s)", (name, wait_seconds))
        row = cursor.fetchone()
    if row is None or row[0] != 1:
        raise LockNotAcquiredError(_waited(database, wait_seconds))


@contextmanager
def _file_lock(file: Path, wait_seconds: float) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    with file.with_name(file.name + ".migrate.lock").open("a") as lock:
        while not _try_lock(lock.fileno()):
            if time.monotonic() >= deadline:
                raise LockNotAcquiredError(_waited(str(file), wait_seconds))
            time.sleep(_POLL_SECONDS)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _waited(database: str, seconds: float) -> str:
    return f"another process has been migrating {database} for more than {seconds:g} s; try again when it is done"
