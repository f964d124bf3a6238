"""SQLite as the embedded default: WAL, one writer at a time by BEGIN IMMEDIATE, readers without a transaction."""

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, ExecutionContext
from sqlalchemy.pool import PoolProxiedConnection

from common.db.reads import is_read_only, refuse_write

BUSY_TIMEOUT_SECONDS = 15

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    # Survives a killed process; only a power failure may undo the last commits, which the embedded default accepts.
    "PRAGMA synchronous = NORMAL",
)


class RedprintSQLiteDialect(SQLiteDialect_pysqlite):
    """pysqlite's dialect in driver autocommit: transactions are begun by hand (engine.py)."""

    driver = "redprint"
    supports_statement_cache = True

    def on_connect(self) -> Callable[[DBAPIConnection], None]:
        prepare = super().on_connect()

        def connect(connection: Any) -> None:
            connection.isolation_level = None
            _use_wal(connection)
            for pragma in _PRAGMAS:
                connection.execute(pragma).close()
            prepare(connection)

        return connect

    def do_commit(self, dbapi_connection: PoolProxiedConnection) -> None:
        if dbapi_connection.in_transaction:
            try:
                dbapi_connection.commit()
            except sqlite3.Error:
                # A refused commit (busy, a deferred key) leaves the transaction open, and SQLAlchemy gives the
                # connection back to the pool as it is.
                dbapi_connection.rollback()
                raise

    def do_rollback(self, dbapi_connection: PoolProxiedConnection) -> None:
        if dbapi_connection.in_transaction:
            dbapi_connection.rollback()

    def do_execute(
        self, cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext | None = None
    ) -> None:
        _guard(statement, context)
        cursor.execute(statement, parameters)

    def do_execute_no_params(
        self, cursor: DBAPICursor, statement: str, context: ExecutionContext | None = None
    ) -> None:
        self.do_execute(cursor, statement, (), context)

    def do_executemany(
        self, cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext | None = None
    ) -> None:
        _guard(statement, context)
        cursor.executemany(statement, parameters)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers go on while one writes. Kept in the file; asking again when it is set needs no lock."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError:
            # Of several that switch a new file at once some are refused without the busy timeout being waited for.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _guard(statement: str, context: ExecutionContext | None) -> None:
    if is_read_only(context):
        refuse_write(statement)
