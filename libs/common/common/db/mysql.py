"""MySQL through PyMySQL without needless round trips: one statement for a read, BEGIN + n + COMMIT for a write.

Connections are in autocommit mode. A write session begins its transaction explicitly (engine.py); commit and rollback
are sent only while the server says a transaction is open, so returning a connection to the pool costs nothing.
"""

from contextlib import suppress
from typing import Any

from pymysql.connections import Connection
from pymysql.constants import SERVER_STATUS
from pymysql.err import InterfaceError, MySQLError
from sqlalchemy import Table
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, ExecutionContext
from sqlalchemy.pool import PoolProxiedConnection

from common.db.reachability import Reachability
from common.db.reads import is_read_only, refuse_write

BEGIN = "BEGIN"

# Codes that mean "this connection is gone", beyond those SQLAlchemy knows: 1053 server shutdown, 3169 session killed,
# and 2002, 2003 (cannot connect), which a failed reconnect leaves behind on a pooled connection.
_GONE = frozenset({1053, 1927, 2002, 2003, 2006, 2013, 2055, 3169, 4031})

# Bytes decide, as they do on SQLite: "a", "A" and "a " are three keys on both.
_CHARACTERS = "CHARSET=utf8mb4 COLLATE=utf8mb4_0900_bin"


# A server that hangs accepts connections all the same, because the system does that for it. PyMySQL would wait for its
# greeting as long as for the answer to a statement, and each request that connects would keep a thread so long.
GREETING_TIMEOUT_SECONDS = 3


class PromptConnection(Connection):  # type: ignore[misc] # the driver ships no types
    """PyMySQL's connection, which gives up a server that does not let it in within GREETING_TIMEOUT_SECONDS.

    Raises OperationalError at once while another thread waits for that already.
    """

    _read_timeout: float | None

    def __init__(self, *args: Any, reachability: Reachability, **options: Any) -> None:
        self._reachability = reachability
        super().__init__(*args, **options)  # connects

    def connect(self, sock: Any = None) -> None:
        of_statements = self._read_timeout
        self._read_timeout = min(of_statements or GREETING_TIMEOUT_SECONDS, GREETING_TIMEOUT_SECONDS)
        try:
            with self._reachability.attempt():
                super().connect(sock)
        finally:
            self._read_timeout = of_statements


class RedprintDDLCompiler(MySQLDDLCompiler):
    """Gives each new table our engine and collation, whatever the defaults of the server or database are."""

    def post_create_table(self, table: Table) -> str:
        given = " ".join(table.kwargs)
        engine = "" if "mysql_engine" in given else " ENGINE=InnoDB"
        characters = "" if "char" in given or "collate" in given else f" {_CHARACTERS}"
        # Before the table's own options, because partitions have to come last.
        return f"{engine}{characters} {super().post_create_table(table)}"


def error_code(error: BaseException) -> int | None:
    """The server's or driver's number of an error, None where there is none."""
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) else None


def is_gone(error: BaseException) -> bool:
    """Whether the driver's error says that the connection is dead."""
    return isinstance(error, MySQLError) and (
        error_code(error) in _GONE or (isinstance(error, InterfaceError) and error_code(error) == 0)
    )


def _died_idle(error: MySQLError) -> bool:
    # A statement that ran into the read timeout was received and may still run: sending it again would double the load.
    return is_gone(error) and not isinstance(error.__context__, TimeoutError)


class RedprintMySQLDialect(MySQLDialect_pymysql):
    """PyMySQL's dialect, with the transaction, reconnect and read-only rules of this package."""

    driver = "redprint"
    supports_statement_cache = True
    ddl_compiler = RedprintDDLCompiler

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._reachability = Reachability()

    def connect(self, *cargs: Any, **cparams: Any) -> DBAPIConnection:
        connection: DBAPIConnection = PromptConnection(*cargs, reachability=self._reachability, **cparams)
        return connection

    def do_commit(self, dbapi_connection: PoolProxiedConnection) -> None:
        if _in_transaction(dbapi_connection):
            try:
                dbapi_connection.commit()
            except MySQLError:
                # SQLAlchemy gives the connection back to the pool as it is after a failed commit; the next BEGIN on
                # it would commit what this one could not.
                with suppress(MySQLError):
                    dbapi_connection.rollback()
                raise

    def do_rollback(self, dbapi_connection: PoolProxiedConnection) -> None:
        if _in_transaction(dbapi_connection):
            dbapi_connection.rollback()

    def do_execute(
        self, cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext | None = None
    ) -> None:
        read_only = is_read_only(context)
        if read_only:
            refuse_write(statement)
        try:
            cursor.execute(statement, parameters)
        except MySQLError as error:
            if not (read_only or statement == BEGIN) or not _died_idle(error):
                raise
            # The connection died in the pool. Nothing was written on it: a read session never writes, and BEGIN is
            # the first statement of a transaction. So connect again, in place, and send the statement once more.
            cursor.connection.connect()
            cursor.execute(statement, parameters)

    def do_execute_no_params(
        self, cursor: DBAPICursor, statement: str, context: ExecutionContext | None = None
    ) -> None:
        self.do_execute(cursor, statement, None, context)

    def do_executemany(
        self, cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext | None = None
    ) -> None:
        if is_read_only(context):
            refuse_write(statement)
        super().do_executemany(cursor, statement, parameters, context)

    def is_disconnect(
        self, e: Any, connection: PoolProxiedConnection | DBAPIConnection | None, cursor: DBAPICursor | None
    ) -> bool:
        return is_gone(e) or super().is_disconnect(e, connection, cursor)


def _in_transaction(connection: PoolProxiedConnection) -> bool:
    # PyMySQL keeps the status flags of the server's last answer.
    status: int = connection.server_status
    return bool(status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)
