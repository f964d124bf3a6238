"""Databases for tests: made once for each schema and process, without rows for each test, dropped at the end."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from pymysql import MySQLError
from pymysql.cursors import Cursor
from sqlalchemy import MetaData, QueuePool, make_url

from common.db import Database
from common.db.engine import make_engine
from common.db.migrations import migrate
from common.testing.emptying import empty_tables, end_sessions
from common.testing.users import DatabaseUsers

Schema = str | MetaData | Sequence[MetaData] | None
"""What a test database holds: the migrations of a package, the tables of some metadata, or nothing."""

# More than the threads of any test, so that a test never waits for its own pool.
POOL_SIZE = 8
_PREFIX = "redprint_test"
_LEFTOVER_AGE_SECONDS = 24 * 3600


class DatabaseSource(Protocol):
    """Hands out the databases of one back end."""

    def acquire(self, schema: Schema) -> str:
        """The URL of a database with this schema and no rows, for one test."""

    def release(self, url: str) -> None:
        """The test is over."""

    def as_role(self, url: str, package: str, role: str) -> str:
        """The URL of the same database for a user with what `package` grants to the role, and nothing more."""

    def open(self, url: str) -> Database:
        """The database at a URL of `acquire`."""

    def close(self, database: Database) -> None:
        """The test is over."""

    def drop_all(self) -> None:
        """The session is over."""


def create_schema(url: str, schema: Schema) -> None:
    """Give an empty database its tables."""
    if isinstance(schema, str):
        migrate(url, schema)
        return
    engine = make_engine(url, pool_size=1)
    for metadata in _as_sequence(schema):
        metadata.create_all(engine)
    engine.dispose()


def _as_sequence(schema: MetaData | Sequence[MetaData] | None) -> Sequence[MetaData]:
    if schema is None:
        return ()
    return (schema,) if isinstance(schema, MetaData) else schema


def _key(schema: Schema) -> object:
    return schema if isinstance(schema, str) else tuple(_as_sequence(schema))


class SQLiteDatabases:
    """A file for each test, copied from one template a schema: cheaper than emptying, and no lock can be in the way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._templates: dict[object, Path] = {}

    def acquire(self, schema: Schema) -> str:
        template = self._templates.get(_key(schema))
        if template is None:
            template = self._templates[_key(schema)] = self._new_file()
            create_schema(f"sqlite:///{template}", schema)
        file = self._new_file()
        if template.exists():
            shutil.copyfile(template, file)
        return f"sqlite:///{file}"

    def as_role(self, url: str, package: str, role: str) -> str:
        return url  # who may open the file may do anything with it

    def release(self, url: str) -> None:
        file = Path(_name(url))
        for suffix in ("", "-wal", "-shm", ".migrate.lock"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)

    def open(self, url: str) -> Database:
        return Database(url, pool_size=POOL_SIZE)

    def close(self, database: Database) -> None:
        database.dispose()

    def drop_all(self) -> None:
        shutil.rmtree(self._folder)

    def _new_file(self) -> Path:
        return self._folder / f"{uuid4().hex}.db"


class MySQLDatabases:
    """Databases on one server, named so that parallel runs stay apart and leftovers of killed runs are found."""

    def __init__(self, server_url: str, worker: str) -> None:
        self._server_url = make_url(server_url)
        self._worker = worker
        self._schemas: dict[str, Schema] = {}
        self._free: dict[object, list[str]] = {}
        self._open: dict[str, Database] = {}
        self._granted: dict[tuple[str, str, str], str] = {}
        self._users = DatabaseUsers(self._cursor)
        # A connection to no database: what looks after the databases is not counted among their sessions.
        self._server = make_engine(self._server_url.set(database=""), pool_size=1)
        self._drop_leftovers()

    def acquire(self, schema: Schema) -> str:
        free = self._free.get(_key(schema))
        return free.pop() if free else self._create(schema)

    def as_role(self, url: str, package: str, role: str) -> str:
        key = (url, package, role)
        if key not in self._granted:
            self._granted[key] = self._users.as_role(url, package, role)
        return self._granted[key]

    def new_user(self, url: str, *, migrates: bool = False) -> str:
        """The URL for a user of its own: one that may only connect, or one that may migrate the database."""
        return self._users.migrating(url) if migrates else self._users.new(url)

    def release(self, url: str) -> None:
        if self._schemas[url] is None:
            # The test made the tables; nobody else can use them.
            self._drop(url)
            return
        with self._cursor() as cursor:
            end_sessions(cursor, _name(url), only_in_transaction=True)
            empty_tables(cursor, _name(url))
        self._free.setdefault(_key(self._schemas[url]), []).append(url)

    def open(self, url: str) -> Database:
        if url not in self._open:
            self._open[url] = Database(url, pool_size=POOL_SIZE)
        return self._open[url]

    def close(self, database: Database) -> None:
        # Its pool serves the next test too, unless this one left a session open.
        pool = database.engine.pool
        if isinstance(pool, QueuePool) and pool.checkedout():
            del self._open[next(url for url, opened in self._open.items() if opened is database)]
            database.dispose()

    def drop_all(self) -> None:
        for url in list(self._schemas):
            self._drop(url)
        self._users.drop_all()
        self._server.dispose()

    def _create(self, schema: Schema) -> str:
        name = f"{_PREFIX}_{int(time.time())}_{self._worker}_{uuid4().hex[:8]}"
        url = self._server_url.set(database=name).render_as_string(hide_password=False)
        with self._cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
        self._schemas[url] = schema
        create_schema(url, schema)
        return url

    def _drop(self, url: str) -> None:
        if url in self._open:
            self._open.pop(url).dispose()
        with self._cursor() as cursor:
            end_sessions(cursor, _name(url), only_in_transaction=False)
            cursor.execute(f"DROP DATABASE IF EXISTS `{_name(url)}`")
        del self._schemas[url]

    def _drop_leftovers(self) -> None:
        with self._cursor() as cursor:
            cursor.execute(f"SHOW DATABASES LIKE '{_PREFIX}%'")
            for (name,) in cursor.fetchall():
                made_at = name.removeprefix(f"{_PREFIX}_").split("_")[0]
                if made_at.isdigit() and int(made_at) < time.time() - _LEFTOVER_AGE_SECONDS:
                    cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
        self._users.drop_leftovers(_LEFTOVER_AGE_SECONDS)

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        with closing(self._server.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            # Tests that start processes take longer than the server keeps an idle session (common.db.engine).
            try:
                cursor.connection.ping()
            except MySQLError:
                cursor.connection.connect()
            yield cursor


def _name(url: str) -> str:
    return make_url(url).database or ""
