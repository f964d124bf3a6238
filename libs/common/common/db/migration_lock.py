"""One migration at a time: a named lock of the MySQL server, or a lock on a file beside the SQLite file."""

import fcntl
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

_POLL_SECONDS = 0.05


class LockNotAcquiredError(RuntimeError):
    """Another process has been migrating this database for the whole time we were willing to wait."""


@contextmanager
def migration_lock(engine: Engine, *, wait_seconds: float) -> Iterator[None]:
    """Hold the lock of the engine's database for the block. Raises LockNotAcquiredError after `wait_seconds`."""
    hold = _server_lock if engine.dialect.name == "mysql" else _file_lock
    with hold(engine, wait_seconds):
        yield


@contextmanager
def _server_lock(engine: Engine, wait_seconds: float) -> Iterator[None]:
    # The names of GET_LOCK belong to the whole server and have at most 64 characters.
    database = engine.url.database or ""
    name = "redprint-migrate-" + hashlib.sha256(database.encode()).hexdigest()[:32]
    # A connection of its own: the server frees the lock when this process, and so the connection, dies.
    with engine.execution_options(read_only=True).connect() as connection:
        if connection.scalar(text("SELECT GET_LOCK(:name, :wait)"), {"name": name, "wait": wait_seconds}) != 1:
            raise LockNotAcquiredError(_waited(database, wait_seconds))
        try:
            yield
        finally:
            connection.scalar(text("SELECT RELEASE_LOCK(:name)"), {"name": name})


@contextmanager
def _file_lock(engine: Engine, wait_seconds: float) -> Iterator[None]:
    file = Path(engine.url.database or "").absolute()
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
