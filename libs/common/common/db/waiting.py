"""Waiting for a database that is only starting."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from pymysql.err import MySQLError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from common.db.database import Database
from common.db.mysql import error_code, is_gone

_PAUSE_SECONDS = 0.5
_UNKNOWN_HOST = 2005
_TOO_MANY_CONNECTIONS = 1040


def wait_until_reachable(
    url: str, seconds: float, *, tls_ca: str | Path | None = None, on_wait: Callable[[DBAPIError], None]
) -> None:
    """Return once `SELECT 1` succeeds; `on_wait` is called once, with the first error, where it does not at once.

    Waited for is only what time mends: no route, no name yet, nobody listening, a server that starts or stops. A
    denied user or an unknown database is an answer, and raised as such at once: a server is to be announced as ready
    when its users and databases are made, and a wrong password would only be found out the later.
    Raises the last error after `seconds`. An SQLite file is there or will be made, and nobody waits for it.
    """
    give_up_at = time.monotonic() + seconds
    database = Database(url, pool_size=1, tls_ca=tls_ca)
    if database.dialect_name == "sqlite":
        return
    has_told = False
    try:
        while True:
            try:
                with database.read() as session:
                    session.execute(text("SELECT 1"))
                return
            except DBAPIError as error:
                if not is_unreachable(error) or time.monotonic() + _PAUSE_SECONDS > give_up_at:
                    raise
                if not has_told:
                    on_wait(error)
                    has_told = True
            time.sleep(_PAUSE_SECONDS)
    finally:
        database.dispose()


def is_unreachable(error: DBAPIError) -> bool:
    """Whether there was no answer, or that of a server which takes nobody for the moment."""
    original = error.orig
    if not isinstance(original, MySQLError):
        return False
    # PyMySQL wraps it like a refused connection, but a wrong certificate stays wrong.
    if isinstance(getattr(original, "original_exception", None), ssl.SSLError):
        return False
    return is_gone(original) or error_code(original) in (_UNKNOWN_HOST, _TOO_MANY_CONNECTIONS)
