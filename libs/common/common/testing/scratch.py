"""A database for one run of a benchmark, on the server a URL names."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import MetaData, make_url, text

from common.db import Database

# Statements over a million rows, with other work on the machine.
_READ_TIMEOUT_SECONDS = 600


@contextmanager
def scratch_database(url: str, tables: MetaData, *, pool_size: int = 4) -> Iterator[Database]:
    """Make an empty database with these tables, and drop it at the end.

    MySQL: a new one on the server of the URL, whose user may create databases. SQLite: a file in a temporary folder.
    """
    if make_url(url).get_backend_name() == "sqlite":
        with (
            tempfile.TemporaryDirectory() as folder,
            _opened(f"sqlite:///{Path(folder, 'bench.db')}", pool_size) as database,
        ):
            tables.create_all(database.engine)
            yield database
        return
    name = f"redprint_bench_{secrets.token_hex(4)}"
    # No database is needed to make one: that of the URL may not exist.
    with _opened(_with_database(url, ""), pool_size=1) as server:
        _run(server, f"CREATE DATABASE {name}")
        try:
            with _opened(_with_database(url, name), pool_size) as database:
                tables.create_all(database.engine)
                yield database
        finally:
            _run(server, f"DROP DATABASE {name}")


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def _opened(url: str, pool_size: int) -> Iterator[Database]:
    database = Database(url, pool_size=pool_size, read_timeout_seconds=_READ_TIMEOUT_SECONDS)
    try:
        yield database
    finally:
        database.dispose()


def _run(server: Database, statement: str) -> None:
    with server.write() as session:
        session.execute(text(statement))
        session.commit()
