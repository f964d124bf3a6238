"""A database for one run of a benchmark, on the server a URL names."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.db import Database
from contacts.models import Base
from sqlalchemy import make_url, text


@contextmanager
def scratch_database(url: str) -> Iterator[Database]:
    """Make an empty database with the contacts tables, and drop it at the end.

    MySQL: a new one on the server of the URL, whose user may create databases. SQLite: a file in a temporary folder.
    """
    if make_url(url).get_backend_name() == "sqlite":
        with tempfile.TemporaryDirectory() as folder, _opened(f"sqlite:///{Path(folder, 'bench.db')}") as database:
            yield database
        return
    name = f"redprint_bench_{secrets.token_hex(4)}"
    # No database is needed to make one: that of the URL may not exist.
    server_url = make_url(url).set(database="").render_as_string(hide_password=False)
    with _opened(server_url, has_tables=False) as server:
        _run(server, f"CREATE DATABASE {name}")
        try:
            own_url = make_url(url).set(database=name).render_as_string(hide_password=False)
            with _opened(own_url) as database:
                yield database
        finally:
            _run(server, f"DROP DATABASE {name}")


@contextmanager
def _opened(url: str, *, has_tables: bool = True) -> Iterator[Database]:
    database = Database(url, pool_size=2, read_timeout_seconds=600)
    try:
        if has_tables:
            Base.metadata.create_all(database.engine)
        yield database
    finally:
        database.dispose()


def _run(database: Database, statement: str) -> None:
    with database.write() as session:
        session.execute(text(statement))
        session.commit()
