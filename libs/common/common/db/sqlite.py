"""SQLite as the embedded default: WAL, one writer at a time by BEGIN IMMEDIATE, readers without a transaction."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, ExecutionContext
from sqlalchemy.pool import PoolProxiedConnection

from common.db.reads import refuse_write

BUSY_TIMEOUT_SECONDS = 15

_PRAGMAS = (
    # Readers go on while one writes. Kept in the file; asking again when it is set needs no lock.
    "PRAGMA journal_mode = WAL",
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
            for pragma in _PRAGMAS:
                connection.execute(pragma).close()
            prepare(connection)

        return connect

    def do_commit(self, dbapi_connection: PoolProxiedConnection) -> None:
        if dbapi_connection.in_transaction:
            dbapi_connection.commit()

    def do_rollback(self, dbapi_connection: PoolProxiedConnection) -> None:
        if dbapi_connection.in_transaction:
            dbapi_connection.rollback()

    def do_execute(
        self, cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext | None = None
    ) -> None:
        _guard(statement, context)
        cursor.execute(statement, parameters)

    def do_executemany(
        self, cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext | None = None
    ) -> None:
        _guard(statement, context)
        cursor.executemany(statement, parameters)


def _guard(statement: str, context: ExecutionContext | None) -> None:
    if context is not None and context.execution_options.get("read_only", False):
        refuse_write(statement)
