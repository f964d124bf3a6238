"""Making an engine from a database URL: our dialects, pools and time limits in one place."""

import ssl
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.exc import ArgumentError

from common.db.mysql import BEGIN
from common.db.reads import READ_ONLY, WAITS_AS_FOR_A_ROW, WITHOUT_TRANSACTION
from common.db.sqlite import BUSY_TIMEOUT_SECONDS

registry.register("mysql.redprint", "common.db.mysql", "RedprintMySQLDialect")
registry.register("sqlite.redprint", "common.db.sqlite", "RedprintSQLiteDialect")

CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 10
WRITE_TIMEOUT_SECONDS = 10
# Below the read timeout, so that a blocked statement ends with the server's own answer (1205), not a dead connection.
LOCK_WAIT_SECONDS = 5
POOL_WAIT_SECONDS = 5
# A client that vanishes without a word (its node lost power, or is cut off) leaves its transaction open and its rows
# locked until the server gives it up: by default after 8 hours.
IDLE_SECONDS = 60
# Of age, not of idleness: below IDLE_SECONDS the pool never hands out what the server has closed meanwhile. Connecting
# takes 1 to 4 ms, so a process with four connections pays less than a thousandth of its time.
POOL_RECYCLE_SECONDS = 45
MAX_OVERFLOW = 2

# One statement for each new connection. Strict mode is pinned because a lax server would cut values short silently.
_INIT_COMMAND = (
    "SET SESSION transaction_isolation = 'READ-COMMITTED', time_zone = '+00:00',"
    f" innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}, wait_timeout = {IDLE_SECONDS},"
    " sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)


_DRIVERS = {"mysql": ("", "pymysql", "redprint"), "sqlite": ("", "pysqlite", "redprint")}
_EXPECTED = "expected mysql+pymysql://user:password@host/name or sqlite:///path/to/file.db"


class DatabaseURLError(ValueError):
    """A database URL this package cannot use; the text says why and never holds the password."""


def make_engine(
    url: str | URL,
    *,
    pool_size: int = 4,
    tls_ca: str | Path | None = None,
    read_timeout_seconds: int | None = READ_TIMEOUT_SECONDS,
    ddl_wait_seconds: int | None = None,
) -> Engine:
    """An engine whose connections are in autocommit mode and begin transactions only for write sessions.

    `mysql+pymysql://` (or `mysql://`) and `sqlite:///` are accepted. With `ddl_wait_seconds` a MySQL statement waits at
    most that long for a lock, of rows or of a table's definition. Opens nothing. Raises DatabaseURLError.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "mysql":
        arguments = _mysql_arguments(parsed, tls_ca, read_timeout_seconds, ddl_wait_seconds)
    else:
        arguments = {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
    engine = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=MAX_OVERFLOW,
        pool_timeout=POOL_WAIT_SECONDS,
        # Errors are logged, and parameters are what users typed.
        hide_parameters=True,
        **arguments,
    )
    begin = _begin_on_mysql if parsed.get_backend_name() == "mysql" else _begin_on_sqlite

    def begin_write(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not (options.get(READ_ONLY, False) or options.get(WITHOUT_TRANSACTION, False)):
            begin(connection)

    event.listen(engine, "begin", begin_write)
    return engine


def _begin_on_mysql(connection: Connection) -> None:
    connection.exec_driver_sql(BEGIN)


def _begin_on_sqlite(connection: Connection) -> None:
    if not connection.get_execution_options().get(WAITS_AS_FOR_A_ROW, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    _set_busy_timeout(connection, min(LOCK_WAIT_SECONDS, BUSY_TIMEOUT_SECONDS))
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        _set_busy_timeout(connection, BUSY_TIMEOUT_SECONDS)


def _set_busy_timeout(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def parse_url(url: str | URL) -> URL:
    """The URL with our dialect as its driver. Raises DatabaseURLError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseURLError(f"the database URL cannot be read; {_EXPECTED}") from error
    backend, _, driver = parsed.drivername.partition("+")
    if driver not in _DRIVERS.get(backend, ()):
        raise DatabaseURLError(f"database URLs of the form {parsed.drivername}:// are not supported; {_EXPECTED}")
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise DatabaseURLError(f"in memory each thread would have its own SQLite database; {_EXPECTED}")
    if any(key.startswith("ssl") for key in parsed.query):
        raise DatabaseURLError("TLS is not set in the database URL; name the CA file in DB_TLS_CA")
    return parsed.set(drivername=f"{backend}+redprint")


def _mysql_arguments(
    url: URL, tls_ca: str | Path | None, read_timeout_seconds: int | None, ddl_wait_seconds: int | None
) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "autocommit": True,
        # Here and not in a statement of its own, so that a connection made anew has it too.
        "init_command": _INIT_COMMAND
        if ddl_wait_seconds is None
        else f"{_INIT_COMMAND}, lock_wait_timeout = {ddl_wait_seconds}, innodb_lock_wait_timeout = {ddl_wait_seconds}",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "write_timeout": WRITE_TIMEOUT_SECONDS,
    }
    if "charset" not in url.query:
        arguments["charset"] = "utf8mb4"
    if read_timeout_seconds is not None:
        arguments["read_timeout"] = read_timeout_seconds
    # Always explicit: told nothing, PyMySQL tries TLS and loads the CA store for each connection (30 ms of CPU).
    if tls_ca is None:
        arguments["ssl_disabled"] = True
    else:
        arguments["ssl"] = _tls_context(tls_ca)
    return {"connect_args": arguments, "pool_recycle": POOL_RECYCLE_SECONDS}


def _tls_context(ca: str | Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise DatabaseURLError(f"DB_TLS_CA: {ca} is not a readable file of CA certificates ({error})") from error
